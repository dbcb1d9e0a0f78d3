"""Composition root: puts the daemon together, each object once and each prefix once.

Read :func:`jupyterd` from its top: the objects (:class:`~jupyterd.app.parts.Parts`), what each feature answers, what
runs beside requests. Features are imported by what builds them, resources at their first request: what the first
answer does not need is not loaded before it.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from jupyterd.app import (
    auth,
    contents,
    dashboard,
    extensions,
    frontends,
    kernels,
    outputs,
    status,
    terminals,
)
from jupyterd.app.parts import Parts
from jupyterd.extensions.discovery import LANGUAGE_SERVERS
from jupyterd.supervision.start_stop_stages import Stage

if TYPE_CHECKING:
    from jupyterd.settings.load import Settings


def jupyterd(reactor: Any, settings: Settings) -> Parts:
    """The whole daemon, wired and not yet started: ``services`` is its root."""
    parts = Parts(reactor, settings)
    compose(parts)
    return parts


def compose(parts: Parts) -> None:
    """Mount all features, and add what runs."""
    _mount_server(parts)
    _mount_kernels(parts)
    _mount_documents(parts)
    _mount_front_ends(parts)
    _ = parts.native_extensions  # last: they take what is left
    _add_services(parts)
    _make_what_is_set(parts)


def _mount_server(parts: Parts) -> None:
    """The server itself: ``/api``, metrics, events, logins."""
    root, server = parts.root, parts.server
    more_static = None if parts.extensions is None else parts.extensions.static
    hosted = () if parts.extensions is None else parts.extensions.host.wanted
    status.mount(root, parts.settings, lambda: status.resource(parts), more_static, LANGUAGE_SERVERS in hosted)
    dashboard.mount(root, parts)
    status.mount_events(root, lambda: parts.bus, parts.in_thread, parts.server)
    auth.warn(server, tls=bool(server.certfile or server.ssl_options))
    auth.mount(root, lambda: parts.guard)
    extensions.mount(root, parts.server, lambda: parts.extensions, lambda: parts.native_extensions)
    if parts.hub is not None:
        parts.hub.mount(root, lambda: parts.guard)
    else:
        auth.mount_login(root, lambda: parts.guard, lambda: parts.pages, parts.password_thread)


def _mount_kernels(parts: Parts) -> None:
    """Kernels, their channels, kernelspecs, sessions; terminals."""
    root = parts.root
    kernels.mount(
        root,
        lambda: parts.kernels,
        lambda: parts.sessions,
        lambda call: parts.guard.allowed(call.request.handler, "write", "contents"),
    )
    kernels.mount_kernelspecs(root, lambda: parts.kernelspecs, lambda: parts.kernels)
    kernels.mount_sessions(root, lambda: parts.sessions)
    if parts.server.terminals_enabled:
        terminals.mount(root, lambda: parts.terminals, parts.settings, parts.in_thread)


def _mount_documents(parts: Parts) -> None:
    """Contents, and what is made of them."""
    root = parts.root
    contents.mount(
        root,
        lambda: parts.contents,
        lambda *args, **kwargs: parts.pages.render(*args, **kwargs),
        lambda kernel_id, path: parts.kernels.resolve_path(kernel_id, path),
        lambda: outputs.run_routes(
            parts.runs, lambda call: parts.guard.allowed(call.request.handler, "execute", "kernels")
        ),
    )
    outputs.mount(root, lambda: parts.recorder, lambda: parts.kernels)
    contents.mount_conversions(
        root, parts.settings, parts.reactor, parts.in_thread, lambda: parts.contents, lambda: parts.progress
    )


def _mount_front_ends(parts: Parts) -> None:
    """JupyterLab, Notebook, what lies at the root, and the settings that front ends keep here."""
    frontends.mount(parts.root, parts.front_ends, lambda name: parts.pages.render(name))
    frontends.mount_config(parts.root, lambda: parts.config_manager, parts.in_thread)


def _add_services(parts: Parts) -> None:
    """What runs from the start: culling, watching, ports. What is made at a first request joins its stage then."""
    from jupyterd.system.memory import Trimming
    from jupyterd.system.processes.orphans import Orphans
    from jupyterd.web.websocket.open_sockets import Goodbye

    services, server, reactor = parts.services, parts.server, parts.reactor
    if parts.gateway is not None:
        services.add(Stage.BACKENDS, parts.gateway.service)
    if parts.keeping is not None:
        services.add(Stage.BACKENDS, parts.keeping)
    services.add(Stage.THREADS, Trimming(reactor, parts.activity.last))
    services.add(Stage.THREADS, Orphans(reactor, first=os.getpid() == 1))
    services.add(Stage.DOMAINS, parts.kernels_service)
    if server.terminals_enabled:
        services.add(Stage.DOMAINS, parts.terminals)
    if parts.extensions is not None:
        services.add(Stage.RECORDS, parts.extensions.host)
    if parts.hub is not None:
        services.add(Stage.PORTS, parts.hub.service(lambda: parts.guard, parts.activity, lambda: parts.kernels))
    if server.shutdown_no_activity_timeout > 0:
        services.add(Stage.PORTS, status.idle_stop(parts))
    restarts = None
    if server.autoreload:
        from jupyterd.supervision.autoreload import Autoreload, again
        from jupyterd.supervision.systemd_notify import service_variables

        restarts = Autoreload(reactor, parts.in_thread, restart=partial(again, service_variables(os.environ)))
        services.add(Stage.PORTS, restarts)
    services.add(
        Stage.PORTS,
        Goodbye(
            reactor, parts.site.open_sockets, lambda: bool(restarts and restarts.restarting) or parts.keep_at_stop()
        ),
    )
    services.add(Stage.PORTS, parts.log_lines)
    services.add(Stage.PORTS, parts.stalls)
    services.add(Stage.PORTS, parts.front)


def _make_what_is_set(parts: Parts) -> None:
    """Make what the operator has set something of: a mistake ends the start, and not the first request."""
    touches, server = parts.settings.touches, parts.config.get("ServerApp", {})
    is_set = {
        "contents": touches("jupyterd.contents") or {"contents_manager_class", "preferred_dir"} & set(server),
        "sessions": touches("jupyterd.sessions"),
        "config_manager": touches("jupyterd.config"),
        "bus": touches("jupyter_events"),
    }
    for name in filter(is_set.get, is_set):
        getattr(parts, name)
    if is_set["contents"]:
        _ = getattr(parts.contents.manager, "preferred_dir", "")  # it must be below the manager's root
    parts.front_ends.read_what_is_set()
