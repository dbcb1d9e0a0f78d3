"""What the daemon says of a request, and whom the host believes."""

from __future__ import annotations

import pytest

from jupyterd.extensions.signed_requests import BadSignature, Claim, describe, sign, verify

KEY = b"k" * 32
CLAIM = Claim({"username": "ada", "name": "Ada"}, True, 7, 1000.0)


def test_what_was_signed_is_read() -> None:
    assert verify(KEY, b"GET", b"/x?y", *sign(KEY, b"GET", b"/x?y", CLAIM), now=1001.0) == CLAIM


@pytest.mark.parametrize(
    ("key", "method", "target"), [(b"z" * 32, b"GET", b"/x"), (KEY, b"POST", b"/x"), (KEY, b"GET", b"/y")]
)
def test_of_another_key_method_or_target_nothing_is_believed(key: bytes, method: bytes, target: bytes) -> None:
    with pytest.raises(BadSignature):
        verify(key, method, target, *sign(KEY, b"GET", b"/x", CLAIM), now=1000.0)


def test_another_claim_under_the_same_mac_is_not_believed() -> None:
    _, mac = sign(KEY, b"GET", b"/x", CLAIM)
    other, _ = sign(b"other", b"GET", b"/x", Claim({"username": "eve"}, time=1000.0))
    with pytest.raises(BadSignature):
        verify(KEY, b"GET", b"/x", other, mac, now=1000.0)


@pytest.mark.parametrize("now", [0.0, 1301.0])
def test_an_old_one_is_not_believed(now: float) -> None:
    with pytest.raises(BadSignature, match="old"):
        verify(KEY, b"GET", b"/x", *sign(KEY, b"GET", b"/x", CLAIM), now=now)


def test_of_a_foreign_user_what_it_has_is_told() -> None:
    class Foreign:
        username = "bob"
        avatar_url = None
        secret = "s"

    assert describe(Foreign()) == {"username": "bob"}
