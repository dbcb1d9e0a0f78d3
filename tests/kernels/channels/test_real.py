"""Channels against ipykernel: real ZeroMQ, real sockets, a real websocket client."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import uuid

import pytest
import pytest_twisted
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet import endpoints, reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from jupyterd.kernels.channels.kernel_channels import KernelChannels
from jupyterd.kernels.channels.settings import ZMQChannelsWebsocketConnection
from jupyterd.kernels.messages.websocket_codec import CODEC_JSON, CODEC_V1, V1
from jupyterd.kernels.websocket.resource import ChannelsResource
from jupyterd.system.threads import Threads
from jupyterd.testing.deferreds import allowed
from jupyterd.testing.http import OpenGate
from jupyterd.web.root import Root
from jupyterd.web.server.site import Site
from tests.kernels.channels.tabs import Watch
from tests.kernels.messages.test_websocket_codec import read_v1
from tests.real.tab import NEVER_DROPS
from tests.waiting import until

pytestmark = pytest.mark.real


class Client(WebSocketClientProtocol):
    """A tab in another process's place: collects messages, waits for what a test wants."""

    def onOpen(self) -> None:
        self.messages = []
        self.waiting = []
        self.opened.callback(self)

    def onMessage(self, payload, isBinary) -> None:
        if self.codec is CODEC_V1:
            channel, parts = read_v1(payload)
        elif isBinary:
            channel, parts = _json_parts(*CODEC_JSON._split(payload))
        else:
            channel, parts = _json_parts(payload, [])
        message = {
            "channel": channel.decode(), "header": json.loads(parts[0]), "parent": json.loads(parts[1]),
            "content": json.loads(parts[3]), "buffers": [bytes(part) for part in parts[4:]],
        }  # fmt: skip
        self.messages.append(message)
        for wanted, found in list(self.waiting):
            if wanted(message):
                self.waiting.remove((wanted, found))
                found.callback(message)

    def ask(self, msg_type, content, channel="shell", buffers=()):
        msg_id = uuid.uuid4().hex
        header = {"msg_id": msg_id, "msg_type": msg_type, "session": self.session, "username": "", "version": "5.4",
                  "date": "2026-01-01T00:00:00Z"}  # fmt: skip
        if self.codec is CODEC_V1:
            parts = [json.dumps(part).encode() for part in (header, {}, {}, content)]
            self.sendMessage(_payload(CODEC_V1.encode(channel.encode(), [[*parts, *buffers]])), True)
        else:
            text = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": channel}
            self.sendMessage(json.dumps(text).encode(), False)
        return msg_id

    async def until(self, wanted, timeout=30):
        for message in self.messages:
            if wanted(message):
                return message
        found = Deferred()
        self.waiting.append((wanted, found))
        return await found.addTimeout(timeout, reactor)

    async def run(self, code, **content):
        return self.ask("execute_request", {"code": code, "silent": False, "store_history": True,
                                              "user_expressions": {}, "allow_stdin": True, **content})  # fmt: skip

    async def until_idle(self, msg_id):
        await self.until(
            lambda m: m["parent"].get("msg_id") == msg_id and m["content"].get("execution_state") == "idle"
        )
        await self.until(lambda m: m["parent"].get("msg_id") == msg_id and m["header"]["msg_type"].endswith("_reply"))
        return [m for m in self.messages if m["parent"].get("msg_id") == msg_id]


def _payload(frames):
    data = b"".join(frames)
    return data[{126: 4, 127: 10}.get(data[1], 2) :]


def _json_parts(text, buffers):
    message = json.loads(text)
    parts = [json.dumps(message[key]) for key in ("header", "parent_header", "metadata", "content")]
    return message["channel"].encode(), [*parts, *buffers]


