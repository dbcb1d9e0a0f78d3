"""Root: which resource answers a path, by a tree of mounted prefixes.

The segments stay whole, so that each resource's routes are written, and found by grep, as the paths that clients send.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol
from urllib.parse import unquote

from twisted.internet.defer import Deferred
from twisted.web.resource import IResource


class Overlay(Protocol):
    """Answers paths before the mounts do; see :class:`jupyterd.extensions.route_overlay.Overlay`."""

    def find(self, request: Any, segments: Sequence[str] | None) -> Mount | None:
        """The mount that answers a request, None for the server's own."""

    def expected(self, request: Any) -> Mount | None:
        """What stands for the mount of a request that somebody may answer soon; None where nobody will."""

    def ready(self) -> Deferred[None]:
        """Fires when it is known who answers; its failure is the answer."""


class BodySink(Protocol):
    """Takes a request's body while it arrives, in place of memory."""

    def write(self, data: bytes) -> None:
        """The next bytes. A sink that can not keep up calls ``request.pause_body()``."""

    def finished(self) -> None:
        """The body is complete; the resource is asked next."""

    def failed(self) -> None:
        """The client went away, or sent more than allowed: the rest will not come."""

    def close(self) -> None:
        """The request is answered; nothing more happens to it."""


@dataclass(eq=False)
class Mount:
    """A prefix and what is needed to know of it before its resource is built.

    :param prefix: segments, ``*`` for any one segment.
    :param factory: makes the resource, at the first request.
    :param auth: the authorizer's name of what lies here (``contents``, ``kernels`` ...).
    :param writes: the same for requests that change something, where that has another name, or where reading has none:
        any known user may read then.
    :param action: the authorizer's word for requests that change something: ``write``, or ``execute`` where they run
        code. Reading is ``read`` in any case.
    :param public: answered without credentials.
    :param page: for people: errors are HTML and a missing login leads to the login page.
    :param exact: this path alone, nothing below it.
    :param body: given the request, gives the sink of a request's body, or None to hold it in memory.
    :param max_body: bytes a body may have; None for the site's limit.
    :param websocket: its requests open websockets: they are judged as ``execute``, by their Origin.
    :param untrusted: serves what users wrote: its pages run in a sandbox, and foreign pages may not embed it.
    :param form: its POSTs are HTML forms, which carry their XSRF token in the body.
    :param reports: takes what browsers send by themselves, without an XSRF token.
    :param own_xsrf: has an XSRF check of its own: of ours only the one of the Origin is done.
    :param forwarded: its requests go to another process, which has a say in what their answers look like.
    """

    prefix: tuple[str, ...]
    factory: Callable[[], IResource]
    auth: str
    public: bool = False
    page: bool = False
    exact: bool = False
    body: Callable[[Any], BodySink | None] | None = None
    max_body: int | None = None
    websocket: bool = False
    untrusted: bool = False
    form: bool = False
    reports: bool = False
    action: str = "write"
    own_xsrf: bool = False
    forwarded: bool = False
    writes: str = ""

    def resource(self) -> IResource:
        """The resource; made once for all mounts of the same factory."""
        return self.factory()


@dataclass(eq=False)
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    mount: Mount | None = None


class Root:
    """All mounts of one server.

    :param base_url: the path that all others lie below, with a slash at both ends.
    """

    def __init__(self, base_url: str = "/") -> None:
        self.base_url = base_url
        # Hubs give names as they stand in URLs: /user/me%40here/
        self._base = [unquote(segment) for segment in base_url.split("/") if segment]
        self._top = _Node()
        self.overlay: Overlay | None = None
        self._factories: dict[Callable[[], IResource], Callable[[], IResource]] = {}

    def mount(
        self,
        prefixes: str | Sequence[str],
        factory: Callable[[], IResource],
        *,
        auth: str,
        public: bool = False,
        page: bool = False,
        exact: bool = False,
        body: Callable[[Any], BodySink | None] | None = None,
        max_body: int | None = None,
        websocket: bool = False,
        untrusted: bool = False,
        form: bool = False,
        reports: bool = False,
        action: str = "write",
        writes: str = "",
    ) -> list[Mount]:
        """Let what ``factory`` makes answer each prefix and all below it; of two prefixes the longer one wins.

        The factory is called once, at the first request, however many prefixes and calls of this method it is given in.

        :raises ValueError: a prefix is taken.
        """
        once = self._factories.setdefault(factory, cache(factory))
        return [
            self._put(
                Mount(
                    tuple(segment for segment in prefix.split("/") if segment),
                    once, auth, public, page, exact, body, max_body, websocket, untrusted, form, reports, action,
                    writes=writes,
                )
            )
            for prefix in ([prefixes] if isinstance(prefixes, str) else prefixes)
        ]  # fmt: skip

    def _put(self, mount: Mount) -> Mount:
        node = self._top
        for segment in mount.prefix:
            node = node.children.setdefault(segment, _Node())
        if node.mount is not None:
            raise ValueError(f"/{'/'.join(mount.prefix)} is mounted already")
        node.mount = mount
        return mount

    def unmount(self, mounts: Iterable[Mount]) -> None:
        """Take mounts out again; what is longer or shorter stays."""
        for mount in mounts:
            node = self._top
            for segment in mount.prefix:
                node = node.children[segment]
            node.mount = None

    def find(self, segments: Sequence[str]) -> Mount | None:
        """The mount that answers a path.

        :param segments: the decoded path below ``base_url``, without its leading slash.
        """
        node = self._top
        found = node.mount if node.mount is not None and not node.mount.exact else None
        last = len(segments) - 1
        if node.mount is not None and (last < 0 or segments == [""]):
            return node.mount
        for index, segment in enumerate(segments):
            child = node.children.get(segment) or node.children.get("*")
            if child is None:
                if segment == "" and index == last and node.mount is not None:
                    found = node.mount  # a slash at the end makes no other path
                break
            node = child
            if node.mount is not None and (not node.mount.exact or index == last):
                found = node.mount
        return found

    def below_base(self, segments: list[str]) -> list[str] | None:
        """Strip ``base_url`` from a path's segments; None for a path outside of it."""
        count = len(self._base)
        if segments[:count] != self._base:
            return None
        return segments[count:]

    def mounts(self) -> Iterator[Mount]:
        """Every mount, parents first."""
        nodes = [self._top]
        while nodes:
            node = nodes.pop()
            if node.mount is not None:
                yield node.mount
            nodes.extend(node.children.values())
