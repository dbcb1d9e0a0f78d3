"""Renamed settings: names of ours before there was a release, each still taken for one, and told of."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

from traitlets.config import Config

MEBIBYTE = 1024 * 1024


class Name(NamedTuple):
    """What a setting is called now.

    :ivar section: another section; None for the one in which the old name stands.
    :ivar factor: how many of the new unit one of the old is.
    """

    name: str
    section: str | None = None
    factor: int = 1


# By the end of the section's name, in lower case: classes derived from ours have these settings too.
RENAMED: dict[tuple[str, str], Name] = {
    ("websocketconnection", "client_hold"): Name("client_buffer_bytes"),
    ("websocketconnection", "closed_grace"): Name("closed_session_timeout"),
    ("websocketconnection", "coalesce_after"): Name("coalesce_stream_after"),
    ("websocketconnection", "log_disk_quota"): Name("message_log_disk_bytes"),
    ("websocketconnection", "log_memory"): Name("message_log_memory_bytes"),
    ("websocketconnection", "log_retained"): Name("message_log_retained_bytes"),
    ("websocketconnection", "offline_grace"): Name("offline_session_timeout"),
    ("websocketconnection", "pongs_confirm"): Name("confirm_by_pongs"),
    ("kernelmanager", "start_grace"): Name("startup_check_timeout"),
    ("manager", "max_content_size_mb"): Name("max_content_bytes", factor=MEBIBYTE),
    ("manager", "notebook_versions_size_mb"): Name("notebook_versions_bytes", factor=MEBIBYTE),
    ("httplimits", "head_timeout"): Name("http_head_timeout", "ServerApp"),
    ("httplimits", "body_timeout"): Name("http_body_timeout", "ServerApp"),
    ("httplimits", "idle_timeout"): Name("http_idle_timeout", "ServerApp"),
    ("httplimits", "reader_timeout"): Name("http_reader_timeout", "ServerApp"),
    ("httplimits", "most_waiting"): Name("http_max_waiting_connections", "ServerApp"),
}


def renamed(config: Config, log: logging.Logger) -> Config:
    """What is set by old names, by its new ones, where those are not set too.

    :param config: loses the old names.
    """
    found = Config()
    for (end, old), new in RENAMED.items():
        for section in [name for name in config if name.lower().endswith(end)]:
            settings = config[section]
            if old not in settings:
                continue
            target = new.section or section
            log.warning("%s.%s is now %s.%s; the old name goes with the next release", section, old, target, new.name)
            value = settings.pop(old)
            if new.name not in config.get(target, {}):
                found[target].setdefault(new.name, _in_unit(value, new.factor))
    if not config.get("HTTPLimits", True):
        del config["HTTPLimits"]
    return found


def _in_unit(value: Any, factor: int) -> Any:
    """The value in the new unit; what is no number stays for the trait to refuse."""
    if factor == 1:
        return value
    try:
        return int(str(value)) * factor
    except ValueError:
        return value
