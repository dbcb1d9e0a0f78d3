"""Signatures: what the standard library computes, for every scheme; no message twice."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterd.kernels.messages.signing import Signer, UnknownScheme

parts = st.lists(st.binary(max_size=200), min_size=4, max_size=6)
SCHEMES = sorted(name for name in hashlib.algorithms_guaranteed if not name.startswith("shake"))


@given(st.binary(min_size=1, max_size=300), st.sampled_from(SCHEMES), parts)
def test_a_signature_is_the_hmac_of_the_first_four_parts(key, name, message) -> None:
    expected = hmac.new(key, b"".join(message[:4]), name).hexdigest().encode()
    signer = Signer(key, f"hmac-{name}")
    assert signer.sign(message) == expected
    assert signer.refusal([expected, *message]) is None


@given(parts, st.integers(0, 3), st.binary(min_size=1, max_size=3))
def test_a_changed_message_is_refused(message, index, more) -> None:
    signer = Signer(b"key")
    signature = signer.sign(message)
    changed = [part + more if number == index else part for number, part in enumerate(message)]
    assert signer.refusal([signature, *changed]) == (
        "signature" if b"".join(changed[:4]) != b"".join(message[:4]) else None
    )


def test_large_messages_are_verified_without_joining() -> None:
    signer = Signer(b"key")
    message = [b"h", b"p", b"m", memoryview(bytes(100_000))]
    assert signer.refusal([signer.sign(message), *message]) is None


def test_an_unsigned_message_is_refused_where_there_is_a_key() -> None:
    assert Signer(b"key").refusal([b"", b"{}", b"{}", b"{}", b"{}"]) == "no signature"


def test_no_message_is_taken_twice() -> None:
    signer = Signer(b"key", history=4)
    said = [[b"%d" % number, b"", b"", b""] for number in range(10)]
    for message in said:
        assert signer.refusal([signer.sign(message), *message]) is None
    assert signer.refusal([signer.sign(said[-1]), *said[-1]]) == "replay"
    assert signer.refusal([signer.sign(said[0]), *said[0]]) is None, "the oldest are forgotten"


def test_without_a_key_nothing_is_signed_or_refused() -> None:
    signer = Signer(b"")
    assert signer.sign([b"{}"] * 4) == b""
    assert signer.refusal([b"whatever", b"{}", b"{}", b"{}", b"{}"]) is None


@pytest.mark.parametrize(
    "scheme", ["", "sha256", "hmac-", "hmac-nope", "hmac-new", "hmac-algorithms_available", "cmac-sha256"]
)
def test_unknown_schemes_are_named(scheme) -> None:
    with pytest.raises(UnknownScheme):
        Signer(b"key", scheme)
