"""Requests to the gateway: bounded in time and size, never sent on to anybody else, their failures in our own terms.

By TCP, or to a UNIX socket.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import (
    URI,
    FileBodyProducer,
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseDone,
    ResponseFailed,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IResponse
from zope.interface import implementer

from jupyterd.errors import JupyterdError, NotFound, TimedOut, Unavailable, Upstream
from jupyterd.gateway.credentials import Credentials
from jupyterd.gateway.settings import GatewayClient

EVENT = "https://events.jupyter.org/jupyter_server/gateway_client/v1"

AT_ONCE = 32
"""Requests under way at the same time; the others wait."""

AGAIN = ("GET", "DELETE")
AGAIN_STATUS = (502, 503, 504)
PAUSE = 0.1
"""Seconds before the first repetition, twice as many before each further one."""

UNREACHABLE = (
    ConnectError, ConnectionClosed, RequestGenerationFailed, RequestTransmissionFailed, ResponseFailed,
    OSError,
)  # fmt: skip

Emit = Callable[[str, dict[str, Any]], None]


class Unusable(Upstream):
    """The gateway's answer is not what a gateway answers; no further try would change that."""

    def __init__(self, message: str) -> None:
        super().__init__(502, message)


@dataclass(frozen=True)
class Answer:
    """What the gateway answered."""

    status: int
    headers: Headers
    body: bytes

    def json(self) -> Any:
        """Its body, decoded.

        :raises Unusable: it is no JSON.
        """
        try:
            return json.loads(self.body)
        except ValueError:
            raise Unusable("The gateway's answer is no JSON: is GatewayClient.url right?") from None


