"""Long repetitions through each target: ``python -m tests.fuzz.slow``, by hand, some minutes.

A stranger's 64 KiB must not hold the daemon. What takes a time that grows with the square of its length shows here in
seconds; coverage alone does not lead a fuzzer to it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from itertools import product

LENGTH = 60_000  # bytes; a head has at most 64 KiB
TOO_LONG = 0.3  # CPU seconds
ATOMS = [
    b";",
    b'"',
    b"'",
    b"=",
    b" ",
    b"\\",
    b"a",
    b"/",
    b"../",
    b"%2e",
    b"%3d",
    b"&",
    b"?",
    b"token",
    b"cookie:",
    b"|",
    b"2|1:0|",
    b":",
    b"[",
    b'{"a": ',
    b"@",
    b",",
    b"\n",
    b"\r\n",
    b"\0",
    b"+",
    b"-",
    b"_xsrf=2|",
    b"http://",
    b"--x\r\n",
]
STARTS = [b"", b'x="', b"cookie:", b"x=?"]
LINE = b"GET /api HTTP/1.1\r\nHost: localhost\r\n"
NAMES = (b"Host", b"Cookie", b"Authorization", b"Origin", b"Referer", b"X-XSRFToken", b"Content-Type")
HEADS = [b"", b"GET /", b"GET /?", *(LINE + name + b": " for name in NAMES)]


def inputs(target: str) -> Iterator[bytes]:
    """Each start, filled up with one or two atoms."""
    head = target == "head"
    for start, one, two in product(HEADS if head else STARTS, ATOMS, [b"", *ATOMS]):
        yield start + (one + two) * (LENGTH // len(one + two)) + (b"\r\n\r\n" if head else b"")


def seconds(target: Callable[[bytes], None], data: bytes) -> float:
    """CPU time of one input."""
    begun = time.process_time()
    target(data)
    return time.process_time() - begun


def main() -> int:
    """Run; the exit status is 0 where nothing takes too long."""
    from twisted.internet import asyncioreactor
    from twisted.logger import globalLogPublisher

    asyncioreactor.install()
    from tests.fuzz.targets import TARGETS

    for observer in list(globalLogPublisher._observers):
        globalLogPublisher.removeObserver(observer)
    slow = 0
    for name, target in TARGETS.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        for data in inputs(name):
            if (took := seconds(target, data)) > TOO_LONG:
                slow += 1
                print(f"{name}: {took:.2f} s for {data[:60]!r}...")
    print(f"{slow} inputs take too long")
    return 1 if slow else 0


if __name__ == "__main__":
    raise SystemExit(main())
