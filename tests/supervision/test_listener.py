"""The listener: opens first, accepts last, writes where the server is."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.protocol import Factory, Protocol

from jupyterd.supervision.listener import LOOK_SECONDS, Listener
from jupyterd.supervision.sockets import CannotListen
from tests.supervision.listening import Listening, Spoken
from tests.supervision.server import hand_over, server

pytestmark = pytest.mark.usefixtures("as_it_was")


def front(home: Path, **settings: Any) -> tuple[Listener, Listening, Spoken]:
    reactor, spoken = Listening(), Spoken()
    factory = Factory.forProtocol(Protocol)
    return Listener(reactor, factory, server(home, **settings), spoken), reactor, spoken


def test_it_opens_first_and_accepts_last(tmp_path: Path) -> None:
    made, reactor, spoken = front(tmp_path, ip="127.0.0.1", port=0)
    made.privilegedStartService()
    port = made._server.port
    assert port > 0
    assert reactor.adopted == []
    with socket.create_connection(("127.0.0.1", port)):
        pass  # it waits in the queue
    made.startService()
    assert [address for address, _ in reactor.adopted] == [("127.0.0.1", port)]
    assert spoken.said == ["READY=1"]
    assert sorted(os.listdir(tmp_path / "runtime")) == [
        f"jpserver-{os.getpid()}-open.html",
        f"jpserver-{os.getpid()}.json",
    ]
    made.stopService()
    assert spoken.said == ["READY=1", "STOPPING=1"]
    assert [port.stopped for port in reactor.ports] == [True]
    assert os.listdir(tmp_path / "runtime") == []


def test_files_that_a_cleaner_has_taken_are_written_again(tmp_path: Path) -> None:
    made, reactor, _ = front(tmp_path, ip="127.0.0.1", port=0)
    made.startService()
    shutil.rmtree(tmp_path / "runtime")
    reactor.advance(LOOK_SECONDS)
    assert len(os.listdir(tmp_path / "runtime")) == 2
    (tmp_path / "runtime" / f"jpserver-{os.getpid()}.json").unlink()
    reactor.advance(LOOK_SECONDS)
    assert len(os.listdir(tmp_path / "runtime")) == 2
    made.stopService()
    assert os.listdir(tmp_path / "runtime") == []
    assert reactor.getDelayedCalls() == []


def test_files_that_can_not_be_written_are_told_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made, reactor, _ = front(tmp_path, ip="127.0.0.1", port=0)
    made.startService()
    shutil.rmtree(tmp_path / "runtime")
    (tmp_path / "runtime").write_text("no directory any more")
    for _ in range(3):
        reactor.advance(LOOK_SECONDS)
    assert caplog.text.count(f"Failed to write {made._server.info_file}") == 1
    assert reactor.getDelayedCalls() == []
    made.stopService()


def test_a_socket_is_there_and_goes(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    made, reactor, _ = front(tmp_path, sock=path, port=0, sock_mode="0660")
    made.privilegedStartService()
    made.startService()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
    [port] = made._ports
    assert os.fspath(port.getHost().name) == os.fsencode(path)
    assert reactor.getReaders() == [port]
    made.stopService()
    assert reactor.getReaders() == []
    assert not os.path.exists(path)


def test_nothing_to_listen_on(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        made, reactor, _ = front(tmp_path, ip="127.0.0.1", port=taken.getsockname()[1], port_retries=0)
        with pytest.raises(CannotListen):
            made.privilegedStartService()
    assert list((tmp_path / "runtime").iterdir()) == []


def test_the_service_manager_s_socket_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        hand_over(monkeypatch, listening)
        made, reactor, _ = front(tmp_path, ip="127.0.0.1", port=1)
        made.privilegedStartService()
        assert made._server.port == listening.getsockname()[1]
        assert "LISTEN_FDS" not in os.environ
        made.startService()
    assert len(reactor.adopted) == 1


def test_a_unix_socket_of_the_service_manager_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        hand_over(monkeypatch, listening)
        made, _, _ = front(tmp_path, ip="127.0.0.1", port=8888)
        made.privilegedStartService()
        assert (made._server.sock, made._server.port) == (str(tmp_path / "s"), 0)
        made.stopService()
    assert (tmp_path / "s").exists()


def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("nothing")
    made, _, _ = front(tmp_path, ip="127.0.0.1", port=0, certfile=str(tmp_path / "c.pem"))
    with pytest.raises(CannotListen, match=r"c\.pem can not be used"):
        made.privilegedStartService()


def test_the_browser_is_opened_in_a_thread(tmp_path: Path) -> None:
    made, reactor, _ = front(tmp_path, ip="127.0.0.1", port=0, open_browser=True)
    called: list[Any] = []
    reactor.callInThread = lambda *call: called.append(call)  # type: ignore[method-assign]
    made.startService()
    assert len(called) == 1
