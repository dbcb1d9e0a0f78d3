"""Requests to the Hub's API: bounded in time, number and size; redirects are not followed, credentials stay here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.client import RequestGenerationFailed, RequestTransmissionFailed, ResponseFailed
from twisted.web.http_headers import Headers

from jupyterd.hub.errors import HubAway, HubRefuses

if TYPE_CHECKING:
    from treq.client import HTTPClient
    from treq.response import _Response as Response

    from jupyterd.hub.settings import HubOAuth

ANSWER_TIMEOUT = 20.0
"""Seconds for a whole answer."""
AT_ONCE = 8
"""Requests under way at the same time; the others wait."""
MAX_WAITING = 256
"""Requests that wait; one more is not made: somebody tries tokens."""
KNOWN_ALIVE = 2.0
"""Seconds for which a Hub that has answered is taken to be there."""
KNOWN_AWAY = 2.0
"""Seconds for which one that has not is taken to be away."""
MAX_ANSWER = 1024 * 1024
VERSION_HEADER = "X-JupyterHub-Version"

UNREACHABLE = (
    ConnectError, ConnectionClosed, DNSLookupError, RequestGenerationFailed, RequestTransmissionFailed, ResponseFailed,
    DeferredTimeout, CancelledError, OSError,
)  # fmt: skip

Model = dict[str, Any]
"""A user or service as the Hub describes it: ``name``, ``kind``, ``scopes`` ..."""


class Hub:
    """The Hub's API.

    :param http: makes the HTTP client, with the first request.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, settings: HubOAuth, http: Callable[[], HTTPClient]) -> None:
        self._clock = clock
        self._settings = settings
        self._make_http = http
        self._http: HTTPClient | None = None
        self._turns = DeferredSemaphore(AT_ONCE)
        self._answered = -KNOWN_ALIVE
        self._away = -KNOWN_AWAY
        self._probing: list[Deferred[None]] | None = None

    async def alive(self) -> None:
        """Nothing, where the Hub is there. It is not asked more often than needed, and once for all who want to know.

        :raises HubAway: it is not.
        """
        now = self._clock.seconds()
        if now - self._answered < KNOWN_ALIVE:
            return
        if now - self._away < KNOWN_AWAY:
            raise HubAway
        if self._probing is not None:
            waiting: Deferred[None] = Deferred()
            self._probing.append(waiting)
            await waiting
            return
        self._probing = []
        try:
            with suppress(HubRefuses):  # that is an answer too
                await self.version()
        except BaseException as error:
            waiting_too, self._probing = self._probing, None
            for each in waiting_too:
                each.errback(error)
            raise
        waiting_too, self._probing = self._probing, None
        for each in waiting_too:
            each.callback(None)

    async def user_of(self, token: str) -> Model | None:
        """Who a token belongs to, with its scopes; None where the Hub does not know it.

        :raises HubAway: it can not be asked.
        :raises HubRefuses: it does not answer that.
        """
        status, _, body = await self._ask("GET", "/user", token)
        if status in (401, 403, 404):
            return None
        model = _object(status, body)
        if not isinstance(model.get("name"), str) or not isinstance(model.get("scopes"), list):
            raise HubRefuses(status, "The Hub's answer names no user: is HubAuth.api_url right?")
        return model

    async def token_for_code(self, code: str, verifier: str) -> str:
        """The token that a login has led to.

        :param verifier: the secret of PKCE; empty for none.
        :raises HubAway: the Hub can not be asked.
        :raises HubRefuses: the code is none of the Hub's, or was used before.
        """
        fields = {
            "client_id": self._settings.oauth_client_id,
            "client_secret": self._settings.api_token,
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._settings.oauth_redirect_uri,
            **({"code_verifier": verifier} if verifier else {}),
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        status, _, body = await self._send("POST", self._settings.oauth_token_url, headers, urlencode(fields).encode())
        token = _object(status, body).get("access_token")
        if not isinstance(token, str) or not token:
            raise HubRefuses(status, "The Hub gives no token")
        return token

    async def version(self) -> str:
        """The Hub's version; empty where it does not tell.

        :raises HubAway: it can not be reached.
        """
        _, headers, _ = await self._ask("GET", "", "")
        return headers.get(VERSION_HEADER.lower(), "")

    async def post(self, url: str, body: Mapping[str, Any]) -> None:
        """Tell the Hub something in this server's own name.

        :raises HubAway: it can not be reached.
        :raises HubRefuses: it does not take it.
        """
        headers = {"Authorization": f"token {self._settings.api_token}", "Content-Type": "application/json"}
        status, _, answer = await self._send("POST", url, headers, json.dumps(body).encode())
        if status >= 300:
            raise HubRefuses(status, _complaint(status, answer))

    async def _ask(self, method: str, path: str, token: str) -> tuple[int, dict[str, str], bytes]:
        url = self._settings.api_url.rstrip("/") + (path or "/")
        return await self._send(method, url, {"Authorization": f"token {token}"} if token else {}, None)

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, dict[str, str], bytes]:
        if len(self._turns.waiting) >= MAX_WAITING:
            raise HubAway("Too many requests to the Hub wait already")
        await self._turns.acquire()
        try:
            asking = Deferred.fromCoroutine(self._once(method, url, headers, body))
            asking.addTimeout(ANSWER_TIMEOUT, self._clock)
            answer = await asking
            self._answered, self._away = self._clock.seconds(), -KNOWN_AWAY
            return answer
        except UNREACHABLE as error:
            self._answered, self._away = -KNOWN_ALIVE, self._clock.seconds()
            why = getattr(error, "reasons", None) or [error]
            self.log.warn("The Hub at {url} can not be reached: {why}", url=self._settings.api_url, why=str(why[-1]))
            raise HubAway(
                f"The Hub can not be reached at {self._settings.api_url}. Is it accessible at this URL from here?"
            ) from error
        finally:
            self._turns.release()

    async def _once(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, dict[str, str], bytes]:
        if self._http is None:
            self._http = self._make_http()
        sent = Headers({name: [value] for name, value in headers.items()})
        response = await self._http.request(method, url, headers=sent, data=body, allow_redirects=False)
        told = {
            name.decode("latin-1").lower(): values[-1].decode("latin-1")
            for name, values in response.headers.getAllRawHeaders()
        }
        return response.code, told, await _bounded(response)


async def _bounded(response: Response) -> bytes:
    """The body.

    :raises HubRefuses: it is longer than any that a Hub sends.
    """
    pieces: list[bytes] = []
    length = 0

    def take(data: bytes) -> None:
        nonlocal length
        length += len(data)
        if length <= MAX_ANSWER:
            pieces.append(data)

    await response.collect(take)
    if length > MAX_ANSWER:
        raise HubRefuses(response.code, f"The Hub's answer has more than {MAX_ANSWER} bytes")
    return b"".join(pieces)


def _object(status: int, body: bytes) -> Model:
    """The JSON object in an answer.

    :raises HubRefuses: the Hub refuses, or there is none.
    """
    if status >= 300:
        raise HubRefuses(status, f"Failed to check authorization: {_complaint(status, body)}")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise HubRefuses(status, "The Hub's answer is no JSON: is HubAuth.api_url right?")
    return value


def _complaint(status: int, body: bytes) -> str:
    """What a refusal says, in one line."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        told = None
    told = told if isinstance(told, dict) else {}
    words = told.get("error_description") or told.get("message") or told.get("error")
    return " ".join(str(words).split())[:500] if words else f"the Hub answers {status}"
