"""Code run over REST, and the log read over REST."""

from __future__ import annotations

import json
import os
import tempfile

import pytest

from jupyterd.errors import NotFound
from jupyterd.kernels.channels import executions
from jupyterd.kernels.channels.kernel_channels import KernelChannels
from jupyterd.kernels.channels.policy import MessagePolicy
from jupyterd.kernels.channels.settings import ZMQChannelsWebsocketConnection
from jupyterd.kernels.websocket.resource import ChannelsResource
from jupyterd.testing.deferreds import allowed, at_once
from jupyterd.testing.http import MemorySite
from jupyterd.testing.kernel_sockets import MemoryKernel
from tests.kernels.channels.tabs import Watch

RUN = "/api/kernels/k/execute"


class Kit:
    def __init__(self, directory, policy=None, standin=None, connects=True, **traits) -> None:
        self.site = MemorySite()
        self.kernel = MemoryKernel()
        self.channels = KernelChannels(
            "k", reactor=self.site.reactor, settings=ZMQChannelsWebsocketConnection(**traits),
            in_thread=at_once, spill_dir=os.path.join(directory, "spill"), observer=Watch(), network=self.kernel,
            policy=policy, standin=standin,
        )  # fmt: skip
        if connects:
            self.begin()

        def find(kernel_id):
            if kernel_id != "k":
                raise NotFound(f"Kernel does not exist: {kernel_id}")
            return self.channels

        for name in ("log", "execute"):
            self.site.root.mount(
                f"/api/kernels/*/{name}", lambda: ChannelsResource(find, allowed).app.resource(), auth="kernels"
            )

    def begin(self) -> None:
        """The kernel answers."""
        self.channels.connect(self.kernel.info)
        self.kernel.answer_kernel_info()

    def post(self, headers=None, **body):
        return self.site.request("POST", RUN, json_body=body, headers=headers)

    def get(self, path):
        answer = self.site.request("GET", path)
        assert answer.status == 200, answer
        return answer.json()

    def run(self, header, texts=(), done=True) -> None:
        """The kernel's part."""
        self.kernel.say("status", {"execution_state": "busy"}, header)
        for text in texts:
            self.kernel.say("stream", {"name": "stdout", "text": text}, header)
        if done:
            self.kernel.reply("shell", "execute_reply", {"status": "ok", "execution_count": 1}, header)
            self.kernel.say("status", {"execution_state": "idle"}, header)


@pytest.fixture
def kit():
    with tempfile.TemporaryDirectory() as directory:
        yield Kit(directory)


def texts(state):
    return [each["content"]["text"] for each in state["messages"] if each["header"]["msg_type"] == "stream"]


def test_code_in_an_id_back_and_the_result_when_it_is_there(kit) -> None:
    answer = kit.post(code="print(1)", metadata={"cellId": "c"})
    assert answer.status == 202
    model = answer.json()
    assert (model["status"], model["reply"], model["kernel_id"]) == ("queued", None, "k")
    assert answer.header("location").endswith(f"{RUN}/{model['id']}")
    ((header, data, content),) = kit.kernel.heard("shell")
    assert (header["msg_type"], content["code"], content["allow_stdin"]) == ("execute_request", "print(1)", False)
    kit.run(data, ["a", "b"], done=False)
    state = kit.get(f"{RUN}/{model['id']}")
    assert (state["status"], texts(state)) == ("running", ["a", "b"])
    kit.kernel.say("stream", {"text": "not mine"})
    kit.run(data, ["c"])
    after = kit.get(f"{RUN}/{model['id']}?since={state['next']}")
    assert (after["status"], after["reply"]["status"], texts(after)) == ("done", "ok", ["c"])
    assert len(kit.get(f"{RUN}/{model['id']}?limit=2")["messages"]) == 2
    assert kit.channels.messages.cursors == {}, "it is copied, the log is free"


def test_a_large_result_stays_in_the_log_until_it_is_forgotten(kit, monkeypatch) -> None:
    monkeypatch.setattr(executions, "COPIED", 1000)
    model = kit.post(code="x").json()
    ((_, data, _),) = kit.kernel.heard("shell")
    kit.run(data, [f"{number}" for number in range(50)])
    assert texts(kit.get(f"{RUN}/{model['id']}?limit=1000")) == [f"{number}" for number in range(50)]
    assert len(kit.channels.messages.cursors) == 1
    assert kit.site.request("DELETE", f"{RUN}/{model['id']}").status == 204
    assert kit.channels.messages.cursors == {}
    assert kit.site.request("GET", f"{RUN}/{model['id']}").status == 404


