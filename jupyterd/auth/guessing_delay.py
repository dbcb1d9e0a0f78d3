"""Delays against guessing: each wrong password or token from an address makes its next answer slower.

Kept for the addresses that guessed last, a bounded number of them. Sending the same wrong secret again, as a
program with an outdated token does, is not guessing and changes nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from jupyterd.web.refusal import Refusal

FREE_ATTEMPTS = 3
FIRST_DELAY = 0.25  # seconds; doubles with each failure
MAX_DELAY = 8.0  # seconds
FORGIVEN_AFTER = 60.0  # seconds until one failure is forgotten
MAX_ADDRESSES = 4096
MAX_WAITING = 64  # answers held back at once, all addresses together


@dataclass
class _Record:
    failures: float = 0.0
    at: float = 0.0
    busy_until: float = 0.0
    last_wrong: bytes = b""


@dataclass(eq=False)
class GuessingDelay:
    """Counts wrong secrets by source address and says how long an answer has to wait.

    :param clock: what time is read from.
    """

    clock: IReactorTime
    _records: OrderedDict[str, _Record] = field(default_factory=OrderedDict)
    _salt: bytes = field(default_factory=lambda: os.urandom(16))
    _held: int = 0

    def wait(self, address: str) -> float:
        """Seconds until ``address`` may be told whether its secret is right.

        Waits add up, so that guesses sent side by side gain nothing. Above :data:`MAX_DELAY` do not hold the
        answer: refuse.
        """
        record = self._records.get(_network(address))
        if record is None:
            return 0.0
        now = self.clock.seconds()
        delay = self._delay(record, now)
        if not delay:
            return 0.0
        start = max(now, record.busy_until)
        if start - now > MAX_DELAY:
            return start - now
        record.busy_until = start + delay
        return record.busy_until - now

    def backlog(self, address: str) -> float:
        """Seconds until what ``address`` asked already has been answered."""
        record = self._records.get(_network(address))
        return 0.0 if record is None else max(0.0, record.busy_until - self.clock.seconds())

    def failed(self, address: str, secret: str) -> None:
        """``address`` showed a wrong secret."""
        key = _network(address)
        now = self.clock.seconds()
        record = self._records.setdefault(key, _Record(at=now))
        self._records.move_to_end(key)
        if len(self._records) > MAX_ADDRESSES:
            self._records.popitem(last=False)
        mark = hashlib.blake2b(secret.encode("utf-8", "surrogatepass"), key=self._salt, digest_size=8).digest()
        if mark == record.last_wrong:
            return
        record.last_wrong = mark
        record.failures = self._failures(record, now) + 1.0
        record.at = now

    def succeeded(self, address: str) -> None:
        """``address`` showed the right secret: what it got wrong before is forgotten."""
        self._records.pop(_network(address), None)

    def hold(self, address: str, refusal: Refusal) -> Refusal | Deferred[Refusal | None]:
        """``refusal``, after the time that ``address`` has to wait; 429 where that is too long."""
        seconds = self.wait(address)
        if not seconds:
            return refusal
        if seconds > MAX_DELAY or not self.take_place():
            return too_many(seconds)
        held: Deferred[Refusal | None] = Deferred()
        self.clock.callLater(seconds, self._release, held, refusal)
        return held

    def take_place(self) -> bool:
        """Whether one more answer may be held back; :meth:`leave_place` when it is given."""
        if self._held >= MAX_WAITING:
            return False
        self._held += 1
        return True

    def leave_place(self) -> None:
        """An answer that was held back is given."""
        self._held -= 1

    def _release(self, held: Deferred[Refusal | None], refusal: Refusal) -> None:
        self.leave_place()
        held.callback(refusal)

    def __len__(self) -> int:
        return len(self._records)

    @staticmethod
    def _failures(record: _Record, now: float) -> float:
        return max(0.0, record.failures - (now - record.at) / FORGIVEN_AFTER)

    def _delay(self, record: _Record, now: float) -> float:
        failures = self._failures(record, now)
        if failures < FREE_ATTEMPTS:
            return 0.0
        return float(min(MAX_DELAY, FIRST_DELAY * 2.0 ** min(16.0, failures - FREE_ATTEMPTS)))


def too_many(seconds: float) -> Refusal:
    """What who guesses too fast is told."""
    headers = (("Retry-After", str(int(seconds) + 1)),)
    return Refusal(429, "Too many wrong passwords or tokens; try again later", headers=headers, check="guesses")


def _network(address: str) -> str:
    """What is counted as one source: an IPv4 address, or the /64 that one IPv6 subscriber has."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped) if parsed.ipv4_mapped else parsed.packed[:8].hex()
    return str(parsed)