class Gateway:
    """The gateway's REST API.

    :param agent: sends requests; follows no redirects.
    :param emit: tells the event bus.
    :param repeats: how often a request is repeated that changes nothing by that.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        settings: GatewayClient,
        credentials: Credentials,
        agent: IAgent,
        emit: Emit,
        repeats: int = 2,
    ) -> None:
        self._clock = clock
        self.settings = settings
        self.credentials = credentials
        self._agent = agent
        self._emit = emit
        self._repeats = repeats
        self._turns = DeferredSemaphore(AT_ONCE)
        parts = urlsplit(str(settings.url))
        self._base = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    async def ask(
        self, method: str, endpoint: str, *segments: str, query: Mapping[str, str] | None = None, body: Any = None
    ) -> Answer:
        """One request.

        :param endpoint: the path of a setting.
        :param segments: what follows it, not yet quoted.
        :param body: sent as JSON; None for none.
        :raises Upstream: the gateway refused.
        :raises Unavailable: it can not be reached.
        :raises TimedOut: it did not answer in time.
        :raises NotFound: its name is not known.
        """
        url = self._base + path_of(endpoint, segments) + (f"?{urlencode(query)}" if query else "")
        try:
            answer = await self._repeated(method, url, body)
        except JupyterdError as error:
            self._tell("error", getattr(error, "status_code", 503), error.message)
            raise
        self._tell("success", 200, "success")
        return answer

    def _tell(self, status: str, code: int, message: str) -> None:
        self._emit(EVENT, {"status": status, "status_code": code, "msg": message})

    async def _repeated(self, method: str, url: str, body: Any) -> Answer:
        for number in range(self._repeats if method in AGAIN else 0):
            try:
                return await self._once(method, url, body)
            except (Unavailable, TimedOut, Upstream) as error:
                if isinstance(error, Unusable) or getattr(error, "status_code", 503) not in AGAIN_STATUS:
                    raise
                self.log.info("{method} {url} is repeated: {why}", method=method, url=url, why=error.message)
            await deferLater(self._clock, PAUSE * 2**number)
        return await self._once(method, url, body)

    async def _once(self, method: str, url: str, body: Any) -> Answer:
        await self._turns.acquire()
        try:
            patience, _ = self.settings.patience
            asking = Deferred.fromCoroutine(self._send(method, url, body))
            asking.addTimeout(patience, self._clock, _too_late)
            answer = await asking
        except DNSLookupError:
            raise NotFound(f"The gateway's host is not known: {urlsplit(url).hostname}") from None
        except (DeferredTimeout, ConnectTimeout, CancelledError):
            raise TimedOut(f"The gateway at {self._base} does not answer in time") from None
        except UNREACHABLE as error:
            raise Unavailable(f"The gateway at {self._base} can not be reached: {_why(error)}") from error
        finally:
            self._turns.release()
        if answer.status >= 300:
            raise self._refusal(answer)
        return answer

    async def _send(self, method: str, url: str, body: Any) -> Answer:
        headers = Headers({name: [value] for name, value in (await self.credentials.headers()).items()})
        producer = None
        if body is not None:
            headers.setRawHeaders("Content-Type", ["application/json"])
            producer = FileBodyProducer(BytesIO(json.dumps(body).encode()))
        response = await self._agent.request(method.encode(), url.encode(), headers, producer)
        return Answer(response.code, response.headers, await self._body(response))

    async def _body(self, response: IResponse) -> bytes:
        limit = int(self.settings.answer_limit)
        collector = Collector(limit)
        response.deliverBody(collector)
        body = await collector.done
        if body is None:
            raise Unusable(f"The gateway's answer is larger than GatewayClient.answer_limit ({limit} bytes)")
        return body

    def _refusal(self, answer: Answer) -> Upstream:
        if answer.status < 400:
            where = urlsplit((answer.headers.getRawHeaders("location") or [""])[-1])
            return Unusable(
                "The gateway sends its clients elsewhere"
                + (f" ({where.scheme}://{where.hostname})" if where.hostname else "")
                + ", where credentials do not follow: is GatewayClient.url right?",
            )
        message, reason = _said(answer)
        return Upstream(answer.status, f"Error from the gateway: {message}", reason)


class Collector(Protocol):
    """Collects a body, as long as it is not too long.

    :ivar done: fires with the body, or with None where it is longer than ``limit``.
    """

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._pieces: list[bytes] = []
        self.done: Deferred[bytes | None] = Deferred(self._abort)

    def _abort(self, _: Any = None) -> None:
        abort = getattr(self.transport, "abortConnection", None)
        if abort is not None:
            abort()

    def dataReceived(self, data: bytes) -> None:
        """See :class:`Protocol`."""
        self._left -= len(data)
        if self._left >= 0:
            self._pieces.append(data)
        elif not self.done.called:
            self._pieces.clear()
            self.done.callback(None)
            self._abort()

    def connectionLost(self, reason: Failure = ...) -> None:  # type: ignore[assignment]
        """See :class:`Protocol`."""
        if self.done.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(b"".join(self._pieces))
        else:
            self.done.errback(reason)


def _too_late(_: Any, seconds: float) -> Any:
    """Whatever the cut off connection says."""
    raise DeferredTimeout(f"{seconds:g} s")


def path_of(endpoint: str, segments: Sequence[str]) -> str:
    """A URL's path."""
    return "/" + "/".join([endpoint.strip("/"), *(quote(segment, safe="") for segment in segments)])


def _said(answer: Answer) -> tuple[str, str | None]:
    """Message and reason of a refusal, as far as it gives them."""
    phrase = f"{answer.status} {HTTPStatus(answer.status).phrase}" if answer.status in _KNOWN else str(answer.status)
    try:
        said = json.loads(answer.body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        return phrase, None
    message, reason = said.get("message"), said.get("reason")
    return str(message or reason or phrase), str(reason) if reason else None


_KNOWN = frozenset(int(status) for status in HTTPStatus)


def _why(error: Exception) -> str:
    reasons = getattr(error, "reasons", None)
    if reasons:
        return _why(reasons[-1].value)
    text = str(error)
    return text or type(error).__name__


@implementer(IAgentEndpointFactory)
class UnixEndpoints:
    """Leads an HTTP client to the sockets that ``http+unix`` URLs name.

    :param timeout: seconds to connect.
    """

    def __init__(self, reactor: Any, timeout: float) -> None:
        self._reactor = reactor
        self._timeout = timeout

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """See :class:`IAgentEndpointFactory`."""
        return self.of(uri.host.decode("ascii"))

    def of(self, host: str) -> IStreamClientEndpoint:
        """The endpoint of a URL's host: a path, its slashes as ``%2F``."""
        return UNIXClientEndpoint(self._reactor, unquote(host), timeout=self._timeout)
