"""Passwords, signed values, cookies, XSRF tokens, users: what is read is what was written, and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterd.auth.http import cookies
from jupyterd.auth.http import signed_values as signing
from jupyterd.auth.http import xsrf_tokens as xsrf
from jupyterd.auth.passwords import passwd, passwd_check, set_password
from jupyterd.auth.user import User, anonymous_user, as_user, from_json, to_json

SECRET = b"0123456789abcdef"
NOW = 1_700_000_000.0
NAMES = st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True)


# -- passwords


def test_argon2_hash_verifies_and_is_of_the_known_form() -> None:
    hashed = passwd("sésame")
    assert hashed.startswith("argon2:$argon2id$v=19$m=10240,t=10,p=8$")
    assert passwd_check(hashed, "sésame")
    assert not passwd_check(hashed, "sesame")


def test_known_sha1_hash_verifies() -> None:
    # The example in the reference's documentation of passwd_check.
    known = "sha1:0e112c3ddfce:a68df677475c2b47b6e86d0467eec97ac5f4b85a"
    assert passwd_check(known, "mypassword")
    assert not passwd_check(known, "otherpassword")


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512", "blake2b"])
def test_salted_digests_verify(algorithm: str) -> None:
    hashed = passwd("x", algorithm)
    assert passwd_check(hashed, "x")
    assert not passwd_check(hashed, "")


@pytest.mark.parametrize(
    "hashed",
    [
        "",
        ":",
        "::",
        "sha1",
        "sha1:salt",
        "sha1:salt:",
        "nosuch:salt:00",
        "argon2:",
        "argon2:$argon2id$junk",
        "shake_128:a:b",
        "sha1:a:é",
    ],
)
def test_what_is_not_a_hash_matches_nothing(hashed: str) -> None:
    assert not passwd_check(hashed, "")
    assert not passwd_check(hashed, "x")


def test_endless_password_is_not_hashed() -> None:
    assert not passwd_check(passwd("x" * 5000, "sha256"), "x" * 5000)


def test_password_is_asked_for_twice(capsys: pytest.CaptureFixture[str]) -> None:
    answers = iter(["a", "b", "c", "c"])
    assert passwd_check(passwd(algorithm="sha256", ask=lambda _: next(answers)), "c")
    assert "do not match" in capsys.readouterr().out
    letters = iter("abcdef")
    with pytest.raises(ValueError, match="Giving up"):
        passwd(ask=lambda _: next(letters))


def test_set_password_keeps_the_rest_of_the_file_and_is_private(tmp_path: object) -> None:
    path = os.path.join(str(tmp_path), "new", "jupyter_server_config.json")
    os.makedirs(os.path.dirname(path))
    with open(path, "w") as file:
        json.dump({"ServerApp": {"port": 1}, "IdentityProvider": {"token": "t"}}, file)
    hashed = set_password("secret", path)
    with open(path) as file:
        config = json.load(file)
    assert config == {"ServerApp": {"port": 1}, "IdentityProvider": {"token": "t", "hashed_password": hashed}}
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert passwd_check(hashed, "secret")
    assert os.listdir(os.path.dirname(path)) == ["jupyter_server_config.json"]


# -- signed values


@given(NAMES, st.text(max_size=300))
def test_signed_value_comes_back(name: str, value: str) -> None:
    assert signing.unsign(SECRET, name, signing.sign(SECRET, name, value, NOW), NOW) == value


@given(NAMES, st.text(max_size=50), st.integers(0, 400), st.characters(codec="ascii"))
def test_changed_signed_value_is_nothing(name: str, value: str, place: int, other: str) -> None:
    signed = signing.sign(SECRET, name, value, NOW)
    place %= len(signed)
    changed = signed[:place] + other + signed[place + 1 :]
    assert changed == signed or signing.unsign(SECRET, name, changed, NOW) is None


@given(st.text(max_size=200))
def test_text_of_strangers_is_nothing(text: str) -> None:
    assert signing.unsign(SECRET, "name", text, NOW) is None
    assert signing.unsign(SECRET, "name", "2|" + text, NOW) is None


def test_signature_is_bound_to_name_key_and_age() -> None:
    signed = signing.sign(SECRET, "one", "value", NOW)
    assert signing.unsign(SECRET, "two", signed, NOW) is None
    assert signing.unsign(b"another secret!!", "one", signed, NOW) is None
    assert signing.unsign(SECRET, "one", signed, NOW + 30 * signing.DAY) == "value"
    assert signing.unsign(SECRET, "one", signed, NOW + 32 * signing.DAY) is None
    assert signing.unsign(SECRET, "one", signed, NOW + 2 * signing.DAY, max_age_days=1) is None


def test_form_is_the_one_of_the_reference() -> None:
    # Made by tornado 6.6: create_signed_value(b"0123456789abcdef", "name", "value", clock=lambda: 1700000000).
    body = "2|1:0|10:1700000000|4:name|8:dmFsdWU=|"
    assert signing.sign(SECRET, "name", "value", NOW).startswith(body)


def test_old_signature_form_is_refused() -> None:
    import hmac

    value, when = "dmFsdWU=", "1700000000"
    old = hmac.new(SECRET, b"name" + value.encode() + when.encode(), hashlib.sha1).hexdigest()
    assert signing.unsign(SECRET, "name", f"{value}|{when}|{old}", NOW) is None


# -- cookies


@given(st.dictionaries(NAMES, st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=40), max_size=5))
def test_cookies_come_back(wanted: dict[str, str]) -> None:
    lines = [cookies.set_cookie(name, value, path="/x/", httponly=True) for name, value in wanted.items()]
    # The value ends before the first attribute; a browser sends name=value back as it is.
    header = "; ".join(line.rpartition("; HttpOnly")[0] for line in lines)
    expected = {name: value if '"' in value or not value.endswith(" ") else value for name, value in wanted.items()}
    assert cookies.parse(header) == expected


@given(st.text())
def test_any_cookie_header_is_read(header: str) -> None:
    cookies.parse(header)


def test_attributes_sent_back_by_a_client_do_no_harm() -> None:
    header = "_xsrf=2|a|b|1; username-x-8888=abc; expires=Wed, 23 Dec 2026 05:47:08 GMT; HttpOnly; Path=/"
    assert cookies.parse(header)["username-x-8888"] == "abc"
    assert cookies.parse(header)["_xsrf"] == "2|a|b|1"


def test_of_two_cookies_the_one_with_the_longer_path_counts() -> None:
    assert cookies.parse("a=ours; a=older")["a"] == "ours"


@pytest.mark.parametrize("field", ["name", "path", "domain", "samesite"])
@pytest.mark.parametrize("evil", ["a;b", "a\r\nSet-Cookie: x=y", "a\nb", "a b", "a\x00"])
def test_cookie_attribute_can_not_break_out(field: str, evil: str) -> None:
    arguments = {"name": "n", "value": "v", field: evil}
    with pytest.raises(ValueError, match="not usable"):
        cookies.set_cookie(**arguments)  # type: ignore[arg-type]


def test_cookie_value_can_not_break_out() -> None:
    with pytest.raises(ValueError, match="control"):
        cookies.set_cookie("n", "v\r\nX: y")
    assert cookies.set_cookie("n", "a; HttpOnly") == 'n="a\\073 HttpOnly"; Path=/'


# -- XSRF tokens


@given(st.binary(min_size=1, max_size=32))
def test_xsrf_token_comes_back_under_any_mask(token: bytes) -> None:
    first, second = xsrf.show(token, NOW), xsrf.show(token, NOW)
    assert xsrf.read(first) == xsrf.read(second) == token
    assert xsrf.complaint(first, second, "POST") is None


@given(st.text(max_size=100))
def test_xsrf_token_of_a_stranger_matches_no_cookie(text: str) -> None:
    assert xsrf.complaint(xsrf.show(xsrf.new(), NOW), text, "POST") is not None
    assert xsrf.complaint(None, text, "POST") is not None
    xsrf.complaint(text, xsrf.show(xsrf.new(), NOW), "POST")


def test_xsrf_complaints_name_the_check() -> None:
    token = xsrf.show(xsrf.new(), NOW)
    assert xsrf.complaint(token, None, "POST") == "'_xsrf' argument missing from POST"
    assert xsrf.complaint(token, "2|zz|zz|1", "POST") == "'_xsrf' argument has invalid format"
    assert xsrf.complaint(token, xsrf.show(xsrf.new(), NOW), "DELETE") == "XSRF cookie does not match DELETE argument"
    assert xsrf.complaint(None, token, "POST") == "XSRF cookie does not match POST argument"


def test_bare_hex_token_of_older_clients_is_read() -> None:
    token = xsrf.new()
    assert xsrf.complaint(token.hex(), xsrf.show(token, NOW), "POST") is None


def test_empty_token_never_matches() -> None:
    assert xsrf.complaint("", "", "POST")
    assert xsrf.complaint("2|00000000||1", "2|00000000||1", "POST")


# -- users

TEXT = st.none() | st.text(max_size=20)


@given(st.text(min_size=1, max_size=20), st.text(max_size=20), TEXT, TEXT)
def test_user_comes_back_from_the_cookie(username: str, name: str, initials: str | None, color: str | None) -> None:
    user = User(username, name, initials=initials, color=color)
    assert from_json(to_json(user)) == user


@given(st.text(max_size=80) | st.recursive(st.none() | st.booleans() | st.integers(), st.lists).map(json.dumps))
def test_what_is_not_a_user_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - JSON's own errors are of this kind
        from_json(text)


@pytest.mark.parametrize(
    "fields", [{}, {"username": ""}, {"username": 1}, {"username": "a", "name": 1}, {"username": None}]
)
def test_incomplete_user_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        from_json(json.dumps(fields))


def test_names_are_derived() -> None:
    assert User("ada").display_name == "ada"
    assert User("ada", "Ada Lovelace").display_name == "Ada Lovelace"


def test_users_of_older_login_classes() -> None:
    assert as_user("ada") == User("ada")
    assert as_user({"name": "ada", "color": "red", "more": 1}) == User("ada", "ada", color="red")
    with pytest.raises(ValueError, match="Unrecognized"):
        as_user(1)
    with pytest.raises(ValueError):  # noqa: PT011
        as_user("")


def test_anonymous_users_are_named_after_moons() -> None:
    user = anonymous_user()
    assert user.name.startswith("Anonymous ")
    assert user.initials == f"A{user.name[10]}"
    assert len(user.username) == 32
    assert anonymous_user().username != user.username
