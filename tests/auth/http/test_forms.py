"""Forms in bodies, of both kinds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterd.auth.http.forms import MAX_FIELDS, MAX_PART_HEAD, MULTIPART, URLENCODED, fields_of, is_form
from jupyterd.web.server.request import XSRF_FORM_BYTES
from tests.auth.serving import TOKEN, guarded_site, jar, logged_in, sent

TYPE = f"{MULTIPART}; boundary=limit"


def part(name: str, value: str, more: str = "") -> bytes:
    return f'--limit\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'.encode()


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--limit--\r\n"


def test_fields_of_both_kinds() -> None:
    assert fields_of(b"a=1&a=%20&b=", URLENCODED + "; charset=UTF-8") == {"a": ["1", " "], "b": [""]}
    assert fields_of(form(part("a", "1"), part("a", "\r\n"), part("b", "")), TYPE) == {"a": ["1", "\r\n"], "b": [""]}
    assert fields_of(form(part("a", "é")), f'{MULTIPART}; charset=x; boundary="limit"') == {"a": ["é"]}
    assert fields_of(b"before\r\n" + form(part("a", "1")), TYPE.upper().replace("LIMIT", "limit")) == {"a": ["1"]}


def test_files_are_no_fields() -> None:
    assert fields_of(form(part("_xsrf", "x", '; filename="a.txt"'), part("b", "2")), TYPE) == {"b": ["2"]}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"a=1", "text/plain"),
        (b"a=1", ""),
        (b"a=1", "multipart/form-dataxyz; boundary=limit"),
        (form(part("a", "1")), MULTIPART),
        (form(part("a", "1")), f"{MULTIPART}; boundary="),
        (form(part("a", "1")), f"{MULTIPART}; boundary={'x' * 300}"),
        (part("a", "1"), TYPE),
        (b"--limit--", TYPE),
        (form(b"--limit\r\na"), TYPE),
        (form(b'--limit\r\nContent-Disposition: form-data; name="a"\r\n\r\n1'), TYPE),
        (form(b'--limit\r\nContent-Disposition: attachment; name="a"\r\n\r\n1\r\n'), TYPE),
        (form(part("", "1")), TYPE),
        (form(part("a", "1", "; x=" + "x" * MAX_PART_HEAD)), TYPE),
        (form(*[part("a", "1")] * (MAX_FIELDS + 1)), TYPE),
        (b"&".join([b"a=1"] * (MAX_FIELDS + 1)), URLENCODED),
        (form(part("a", "1")), f'{MULTIPART}; x="; boundary=limit'),
        (form(b"--limit\r\nContent-Disposition: form-data; name*=x; name*0=y\r\n\r\n1\r\n"), TYPE),
    ],
)
def test_what_is_no_form_has_no_fields(body: bytes, content_type: str) -> None:
    assert fields_of(body, content_type) == {}


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('form-data; name="a;b"', "a;b"),
        (r'form-data; name="a\"\\b"', r'a"\b'),
        ('form-data; x="name=no" ; Name = a ;', "a"),
        ("form-data;; name=a; name=b", "a"),
    ],
)
def test_names_of_fields_as_clients_write_them(header: str, name: str) -> None:
    body = f"--limit\r\ncontent-disposition:{header}\r\n\r\n1\r\n--limit--".encode()
    assert fields_of(body, TYPE) == {name: ["1"]}


@pytest.mark.parametrize("filler", [";", '"', "; ", ';x="', '; x="\\"', "; x", " ", "\\"])
def test_a_header_of_a_stranger_takes_no_longer_than_it_is_long(filler: str) -> None:
    """By a parser that looks at all of it again for each character these would take hours."""
    many = 1_000_000
    assert fields_of(b"x", f'{MULTIPART}; x="' + filler * many) == {}
    assert fields_of(b"x", f"{MULTIPART}; x=" + filler * many) == {}


def test_as_many_fields_as_are_looked_at() -> None:
    assert fields_of(form(*[part("a", "1")] * MAX_FIELDS), TYPE) == {"a": ["1"] * MAX_FIELDS}
    assert not is_form("application/json")


@given(st.binary(), st.text(max_size=30))
def test_any_bytes(body: bytes, parameter: str) -> None:
    for kind in (URLENCODED, MULTIPART):
        fields_of(body, f"{kind}; {parameter}")
        fields_of(b"--limit\r\n" + body + b"\r\n--limit--", f"{kind}; boundary=limit; {parameter}")


# -- through the guard


def test_token_in_a_multipart_form() -> None:
    site, _ = guarded_site()
    cookies = logged_in(site)
    right = cookies["_xsrf"]

    def status(*parts: bytes) -> int:
        headers = {"Cookie": sent(cookies), "Content-Type": TYPE}
        return site.request("POST", "/api/things", body=form(*parts), headers=headers).status

    assert status(part("_xsrf", right)) == 200
    assert status(part("a", "1"), part("_xsrf", "wrong"), part("_xsrf", right)) == 200
    assert status(part("_xsrf", right), part("_xsrf", "wrong")) == 403
    assert status(part("_xsrf", right, '; filename="f"')) == 403
    assert status(part("a", "1")) == 403


def test_login_by_a_multipart_form() -> None:
    site, _ = guarded_site()
    cookies = jar(site.request("GET", "/login"))
    headers = {"Cookie": sent(cookies), "Content-Type": TYPE}
    body = form(part("_xsrf", cookies["_xsrf"]), part("password", TOKEN))
    assert site.request("POST", "/login", body=body, headers=headers).status == 302
    body = form(part("_xsrf", cookies["_xsrf"]), part("password", TOKEN, '; filename="f"'))
    assert site.request("POST", "/login", body=body, headers=headers).status == 401


@pytest.mark.parametrize("chunked", [False, True])
def test_form_whose_token_is_in_the_body_is_bounded(chunked: bool) -> None:
    site, _ = guarded_site()
    cookies = logged_in(site)
    connection = site.connect()
    head = f"POST /api/things HTTP/1.1\r\nHost: 127.0.0.1:8888\r\nCookie: {sent(cookies)}\r\nContent-Type: {TYPE}\r\n"
    size = XSRF_FORM_BYTES + 1
    if chunked:
        connection.send(f"{head}Transfer-Encoding: chunked\r\n\r\n{size:x}\r\n".encode() + b"x" * size)
    else:
        connection.send(f"{head}Content-Length: {size}\r\n\r\n".encode())
    assert connection.received().startswith(b"HTTP/1.1 413 ")


def test_empty_token_in_the_query_leaves_the_header_to_be_read() -> None:
    site, _ = guarded_site()
    cookies = logged_in(site)
    headers = {"Cookie": sent(cookies), "X-XSRFToken": cookies["_xsrf"]}
    assert site.request("POST", "/api/things?_xsrf=", body=b"{}", headers=headers).status == 200
