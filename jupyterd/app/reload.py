"""Reload of settings and certificates: what SIGHUP does, and what ``ServerApp.reload`` does for who embeds it."""

from __future__ import annotations

from typing import cast

from twisted.logger import Logger

from jupyterd.app import auth
from jupyterd.app.parts import Parts

log = Logger()


def reload(parts: Parts) -> None:
    """Read certificates, password, token, origins, headers and log levels again (SIGHUP); open connections stay.

    What can not be read or understood is told to the log, and all stays as it was.
    """
    from traitlets import TraitError

    from jupyterd.settings.load import BadSettings
    from jupyterd.supervision.addresses.tls import BadCertificate

    try:
        settings = parts.settings.again()
        again = settings.server
        auth.refresh(parts.guard, again)
        if parts.hub is not None:
            parts.hub.dress(parts.guard, again)
        parts.levels.set(cast(int, again.log_level), again.log_levels)
        parts.access_log.verbose = settings.verbose
        parts.front.reload_certificates()
        if parts.extensions is not None:
            parts.extensions.host.reload()
    except (BadSettings, BadCertificate, TraitError) as error:
        log.error("reload: {error}", error=str(error))
    else:
        log.info("settings and certificates are reloaded")
