"""The event bus: who hears what, what clients may emit, and what is loaded for it."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from typing import Any

import pytest
from traitlets.config import Config

from jupyterd.events.bus import EventBus
from jupyterd.events.protocol import MAX_WAITING, TRY_AGAIN_LATER
from jupyterd.events.resource import EventsResource
from jupyterd.testing.deferreds import at_once
from jupyterd.testing.http import MemorySite
from jupyterd.web.root import Root
from jupyterd.web.websocket.ping import ping_times
from tests.memory_websocket import Socket

CONTENTS = "https://events.jupyter.org/jupyter_server/contents_service/v1"
KERNELS = "https://events.jupyter.org/jupyter_server/kernel_actions/v1"
GATEWAY = "https://events.jupyter.org/jupyter_server/gateway_client/v1"
DEATHS = "https://events.jupyter.org/jupyterd/kernel_death/v1"
SAVED = {"action": "save", "path": "x"}


def site(bus: EventBus) -> MemorySite:
    resource = EventsResource(bus, at_once, ping_times()).app.resource()
    root = Root()
    root.mount("/api/events", lambda: resource, auth="events", exact=True)
    root.mount("/api/events/subscribe", lambda: resource, auth="events", exact=True, websocket=True)
    return MemorySite(root)


def event(**changes: Any) -> dict[str, Any]:
    return {"schema_id": CONTENTS, "version": "1", "data": SAVED, **changes}


def test_a_client_hears_what_features_and_clients_tell() -> None:
    bus = EventBus(Config())
    memory = site(bus)
    client = Socket(memory, "/api/events/subscribe")
    assert client.status == 101
    bus.emit(CONTENTS, SAVED)
    assert client.receive() == [{"schema_id": CONTENTS, **SAVED}]
    answer = memory.request("POST", "/api/events", json_body=event(timestamp="2022-05-26T13:50:00+05:00Z"))
    assert (answer.status, answer.body) == (204, b"")
    assert client.receive() == [{"schema_id": CONTENTS, **SAVED}]
    client.vanish()
    bus.emit(CONTENTS, SAVED)
    assert bus._listeners == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (None, "No JSON data provided"),
        (b"[]", "Missing `schema_id` in the JSON request body."),
        (b"{}", "Missing `schema_id` in the JSON request body."),
        (b'{"schema_id": "x"}', "Missing `version` in the JSON request body."),
        (b'{"schema_id": "x", "version": 1}', "Missing `data` in the JSON request body."),
        (
            event(schema_id="nope"),
            "'The requested schema, nope, was not found in the schema registry. "
            "Are you sure it was previously registered?'",
        ),
        (event(version="2"), f"Unregistered version: '2'≠'1' for `{CONTENTS}`"),
        (event(data={"action": "nonsense", "path": "x"}), "'nonsense' is not one of"),
        (event(data={}), "'action' is a required property"),
        (event(data=[]), "data must be a JSON object"),
        (event(schema_id=3), "schema_id must be a string"),
        (event(timestamp="yesterday"), "Failed to parse timestamp from JSON request body"),
        (event(timestamp=3), "Failed to parse timestamp from JSON request body"),
    ],
)
def test_what_clients_may_not_emit(body: Any, message: str) -> None:
    bus = EventBus(Config())
    heard: list[Any] = []
    bus.listen(lambda *event: heard.append(event))
    raw = json.dumps(body).encode() if isinstance(body, dict) else body
    answer = site(bus).request("POST", "/api/events", raw)
    assert answer.status == 400
    assert answer.json()["message"].startswith(message)
    assert heard == []


def test_the_schemas_of_the_server_are_registered() -> None:
    schemas = EventBus(Config()).logger.schemas
    for schema_id in (CONTENTS, KERNELS, GATEWAY, DEATHS):
        assert str(schemas.get(schema_id).version) == "1"
    schemas.validate_event(KERNELS, {"action": "start", "msg": "m", "status": "error"})
    with pytest.raises(Exception, match="kernel_id"):
        schemas.validate_event(KERNELS, {"action": "restart", "msg": "m", "status": "error"})
    death = {"kernel_id": "k", "kernel_name": "n", "status": -9, "signal": "SIGKILL", "out_of_memory": True}
    schemas.validate_event(DEATHS, {**death, "stderr": "", "restarting": True})


def test_handlers_of_operators_record_events() -> None:
    out = io.StringIO()
    bus = EventBus(Config({"EventLogger": {"handlers": [logging.StreamHandler(out)]}}))
    bus.emit(CONTENTS, SAVED)
    recorded = json.loads(out.getvalue())
    assert recorded["__schema__"] == CONTENTS
    assert recorded["path"] == "x"
    bus.emit(CONTENTS, {"not": "as the schema says"})
    bus.emit(CONTENTS, SAVED)
    assert len(out.getvalue().splitlines()) == 2


def test_one_bad_listener_keeps_nothing_from_the_others() -> None:
    bus = EventBus(Config())
    heard: list[str] = []
    bus.listen(lambda schema_id, data: 1 / 0)  # type: ignore[arg-type]
    stop = bus.listen(lambda schema_id, data: heard.append(schema_id))
    bus.emit(CONTENTS, SAVED)
    stop()
    stop()
    bus.emit(CONTENTS, SAVED)
    assert heard == [CONTENTS]


def test_a_slow_client_gets_all_and_one_that_never_reads_is_cut_off() -> None:
    bus = EventBus(Config())
    memory = site(bus)
    slow, dead = Socket(memory, "/api/events/subscribe"), Socket(memory, "/api/events/subscribe")
    slow.stop_reading()
    for number in range(3):
        bus.emit(CONTENTS, {"action": "save", "path": str(number)})
    assert slow.receive() == []
    slow.read_on()
    assert [each["path"] for each in slow.receive()] == ["0", "1", "2"]
    dead.stop_reading()
    dead.receive()
    for _ in range(MAX_WAITING + 1):
        bus.emit(CONTENTS, SAVED)
    dead.receive()
    assert dead.close_code == TRY_AGAIN_LATER
    assert len(bus._listeners) == 1
    assert len(slow.receive()) == MAX_WAITING + 1


def test_our_own_events_load_nothing() -> None:
    script = (
        "import sys; from traitlets.config import Config; from jupyterd.events.bus import EventBus;"
        "bus = EventBus(Config()); bus.listen(print); bus.emit('x', {});"
        "print([name for name in ('jupyter_events', 'jsonschema', 'yaml') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.splitlines() == ["x {}", "[]"]