class Kit:
    """A kernel process, its channels and a port."""

    def __init__(self, directory, **traits) -> None:
        file = os.path.join(directory, "kernel.json")
        from jupyter_client.connect import write_connection_file

        _, self.info = write_connection_file(file, transport="ipc", ip=os.path.join(directory, "k"), key=b"secret")
        self.info["key"] = "secret"
        self.process = subprocess.Popen([sys.executable, "-m", "ipykernel_launcher", "-f", file, "--debug"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        self.threads = Threads(reactor, "test", 2)
        self.watch = Watch()
        self.channels = KernelChannels(
            "k", reactor=reactor, settings=ZMQChannelsWebsocketConnection(**traits), in_thread=self.threads,
            spill_dir=os.path.join(directory, "spill"), observer=self.watch,
        )  # fmt: skip
        root = Root()
        root.mount("/api/kernels/*/channels", lambda: ChannelsResource(lambda _: self.channels, allowed).app.resource(),
                   auth="kernels", websocket=True)  # fmt: skip
        self.threads.startService()
        site = Site(root, OpenGate(), reactor=reactor, in_thread=self.threads, max_body=1 << 20)
        self.port = reactor.listenTCP(0, site, interface="127.0.0.1")
        self.clients = []

    async def open(self, protocol="", session="s"):
        port = self.port.getHost().port
        factory = WebSocketClientFactory(
            f"ws://127.0.0.1:{port}/api/kernels/k/channels?session_id={session}",
            protocols=[protocol] if protocol else None,
        )
        opened = Deferred()

        def build(address):
            client = Client()
            client.factory, client.opened, client.session = factory, opened, session
            client.codec = CODEC_V1 if protocol else CODEC_JSON
            return client

        factory.buildProtocol = build
        await endpoints.TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(factory)
        client = await opened.addTimeout(30, reactor)
        self.clients.append(client)
        return client

    async def close(self) -> None:
        for client in self.clients:
            client.dropConnection(abort=True)
        self.channels.close()
        await deferLater(reactor, 0.1)
        self.process.kill()
        self.process.wait()
        await self.port.stopListening()
        self.threads.stopService()


def real(test):
    """Run a test with a kit that is cleaned up."""

    async def run() -> None:
        with tempfile.TemporaryDirectory() as directory:
            kit = Kit(directory)
            try:
                kit.channels.connect(kit.info)
                await kit.channels.ready(60)
                await test(kit)
            finally:
                await kit.close()

    run.__name__ = test.__name__
    return pytest_twisted.ensureDeferred(run)


@real
async def test_execute(kit) -> None:
    tab = await kit.open(V1)
    said = await tab.until_idle(await tab.run("print('hello'); 6 * 7"))
    types = [m["header"]["msg_type"] for m in said]
    assert types[0] == "status"
    assert {"execute_input", "stream", "execute_result", "execute_reply"} <= set(types)
    assert next(m for m in said if m["header"]["msg_type"] == "execute_result")["content"]["data"]["text/plain"] == "42"
    assert kit.channels.refused == {}


@real
async def test_two_tabs_and_input(kit) -> None:
    one, other = await kit.open(V1, "one"), await kit.open("", "other")
    msg_id = await one.run("print(input('name? '))")
    asked = await one.until(lambda m: m["header"]["msg_type"] == "input_request")
    assert asked["channel"] == "stdin"
    one.ask("input_reply", {"value": "Ada"}, "stdin")
    await one.until_idle(msg_id)
    await other.until(lambda m: m["content"].get("text", "").startswith("Ada"))
    assert {m["channel"] for m in other.messages} == {"iopub"}


@real
async def test_interrupt(kit) -> None:
    tab = await kit.open(V1)
    msg_id = await tab.run("import time\nprint('on', flush=True)\nwhile True: time.sleep(0.1)")
    await tab.until(lambda m: m["content"].get("text", "").startswith("on"))
    assert [running for running, _ in kit.channels.executing] == [msg_id]
    os.kill(kit.process.pid, signal.SIGINT)
    said = await tab.until_idle(msg_id)
    assert any(m["content"].get("ename") == "KeyboardInterrupt" for m in said)
    assert kit.channels.executing == []


ECHO = """
from comm import get_comm_manager
def target(comm, msg):
    @comm.on_msg
    def _(msg):
        comm.send({'size': [len(b) for b in msg['buffers']]}, buffers=msg['buffers'])
get_comm_manager().register_target('echo', target)
"""


@real
async def test_big_buffers_both_ways_and_in_both_protocols(kit) -> None:
    tab, other = await kit.open(V1, "one"), await kit.open("", "other")
    await tab.until_idle(await tab.run(ECHO))
    tab.ask("comm_open", {"comm_id": "c", "target_name": "echo", "data": {}})
    sent = [os.urandom(5_000_000), b"", os.urandom(70_000)]
    tab.ask("comm_msg", {"comm_id": "c", "data": {}}, buffers=sent)
    for client in (tab, other):
        echo = await client.until(lambda m: m["header"]["msg_type"] == "comm_msg" and m["channel"] == "iopub")
        assert echo["buffers"] == sent


@real
async def test_a_tab_that_was_cut_off_gets_all_it_missed_in_order(kit) -> None:
    tab = await kit.open(V1)
    # pauses between the lines: after a reset, what a client read since it last answered a ping comes again
    msg_id = await tab.run("import time\nfor i in range(30):\n    print(i, flush=True)\n    time.sleep(0.08)")
    await tab.until(lambda m: m["content"].get("text", "") == "9\n")
    await deferLater(reactor, 0.02)  # the answer to the ping before it leaves
    tab.dropConnection(abort=True)
    await deferLater(reactor, 0.3)
    again = await kit.open(V1)
    await again.until_idle(msg_id)
    seen = "".join(m["content"]["text"] for m in tab.messages + again.messages if m["header"]["msg_type"] == "stream")
    assert seen.split() == [str(number) for number in range(30)]


@real
async def test_debug_complete_inspect_and_comm_info(kit) -> None:
    tab = await kit.open(V1)
    for msg_type, content, channel in (
        ("complete_request", {"code": "pri", "cursor_pos": 3}, "shell"),
        ("inspect_request", {"code": "print", "cursor_pos": 5, "detail_level": 0}, "shell"),
        ("is_complete_request", {"code": "for"}, "shell"),
        ("history_request", {"hist_access_type": "tail", "n": 1, "raw": True, "output": False}, "shell"),
        ("comm_info_request", {}, "shell"),
        ("kernel_info_request", {}, "control"),
        ("create_subshell_request", {}, "control"),
        ("list_subshell_request", {}, "control"),
        ("debug_request", {"type": "request", "seq": 1, "command": "debugInfo"}, "control"),
    ):
        msg_id = tab.ask(msg_type, content, channel)
        reply = await tab.until(lambda m, i=msg_id, c=channel: m["parent"].get("msg_id") == i and m["channel"] == c)
        assert reply["header"]["msg_type"] == msg_type.replace("_request", "_reply")


@real
async def test_a_flood_is_complete_and_in_order_for_a_tab_that_reads_late(kit) -> None:
    """What a disk that is too slow for it costs is told in its place."""
    tab = await kit.open(V1)
    tab.transport.pauseProducing()
    msg_id = await tab.run(
        f"{NEVER_DROPS}from IPython.display import display\nfor i in range(3000):\n"
        "    display({'text/plain': str(i), 'x/y': 'x' * 10000}, raw=True)"
    )
    store = kit.channels.messages.store
    await until(lambda: kit.watch.states[-1:] == [("idle", "execute_request")] and store.spill.bytes > 5_000_000)
    assert store.bytes < 34_000_000
    tab.transport.resumeProducing()
    said = await tab.until_idle(msg_id)
    at = 0
    for message in said:
        if message["header"]["msg_type"] == "display_data":
            assert message["content"]["data"]["text/plain"] == str(at)
            at += 1
        elif message["header"]["msg_type"] == "stream":
            at += int(message["content"]["text"].removeprefix("[jupyterd] ").split()[0])
    assert at == 3000
