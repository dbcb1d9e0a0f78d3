"""A kernel that does nothing but speak: small, quick, and loud on demand.

Run by the kernelspec ``bench``. It answers each request as a real kernel does (busy, reply, idle) and takes orders as
code: ``flood COUNT SIZE`` says COUNT numbered ``display_data`` messages whose content has SIZE bytes; ``buffers COUNT
SIZE`` the same with one binary buffer of SIZE bytes each; then comes :data:`END`. Nothing is coalesced and its iopub
queue has no limit: what is missing was lost by the server.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any

import zmq

DELIMITER = b"<IDS|MSG>"
NUMBER = 10
"""Digits of a message's sequence number, the first characters of its text."""
END = b"the end of the flood"
"""The text of the last message of a flood."""


class Kernel:
    """Its sockets, its key, and the answers."""

    def __init__(self, connection: dict[str, Any]) -> None:
        self.session = uuid.uuid4().hex
        self.key = hmac.new(connection["key"].encode(), digestmod=hashlib.sha256)
        self.context = zmq.Context()
        self.shell = self._bind(connection, "shell", zmq.ROUTER)
        self.control = self._bind(connection, "control", zmq.ROUTER)
        self.stdin = self._bind(connection, "stdin", zmq.ROUTER)
        self.heart = self._bind(connection, "hb", zmq.REP)
        self.iopub = self._bind(connection, "iopub", zmq.PUB)
        self.count = 0
        self.alive = True

    def _bind(self, connection: dict[str, Any], channel: str, kind: int) -> zmq.Socket[bytes]:
        sock = self.context.socket(kind)
        sock.linger = 1000
        sock.sndhwm = sock.rcvhwm = 0
        between = "-" if connection["transport"] == "ipc" else ":"
        sock.bind(f"{connection['transport']}://{connection['ip']}{between}{connection[channel + '_port']}")
        return sock

    def signature(self, *parts: bytes) -> bytes:
        mac = self.key.copy()
        for part in parts:
            mac.update(part)
        return mac.hexdigest().encode()

    def header(self, msg_type: str) -> bytes:
        self.count += 1
        return (
            b'{"msg_id": "%s_%d", "msg_type": "%s", "username": "bench", "session": "%s", '
            b'"date": "2026-01-01T00:00:00.000000Z", "version": "5.3"}'
            % (self.session.encode(), self.count, msg_type.encode(), self.session.encode())
        )

    def say(self, msg_type: str, content: bytes, parent: bytes, *buffers: bytes) -> None:
        """Send one message on iopub."""
        header = self.header(msg_type)
        signature = self.signature(header, parent, b"{}", content)
        self.iopub.send_multipart([msg_type.encode(), DELIMITER, signature, header, parent, b"{}", content, *buffers])

    def answer(self, sock: zmq.Socket[bytes]) -> None:
        frames = sock.recv_multipart()
        cut = frames.index(DELIMITER)
        who, (header, _, _, content) = frames[:cut], frames[cut + 2 : cut + 6]
        msg_type = json.loads(header)["msg_type"]
        self.say("status", b'{"execution_state": "busy"}', header)
        reply = self.obey(msg_type, json.loads(content), header)
        answer = self.header(msg_type.replace("_request", "_reply"))
        signature = self.signature(answer, header, b"{}", reply)
        sock.send_multipart([*who, DELIMITER, signature, answer, header, b"{}", reply])
        self.say("status", b'{"execution_state": "idle"}', header)

    def obey(self, msg_type: str, content: dict[str, Any], parent: bytes) -> bytes:
        """Do what the request asks; the reply's content."""
        if msg_type == "execute_request":
            self.execute(content["code"], parent)
            return b'{"status": "ok", "execution_count": 1, "user_expressions": {}, "payload": []}'
        if msg_type == "shutdown_request":
            self.alive = False
            return b'{"status": "ok", "restart": false}'
        if msg_type == "kernel_info_request":
            return (
                b'{"status": "ok", "protocol_version": "5.3", "implementation": "bench", '
                b'"implementation_version": "1", "banner": "", "help_links": [], "language_info": '
                b'{"name": "none", "version": "1", "mimetype": "text/plain", "file_extension": ".txt"}}'
            )
        return b'{"status": "ok"}'

    def execute(self, code: str, parent: bytes) -> None:
        order, *numbers = code.split() or [""]
        if order == "flood":
            count, size = map(int, numbers)
            empty = b'{"data": {"text/plain": "%s"}, "metadata": {}, "transient": {}}'
            filling = b"x" * (size - NUMBER - len(empty) + 2)
            for number in range(count):
                self.say("display_data", empty % (b"%0*d%s" % (NUMBER, number, filling)), parent)
        elif order == "buffers":
            count, size = map(int, numbers)
            buffer = os.urandom(size)
            for number in range(count):
                content = b'{"data": {"text/plain": "%0*d"}, "metadata": {}, "transient": {}}' % (NUMBER, number)
                self.say("display_data", content, parent, buffer)
        else:
            self.say("execute_input", b'{"code": "", "execution_count": 1}', parent)
            return
        self.say("stream", b'{"name": "stdout", "text": "%s"}' % END, parent)

    def run(self) -> None:
        """Answer until told to stop, or until the server that started this process is gone."""
        parent = os.getppid()
        poller = zmq.Poller()
        for sock in (self.shell, self.control, self.heart):
            poller.register(sock, zmq.POLLIN)
        while self.alive and os.getppid() == parent:
            for sock, _ in poller.poll(1000):
                if sock is self.heart:
                    sock.send(sock.recv())
                else:
                    self.answer(sock)
        self.context.destroy(linger=1000)


if __name__ == "__main__":
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Kernel(json.loads(Path(sys.argv[1]).read_bytes())).run()
