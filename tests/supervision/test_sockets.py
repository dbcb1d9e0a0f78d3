"""Opening ports and UNIX sockets: real sockets of this machine, and nothing that waits."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyterd.supervision.sockets import CannotListen, inherited, open_port, open_unix

LOOPBACK = "127.0.0.1"


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        yield listening.getsockname()[1]


def addresses(sockets: list[socket.socket]) -> list[tuple[str, int]]:
    found = [listening.getsockname()[:2] for listening in sockets]
    for listening in sockets:
        assert not listening.getblocking()
        assert not listening.get_inheritable()
        listening.close()
    return found


def in_a_few_tries(attempt: Callable[[], None]) -> None:
    """Other programs of this machine take ports too, between two steps of a test."""
    for _ in range(20):
        try:
            attempt()
        except CannotListen:
            continue
        return
    attempt()


def test_a_free_port() -> None:
    def attempt() -> None:
        [(host, port)] = addresses(open_port(LOOPBACK, [0], print))
        assert host == LOOPBACK
        assert port > 0
        assert addresses(open_port(LOOPBACK, [port], print)) == [(LOOPBACK, port)], "it is free again at once"

    in_a_few_tries(attempt)


def test_a_port_in_use_is_told_and_the_next_is_tried(taken: int) -> None:
    told: list[str] = []
    [(_, port)] = addresses(open_port(LOOPBACK, iter([taken, 0]), told.append))
    assert port != taken
    assert told == [f"The port {taken} is already in use."]


def test_no_port_at_all(taken: int) -> None:
    with pytest.raises(CannotListen, match=f"because port {taken} is not available"):
        open_port(LOOPBACK, [taken], lambda _: None)
    with pytest.raises(CannotListen, match="because no available port could be found"):
        open_port(LOOPBACK, [taken, taken], lambda _: None)


def test_an_address_of_another_machine() -> None:
    with pytest.raises(CannotListen, match=r"can not listen on 192\.0\.2\.1, port 1234: "):
        open_port("192.0.2.1", [1234], print)


def test_a_name_that_is_none() -> None:
    with pytest.raises(CannotListen, match="can not listen on no such host"):
        open_port("no such host", [1234], print)


def test_every_address_of_a_name_on_the_same_port(monkeypatch: pytest.MonkeyPatch) -> None:
    found = addresses(open_port("", [0], print))
    assert "0.0.0.0" in [host for host, _ in found]
    assert len({port for _, port in found}) == 1
    real = socket.getaddrinfo

    def twice(host: str, *args: object, **kwargs: object) -> object:
        return [info for name in ("127.0.0.1", "127.0.0.2") for info in real(name, *args, **kwargs)]  # type: ignore[call-overload]

    monkeypatch.setattr(socket, "getaddrinfo", twice)
    two = addresses(open_port("both", [0], print))
    assert [host for host, _ in two] == ["127.0.0.1", "127.0.0.2"]
    assert two[0][1] == two[1][1]


def test_one_port_taken_on_one_address_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def twice(host: str, *args: object, **kwargs: object) -> object:
        return [info for name in ("127.0.0.1", "127.0.0.2") for info in real(name, *args, **kwargs)]  # type: ignore[call-overload]

    def attempt() -> None:
        with socket.create_server(("127.0.0.2", 0)) as listening:
            port = listening.getsockname()[1]
            with pytest.raises(CannotListen):
                open_port("both", [port], lambda _: None)
        addresses(open_port("both", [port], print))

    monkeypatch.setattr(socket, "getaddrinfo", twice)
    in_a_few_tries(attempt)


def test_a_machine_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket

    class NoSix(socket.socket):
        def __init__(self, family: int = socket.AF_INET, *args: object, **kwargs: object) -> None:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, "no IPv6")
            super().__init__(family, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda *_, **__: [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (LOOPBACK, 0)),
        ],
    )
    monkeypatch.setattr(socket, "socket", NoSix)
    [(host, _)] = addresses(open_port("localhost", [0], print))
    assert host == LOOPBACK
    assert real is not NoSix


# -- UNIX sockets


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "s")


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_a_socket_has_its_mode_whatever_the_umask(path: str, mode: int) -> None:
    before = os.umask(0o077)
    try:
        opened = open_unix(path, mode)
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(path).st_mode) == mode
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
    opened.listening.close()
    opened.remove()
    assert os.listdir(os.path.dirname(path)) == []


def test_a_socket_of_a_dead_server_is_replaced(path: str) -> None:
    open_unix(path, 0o600).listening.close()
    opened = open_unix(path, 0o600)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
    opened.listening.close()


def test_a_socket_of_a_living_server_is_left_alone(path: str) -> None:
    opened = open_unix(path, 0o600)
    with pytest.raises(CannotListen, match="already in use"):
        open_unix(path, 0o600)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
    opened.listening.close()


def test_what_is_no_socket_is_left_alone(path: str) -> None:
    Path(path).write_text("precious")
    with pytest.raises(CannotListen, match="is not a socket"):
        open_unix(path, 0o600)
    assert Path(path).read_text() == "precious"


def test_a_directory_that_is_none(path: str) -> None:
    here = os.getcwd()
    with pytest.raises(CannotListen, match="No such file or directory"):
        open_unix(f"{path}/deeper/s", 0o600)
    assert os.getcwd() == here


def test_a_long_path_is_no_hindrance(tmp_path: Path) -> None:
    name = "x" * (107 - len(str(tmp_path)) - 1)
    opened = open_unix(str(tmp_path / name), 0o600)
    opened.listening.close()


def test_somebody_else_s_socket_is_not_removed(path: str) -> None:
    opened = open_unix(path, 0o600)
    opened.listening.close()
    again = open_unix(path, 0o600)
    opened.remove()
    assert os.path.exists(path)
    again.listening.close()
    again.remove()
    again.remove()
    assert not os.path.exists(path)


# -- from the service manager


def test_nothing_is_inherited_without_being_told() -> None:
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x", "PATH": "/bin"}
    assert inherited(environment) == []
    assert environment == {"PATH": "/bin"}, "children must not take them for their own"
    assert inherited({}) == []
    assert inherited({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "many"}) == []


def test_what_the_service_manager_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((LOOPBACK, 0)) as listening:
        monkeypatch.setattr("jupyterd.supervision.sockets._FIRST_INHERITED", os.dup(listening.fileno()))
        [found] = inherited({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})
        assert found.getsockname() == listening.getsockname()
        assert not found.getblocking()
        found.close()