def test_an_idempotency_key_runs_code_once(kit) -> None:
    first = kit.post(code="x", idempotency_key="k1")
    again = kit.post(code="x", headers={"Idempotency-Key": "k1"})
    assert (first.status, again.status) == (202, 200)
    assert first.json()["id"] == again.json()["id"]
    assert len(kit.kernel.heard("shell")) == 1
    assert kit.post(code="other", idempotency_key="k1").status == 409
    assert len(kit.get(RUN)) == 1


def test_a_stream_gives_each_message_as_it_comes(kit) -> None:
    model = kit.post(code="x").json()
    ((_, data, _),) = kit.kernel.heard("shell")
    connection = kit.site.connect()
    connection.send(f"GET {RUN}/{model['id']}?stream=1 HTTP/1.0\r\nHost: x\r\n\r\n".encode())
    kit.run(data, ["a"], done=False)
    head, _, body = connection.received().partition(b"\r\n\r\n")
    assert b"x-ndjson" in head
    assert [json.loads(line)["header"]["msg_type"] for line in body.splitlines()] == ["status", "stream"]
    connection.transport.producer.pauseProducing()
    kit.run(data, ["b"])
    assert connection.received() == b""
    connection.transport.producer.resumeProducing()
    *_, last = [json.loads(line) for line in connection.received().splitlines()]
    assert (last["status"], last["reply"]["status"]) == ("done", "ok")


def test_an_input_request_is_answered(kit) -> None:
    model = kit.post(code="input('name? ')", allow_stdin=True).json()
    path = f"{RUN}/{model['id']}"
    ((_, data, content),) = kit.kernel.heard("shell")
    assert content["allow_stdin"] is True
    assert kit.site.request("POST", f"{path}/input", json_body={"value": "too early"}).status == 409
    kit.run(data, done=False)
    kit.kernel.reply("stdin", "input_request", {"prompt": "name? ", "password": False}, data)
    state = kit.get(path)
    assert (state["status"], state["input"]) == ("running", {"prompt": "name? ", "password": False})
    (asked,) = [each["header"] for each in state["messages"] if each["channel"] == "stdin"]
    assert kit.site.request("POST", f"{path}/input", json_body={"value": 5}).status == 400
    assert kit.site.request("POST", f"{path}/input", json_body={"value": "\udfff"}).status == 400
    assert kit.site.request("POST", f"{path}/input", json_body={"value": "bob"}).status == 204
    (sent,) = kit.kernel.sockets["stdin"].sent
    assert (json.loads(sent[3]), json.loads(sent[5])) == (asked, {"value": "bob"})
    assert kit.site.request("POST", f"{path}/input", json_body={"value": "again"}).status == 409
    kit.run(data)
    assert (kit.get(path)["status"], kit.get(path)["input"]) == ("done", None)


def test_an_input_that_nobody_gave_is_not_waited_for_after_the_end(kit) -> None:
    model = kit.post(code="input()", allow_stdin=True).json()
    ((_, data, _),) = kit.kernel.heard("shell")
    kit.kernel.reply("stdin", "input_request", {"prompt": "", "password": False}, data)
    kit.channels.disconnect()
    state = kit.get(f"{RUN}/{model['id']}")
    assert (state["status"], state["input"]) == ("lost", None)


def test_what_waits_for_a_restarting_kernel_is_run_by_the_next(kit) -> None:
    running = kit.post(code="1").json()["id"]
    ((_, given, _),) = kit.kernel.heard("shell")
    kit.channels.disconnect()
    waiting = kit.post(code="2").json()["id"]
    assert [header for _, header in kit.channels.executing] == []
    kit.channels.connect(kit.kernel.info)
    assert kit.get(f"{RUN}/{running}")["status"] == "lost"
    assert kit.get(f"{RUN}/{waiting}")["status"] == "queued"
    kit.kernel.answer_kernel_info()
    ((_, data, _),) = kit.kernel.heard("shell")
    assert [header for _, header in kit.channels.executing] == [data]
    kit.run(data, ["two"])
    assert kit.get(f"{RUN}/{waiting}")["status"] == "done"
    waiting = kit.post(code="3").json()["id"]
    kit.channels.close()
    assert kit.channels.executions[waiting].status == "lost"
    assert given != data


