"""What the server says at the start: where it is, and how to get in."""

from __future__ import annotations

from pathlib import Path

from jupyterd.supervision import startup_messages
from tests.supervision.server import server


def test_the_invitation_has_the_words_that_tools_look_for(tmp_path: Path) -> None:
    made = server(tmp_path, port=1, ip="127.0.0.1")
    lines = startup_messages.invitation(made).split("\n")
    assert lines[2:] == [
        "To access the server, open this file in a browser:",
        f"    file://{made.browser_open_file}",
        "Or copy and paste one of these URLs:",
        "    http://127.0.0.1:1/?token=t",
    ]
    made.no_browser_open_file = True
    assert "copy and paste one of these URLs:\n    http://127.0.0.1:1/?token=t" in startup_messages.invitation(made)


def test_no_invitation_where_the_operator_knows_the_token(tmp_path: Path) -> None:
    made = server(tmp_path, port=1, ip="127.0.0.1")
    made.identity_provider.token_generated = False
    assert startup_messages.invitation(made) == ""
    assert "token=t" not in "\n".join(startup_messages.lines_of(made))


def test_a_password_on_a_wildcard_address_shows_where_to_go(tmp_path: Path) -> None:
    made = server(tmp_path, port=1, ip="0.0.0.0")
    made.identity_provider.token = ""
    made.identity_provider.token_generated = False
    assert "listening on all interfaces" in startup_messages.invitation(made)


def test_a_socket_s_invitation(tmp_path: Path) -> None:
    made = server(tmp_path, sock=str(tmp_path / "s"), port=0)
    assert f"ssh -L 8888:{tmp_path / 's'} -N user@this_host" in startup_messages.invitation(made)


def test_what_is_said_at_the_start(tmp_path: Path) -> None:
    made = server(tmp_path, port=1, ip="localhost")
    lines = startup_messages.lines_of(made)
    assert lines[0] == f"Serving notebooks from local directory: {tmp_path}"
    assert lines[1].endswith("is running at:")
    assert lines[2:4] == ["http://localhost:1/?token=t", "    http://127.0.0.1:1/?token=t"]
