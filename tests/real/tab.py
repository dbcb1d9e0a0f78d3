"""One tab: an independent websocket client (websocket-client) that speaks both of the kernel websocket protocols."""

from __future__ import annotations

import json
import ssl
import struct
import time
import uuid
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import websocket

from tests.real.daemon import TOKEN, Daemon

V1 = "v1.kernel.websocket.jupyter.org"
PARTS = ("header", "parent_header", "metadata", "content")
Message = dict[str, Any]
NEVER_DROPS = """
import zmq
iopub = get_ipython().kernel.iopub_thread
iopub.schedule(lambda: iopub.socket.set(zmq.SNDHWM, 0))
"""
"""Code after which ipykernel keeps all that it says until it is heard. By itself it drops what is a thousand messages
ahead, without a word: so it does on a busy machine, whoever listens."""


class Tab:
    """A client of one kernel. ``protocol`` is "" for the default JSON protocol, or :data:`V1`."""

    def __init__(
        self, daemon: Daemon, kernel_id: str, protocol: str = "", session: str | None = None, token: str = TOKEN
    ) -> None:
        self.protocol = protocol
        self.session = session or uuid.uuid4().hex
        where = f"localhost:{daemon.port}" if daemon.port else "localhost"
        self.socket = websocket.create_connection(
            f"{'wss' if daemon.tls else 'ws'}://{where}{daemon.base}/api/kernels/{kernel_id}/channels?session_id={self.session}",
            subprotocols=[protocol] if protocol else None,
            header=[f"Authorization: token {token}"],
            suppress_origin=True,
            skip_utf8_validation=True,  # it looks at each byte in Python; who decodes JSON sees to it
            timeout=60,
            sslopt={"cert_reqs": ssl.CERT_NONE, "check_hostname": False} if daemon.tls else None,
            **({"socket": daemon.connection_socket()} if daemon.sock else {}),
        )
        spoken = self.socket.getsubprotocol() or ""
        assert spoken == protocol, f"the server speaks {spoken!r}"

    def close(self) -> None:
        self.socket.close()

    def drop(self) -> None:
        """Vanish without a word, as a laptop does that is closed."""
        self.socket.sock.close()
        self.socket.sock = None

    def send(
        self,
        msg_type: str,
        content: Any,
        channel: str = "shell",
        buffers: Sequence[bytes] = (),
        parent: Message | None = None,
    ) -> str:
        """Send one message; its id."""
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": msg_type,
            "session": self.session,
            "username": "me",
            "date": "2026-01-01T00:00:00.000000Z",
            "version": "5.3",
        }
        message = {"header": header, "parent_header": parent or {}, "metadata": {}, "content": content}
        if self.protocol == V1:
            parts = [channel.encode(), *(json.dumps(message[part]).encode() for part in PARTS), *buffers]
            self.socket.send_binary(_with_offsets("<Q", parts))
        elif buffers:
            text = json.dumps({"channel": channel, **message}).encode()
            self.socket.send_binary(_with_offsets("!I", [text, *buffers], end=False))
        else:
            self.socket.send(json.dumps({"channel": channel, **message, "buffers": []}))
        return header["msg_id"]

    def execute(self, code: str, **content: Any) -> str:
        rest = {"silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        return self.send("execute_request", {"code": code, **rest, **content})

    def receive(self, timeout: float = 60.0) -> Message:
        deadline = time.monotonic() + timeout
        while True:
            # Pings are looked at here, so that they do not put the deadline off.
            self.socket.settimeout(max(0.1, deadline - time.monotonic()))
            opcode, data = self.socket.recv_data(control_frame=True)
            if opcode in (websocket.ABNF.OPCODE_PING, websocket.ABNF.OPCODE_PONG):
                if time.monotonic() > deadline:
                    raise websocket.WebSocketTimeoutException("only pings came")
                continue
            assert opcode in (1, 2), f"no message but opcode {opcode}: {data!r}"
            return decode(data, self.protocol)

    def until(self, wanted: Callable[[Message], bool], timeout: float = 60.0) -> list[Message]:
        """All messages up to the first that is wanted, it included."""
        messages, deadline = [], time.monotonic() + timeout
        while True:
            message = self.receive(max(0.1, deadline - time.monotonic()))
            messages.append(message)
            if wanted(message):
                return messages

    def until_done(self, msg_id: str, timeout: float = 60.0) -> list[Message]:
        """All messages until ``msg_id`` has both its reply and the idle status after it; those of others left out."""
        wanted = {"reply", "idle"}

        def last(message: Message) -> bool:
            if parent_id(message) == msg_id:
                if message["header"]["msg_type"].endswith("_reply"):
                    wanted.discard("reply")
                if message["content"].get("execution_state") == "idle":
                    wanted.discard("idle")
            return not wanted

        return [m for m in self.until(last, timeout) if parent_id(m) == msg_id]

    def ready(self) -> Tab:
        """Wait until the kernel has answered and iopub is heard."""
        deadline = time.monotonic() + 60.0
        while True:
            try:
                self.until_done(self.send("kernel_info_request", {}), 2.0)
                return self
            except websocket.WebSocketTimeoutException:
                assert time.monotonic() < deadline, "the kernel was not ready in 60 s"


def parent_id(message: Message) -> str | None:
    return message["parent_header"].get("msg_id")


def once(messages: Sequence[Message]) -> list[Message]:
    """Each message once: after a reset some may come twice."""
    return list({m["header"]["msg_id"]: m for m in messages}.values())


def of_type(messages: Sequence[Message], msg_type: str) -> list[Message]:
    return [m for m in messages if m["header"]["msg_type"] == msg_type]


def printed(messages: Sequence[Message]) -> str:
    return "".join(m["content"]["text"] for m in of_type(messages, "stream"))


def decode(data: bytes, protocol: str) -> Message:
    view = memoryview(data)
    if protocol == V1:
        (count,) = struct.unpack_from("<Q", data)
        channel, *parts = [view[a:b] for a, b in pairwise(struct.unpack_from(f"<{count}Q", data, 8))]
        message = {name: json.loads(bytes(part)) for name, part in zip(PARTS, parts, strict=False)}
        return {"channel": bytes(channel).decode(), "buffers": [bytes(b) for b in parts[4:]], **message}
    if data[:1] == b"{":
        return dict(json.loads(data))
    (count,) = struct.unpack_from("!I", data)
    text, *buffers = [view[a:b] for a, b in pairwise((*struct.unpack_from(f"!{count}I", data, 4), len(data)))]
    return {**json.loads(bytes(text)), "buffers": [bytes(b) for b in buffers]}


def _with_offsets(form: str, parts: Sequence[bytes], end: bool = True) -> bytes:
    """The count of offsets, the offsets (of each part's start, and of the end if ``end``), the parts."""
    order, size = form[0], struct.calcsize(form)
    count = len(parts) + (1 if end else 0)
    offsets = [size * (count + 1)]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    return b"".join([struct.pack(f"{order}{count + 1}{form[1]}", count, *offsets[:count]), *parts])