def test_a_type_that_clients_may_not_send_is_refused() -> None:
    with tempfile.TemporaryDirectory() as directory:
        kit = Kit(directory, policy=MessagePolicy(allowed_message_types=frozenset(["kernel_info_request"])))
        assert kit.post(code="x").status == 403
        assert (kit.get(RUN), kit.channels.watchers, kit.channels.messages.cursors) == ([], {}, {})


def test_no_more_wait_than_allowed(kit, monkeypatch) -> None:
    monkeypatch.setattr(executions, "KEPT", 2)
    assert [kit.post(code=f"{number}").status for number in range(3)] == [202, 202, 429]


def test_a_result_is_forgotten_after_its_time(kit) -> None:
    model = kit.post(code="x").json()
    ((_, data, _),) = kit.kernel.heard("shell")
    kit.site.reactor.advance(48 * 3600)
    kit.run(data)
    kit.site.reactor.advance(24 * 3600 - 1)
    assert kit.get(f"{RUN}/{model['id']}")["status"] == "done"
    kit.site.reactor.advance(1)
    assert kit.site.request("GET", f"{RUN}/{model['id']}").status == 404


def test_what_a_kernel_took_with_it_is_lost(kit) -> None:
    model = kit.post(code="x").json()
    kit.channels.disconnect()
    assert kit.get(f"{RUN}/{model['id']}")["status"] == "lost"


@pytest.mark.parametrize(
    "body",
    [{}, {"code": 1}, {"code": "x", "silent": "no"}, {"code": "x", "nope": 1}, {"code": "x", "metadata": []},
     {"code": "x", "idempotency_key": ""}, {"code": "x", "idempotency_key": 5}],
)  # fmt: skip
def test_bad_requests_are_refused(kit, body) -> None:
    assert kit.post(**body).status == 400
    assert kit.kernel.heard("shell") == []


DEEP: dict[str, object] = {}
for _ in range(300):
    DEEP = {"a": DEEP}


@pytest.mark.parametrize(
    "body", [{"code": "\ud800"}, {"code": "x", "metadata": {"a": 1 << 70}}, {"code": "x", "metadata": DEEP}]
)
def test_what_no_kernel_can_be_sent_is_refused_and_leaves_nothing(kit, body) -> None:
    assert kit.post(**body).status == 400
    assert kit.kernel.heard("shell") == []
    assert (kit.get(RUN), kit.channels.watchers, kit.channels.messages.cursors) == ([], {}, {})


def test_unknown_kernels_and_executions_are_404(kit) -> None:
    for path in ("/api/kernels/nope/log", "/api/kernels/nope/execute", f"{RUN}/nope"):
        assert kit.site.request("GET", path).status == 404
    assert kit.site.request("POST", "/api/kernels/nope/execute", json_body={"code": "x"}).status == 404


def test_no_more_are_remembered_than_allowed(kit, monkeypatch) -> None:
    monkeypatch.setattr(executions, "KEPT", 3)
    for number in range(6):
        kit.post(code=f"{number}")
        ((_, data, _),) = kit.kernel.heard("shell")
        kit.run(data)
    assert len(kit.get(RUN)) == 3


def test_the_log_is_read_by_sequence_numbers(kit) -> None:
    start = kit.get("/api/kernels/k/log")["end"]
    for number in range(5):
        kit.kernel.say("display_data", {"n": number}, buffers=[b"abc"])
    page = kit.get(f"/api/kernels/k/log?since={start}&limit=3")
    assert [each["content"]["n"] for each in page["messages"]] == [0, 1, 2]
    assert page["messages"][0]["buffers"] == [3]
    rest = kit.get(f"/api/kernels/k/log?since={page['next']}")
    assert [each["content"]["n"] for each in rest["messages"]] == [3, 4]
    assert kit.get(f"/api/kernels/k/log?since={rest['next']}")["messages"] == []
    assert kit.site.request("GET", "/api/kernels/k/log?since=x").status == 400
