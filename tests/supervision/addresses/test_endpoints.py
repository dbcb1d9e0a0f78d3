"""Endpoints: which strings are taken, what is opened when, what a successor gets; on a reactor in memory."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import tcp
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock

from jupyterd.settings.load import BadSettings, load
from jupyterd.supervision.addresses.endpoints import BadEndpoint, Endpoints, check, is_remote
from jupyterd.supervision.addresses.tls import BadCertificate
from jupyterd.supervision.handover.successor import HandedOver
from jupyterd.supervision.listener import Listener
from jupyterd.supervision.running_servers import listens_on
from jupyterd.supervision.sockets import CannotListen, open_port
from jupyterd.supervision.systemd_notify import Notify
from tests.supervision.addresses.test_tls import certificate, common_name
from tests.supervision.server import hand_over, server


class Reactor(MemoryReactorClock):
    """Adopts sockets as a real one does; nobody reads from them."""

    def adoptStreamPort(self, descriptor: int, family: int, factory: Any) -> Any:
        port = tcp.Port._fromListeningDescriptor(self, descriptor, family, factory)
        port.startListening()
        return port


FACTORY = Factory.forProtocol(Protocol)


def test_what_is_no_endpoint_is_told_in_a_line() -> None:
    for text, why in {
        "nope:1": "Unknown endpoint type",
        "tcp:x": "invalid literal",
        "": "Unknown endpoint",
        "ssl:1:privateKey=/nowhere/k.pem": "No such file",
        "systemd:domain=INET:index=0": "without being named",
        "unix:@name": "abstract socket",
        "unix:\0name": "abstract socket",
        "unix:": "a path is missing",
    }.items():
        with pytest.raises(BadEndpoint, match=f"^{re.escape(text)}: .*{why}"):
            check([text])
    with pytest.raises(BadEndpoint, match="twice"):
        check(["tcp:1", "tcp:1"])
    with pytest.raises(BadEndpoint, match="8 are the most"):
        check([f"tcp:{port}" for port in range(1, 10)])


def test_any_endpoint_that_twisted_knows_is_taken() -> None:
    check(["tcp:8080", r"tcp6:80:interface=\:\:1", "unix:/x:mode=660", "haproxy:tcp:80", "unix:./@named"])


@pytest.mark.parametrize(
    ("text", "remote"),
    [
        ("tcp:1", True),
        ("tcp:1:interface=127.0.0.1", False),
        ("tcp:1:interface=10.0.0.1", True),
        (r"tcp:1:interface=\:\:1", False),
        ("ssl:1:interface=localhost", False),
        ("unix:/x", False),
        ("haproxy:tcp:1", True),
    ],
)
def test_who_may_come_in(text: str, remote: bool) -> None:
    assert is_remote(text) is remote


def test_a_mistake_ends_the_start() -> None:
    with pytest.raises(BadSettings, match=r"ServerApp\.endpoints: nope:1: Unknown"):
        load(["--allow-root", "--endpoints=nope:1"])
    with pytest.raises(BadSettings, match="abstract"):
        load(["--allow-root", "--sock=@name"])


def test_several_addresses_on_one_port() -> None:
    found = open_port("127.0.0.1,127.0.0.2", [0], print)
    assert [each.getsockname()[0] for each in found] == ["127.0.0.1", "127.0.0.2"]
    assert len({each.getsockname()[1] for each in found}) == 1
    for each in found:
        each.close()


def test_they_open_first_and_accept_last(tmp_path: Path) -> None:
    reactor, path = Reactor(), str(tmp_path / "s")
    cert, key = certificate(tmp_path)
    made = Endpoints(
        reactor,
        ["tcp:0:interface=127.0.0.1", f"unix:{path}", f"ssl:0:privateKey={key}:certKey={cert}:interface=127.0.0.1"],
        mode=0o640,
        group=str(os.getgid()),
    )
    made.open(FACTORY)
    assert reactor.getReaders() == []
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
    plain, unix, secure = made.urls("/base/")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/base/", plain)
    assert re.fullmatch(r"https://127\.0\.0\.1:\d+/base/", secure)
    assert unix == f"http+unix://{path.replace('/', '%2F')}/base/"
    with socket.create_connection(("127.0.0.1", int(plain.split(":")[2].split("/")[0]))):
        pass  # it waits in the queue
    made.begin()
    assert len(reactor.getReaders()) == 3
    info = {"port": 1, "sock": "", "more_urls": [plain, unix, secure]}
    assert listens_on(info, path)
    assert listens_on(info, plain.split(":")[2].split("/")[0])
    assert not listens_on(info, "2")
    assert not listens_on(info, f"{path}x")
    assert not listens_on(info, 0)
    made.close()
    assert reactor.getReaders() == []
    assert not os.path.exists(path)


def test_certificates_of_the_string_are_read_again(tmp_path: Path) -> None:
    """All or nothing: half a renewal changes nothing, and is told."""
    cert, key = certificate(tmp_path, "one")
    made = Endpoints(Reactor(), [f"ssl:0:privateKey={key}:certKey={cert}:interface=127.0.0.1", "tcp:0"], 0o600)
    made.open(FACTORY)
    [certificates] = made.all[0].certificates
    assert common_name(certificates) == "one"
    other = certificate(tmp_path, "two")
    Path(cert).write_bytes(Path(other[0]).read_bytes())
    with pytest.raises(BadCertificate, match="^ssl:0:.*: .*"):
        made.reload()
    assert common_name(certificates) == "one"
    Path(key).write_bytes(Path(other[1]).read_bytes())
    made.reload()
    assert common_name(certificates) == "two"
    os.unlink(key)
    with pytest.raises(BadCertificate, match="No such file"):
        made.reload()
    assert common_name(certificates) == "two"
    made.close()


def test_a_mode_in_the_string_wins(tmp_path: Path) -> None:
    made = Endpoints(Reactor(), [f"unix:{tmp_path}/s:mode=660"], 0o600)
    made.open(FACTORY)
    assert stat.S_IMODE(os.stat(tmp_path / "s").st_mode) == 0o660
    made.close()


def test_all_of_them_or_none(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
        made = Endpoints(Reactor(), [f"unix:{tmp_path}/s", busy], 0o600)
        with pytest.raises(CannotListen, match=f"can not listen on {busy}: Address already in use"):
            made.open(FACTORY)
    assert os.listdir(tmp_path) == []


def test_a_group_that_is_none(tmp_path: Path) -> None:
    made = Endpoints(Reactor(), [f"unix:{tmp_path}/s"], 0o660, "no such group")
    with pytest.raises(CannotListen, match="there is no group no such group"):
        made.open(FACTORY)
    assert os.listdir(tmp_path) == []


class OtherServer:
    """A server that hands over what another listener has."""

    def __init__(self, before: Listener, home: Path) -> None:
        self._before = before
        self.path = str(home)

    def sockets(self) -> list[HandedOver]:
        return [HandedOver(socket.socket(fileno=os.dup(fd)), *place) for fd, *place in self._before.hand_over()]


def listener(home: Path, reactor: Reactor, before: Listener | None = None, **settings: Any) -> Listener:
    other: Any = None if before is None else OtherServer(before, home)
    return Listener(reactor, Factory.forProtocol(Protocol), server(home, **settings), Notify(), successor=other)


def test_a_successor_has_the_same_sockets_each_in_its_place(tmp_path: Path) -> None:
    unix, gone = f"unix:{tmp_path}/s", f"unix:{tmp_path}/gone"
    before = Reactor()
    first = listener(tmp_path, before, ip="127.0.0.1", port=0, endpoints=["tcp:0:interface=127.0.0.1", unix, gone])
    first.privilegedStartService()
    first.startService()
    port, urls = first._server.port, first._server.more_urls
    reactor = Reactor()
    second = listener(tmp_path, reactor, first, port=port, endpoints=[unix, "tcp:0:interface=127.0.0.1"])
    second.privilegedStartService()
    second.startService()
    assert second._server.port == port
    assert second._server.more_urls == [urls[1], urls[0]]
    first.leave()
    first.stopService()
    before.advance(0)  # it closes its descriptors
    assert sorted(os.listdir(tmp_path)) == ["runtime", "s"], "a socket that is no longer wanted is gone"
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "s"))
    assert len(reactor.getReaders()) == 3
    second.stopService()
    assert sorted(os.listdir(tmp_path)) == ["runtime"]


def test_a_socket_of_the_service_manager_s_outlives_takeovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        hand_over(monkeypatch, listening)
        before = Reactor()
        first = listener(tmp_path, before)
        first.privilegedStartService()
        first.startService()
    second = listener(tmp_path, Reactor(), first)
    second.privilegedStartService()
    second.startService()
    first.leave()
    first.stopService()
    before.advance(0)
    assert second._server.sock == str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "s"))
    second.stopService()
    assert (tmp_path / "s").exists()


def test_where_the_service_manager_listens_is_told_whatever_the_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{tmp_path}/unit"
    with socket.socket(socket.AF_UNIX) as unix, socket.create_server(("127.0.0.1", 0)) as tcp_socket:
        unix.bind(path)
        unix.listen()
        port = tcp_socket.getsockname()[1]
        first = fcntl.fcntl(unix.fileno(), fcntl.F_DUPFD, 400)
        os.dup2(tcp_socket.fileno(), first + 1)
    monkeypatch.setattr("jupyterd.supervision.sockets._FIRST_INHERITED", first)
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "2")
    made = listener(tmp_path, Reactor(), sock=f"{tmp_path}/settings")
    made.privilegedStartService()
    told = made._server
    assert (told.sock, told.port, told.more_urls) == (path, 0, [f"http://127.0.0.1:{port}/"])
    assert not (tmp_path / "settings").exists()
    made.stopService()


def test_an_abstract_socket_of_the_service_manager_s_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"\0jupyterd-test-{os.getpid()}")
        listening.listen()
        hand_over(monkeypatch, listening)
        with pytest.raises(CannotListen, match="is abstract"):
            listener(tmp_path, Reactor()).privilegedStartService()
