"""What the server tells of itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from twisted.internet.defer import fail
from twisted.internet.testing import MemoryReactorClock

import jupyterd
from jupyterd.dashboard.resource import DashboardResource
from jupyterd.events.resource import EventsResource
from jupyterd.frontends.static_files import StaticFiles
from jupyterd.kernels.resource import KernelsResource
from jupyterd.kernels.websocket.resource import ChannelsResource
from jupyterd.nbconvert.resource import NbconvertResource
from jupyterd.sessions.resource import SessionsResource
from jupyterd.status.activity import Activity
from jupyterd.status.lsp import NoLanguageServers
from jupyterd.status.metrics import Metrics, RequestTimes
from jupyterd.status.resource import StatusResource
from jupyterd.status.static_files import OwnFiles
from jupyterd.status.version import API_VERSION, API_VERSION_INFO
from jupyterd.system.threads import NoThread
from jupyterd.terminals.resource import TerminalsResource
from jupyterd.testing.deferreds import at_once
from jupyterd.testing.http import MemorySite
from jupyterd.web.root import Root
from jupyterd.web.server.access_log import AccessLog


class House:
    """A status resource over parts in memory."""

    def __init__(self, others: list[Callable[[], float | None]] | None = None) -> None:
        self.reactor = MemoryReactorClock()
        self.reactor.advance(1000)
        self.activity = Activity(self.reactor, others or [])
        self.times = RequestTimes()
        self.stopped = 0
        self.ready = True
        self.in_thread: Callable[..., Any] = at_once
        metrics = Metrics(self.times, self.activity, lambda: {"python3": 2}, lambda: 3, lambda: 1)
        resource = StatusResource(
            activity=self.activity,
            metrics=metrics,
            kernels=lambda: 2,
            connections=lambda: 3,
            stop=self.stop,
            ready=lambda: self.ready,
            in_thread=lambda *args, **kwargs: self.in_thread(*args, **kwargs),
        ).app.resource()
        root = Root()
        for path in ("/api", "/api/status", "/api/spec.yaml", "/api/shutdown", "/metrics", "/healthz", "/readyz"):
            root.mount(path, lambda: resource, auth="", exact=True)
        root.mount("/api/contents", lambda: NoLanguageServers().app.resource(), auth="")
        self.site = MemorySite(root, reactor=self.reactor)
        self.site.site._access = AccessLog(False, self.answered)

    def stop(self, kernels: str | None) -> None:
        self.stopped += 1

    def answered(self, request: Any, seconds: float) -> None:
        self.activity.request(request)
        self.times(request, seconds)


def test_the_version_is_a_jupyter_servers() -> None:
    assert House().site.request("GET", "/api").json() == {"version": API_VERSION}
    assert ".".join(map(str, API_VERSION_INFO)) == API_VERSION


def test_status() -> None:
    model = House().site.request("GET", "/api/status").json()
    assert list(model) == ["connections", "kernels", "last_activity", "started"]
    assert (model["connections"], model["kernels"]) == (3, 2)
    assert model["started"] == model["last_activity"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", model["started"])


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("/api/contents", False),  # 404: nothing was used
        ("/api", False),
        ("/api/status", False),
        ("/metrics", False),
        ("/healthz", False),
        ("/api/spec.yaml", True),
        ("/api/spec.yaml?no_track_activity=1", False),
    ],
)
def test_what_counts_as_use(path: str, counts: bool) -> None:
    house = House()
    house.reactor.advance(10)
    house.site.request("GET", path)
    assert (house.activity.last() == house.activity.started + 10) is counts


def test_what_a_page_asks_again_is_no_work() -> None:
    house = House()
    for _ in range(3):
        house.reactor.advance(10)
        house.site.request("GET", "/api/spec.yaml")
    assert house.activity.last() == house.activity.started + 30
    assert house.activity.last_work() == house.activity.started + 10


def test_the_paths_that_are_remembered_are_bounded() -> None:
    house = House()
    for number in range(300):
        house.site.request("GET", f"/api/spec.yaml?{number}")
    assert len(house.activity._asked) == 1
    assert House([lambda: 5000.0]).activity.last_work() == 5000.0


def test_kernels_and_terminals_count_as_use() -> None:
    house = House([lambda: None, lambda: 1234.0])
    assert house.activity.last() == 1234.0


def test_shutdown_answers_and_ends_the_server() -> None:
    house = House()
    assert house.site.request("GET", "/api/shutdown").status == 405
    assert house.stopped == 0
    assert house.site.request("POST", "/api/shutdown").status == 200
    assert house.stopped == 1


def test_health_says_nothing_else() -> None:
    house = House()
    assert house.site.request("GET", "/healthz").body == b"ok\n"
    assert house.site.request("GET", "/readyz").status == 200
    house.ready = False
    assert house.site.request("GET", "/readyz").status == 503
    assert house.site.request("GET", "/healthz").status == 200
    assert house.site.request("HEAD", "/healthz").body == b""


def test_a_machine_without_threads_is_no_defect_of_ours() -> None:
    house = House()
    house.in_thread = lambda function: fail(NoThread("none"))
    assert house.site.request("GET", "/healthz").status == 200


def test_metrics_have_the_names_that_dashboards_use() -> None:
    house = House()
    house.site.request("GET", "/api/status")
    house.site.request("NONSENSE", "/api/status")
    text = house.site.request("GET", "/metrics").body.decode()
    for line in (
        'kernel_currently_running_total{type="python3"} 2.0',
        "terminal_currently_running_total 1.0",
        "jupyterd_kernel_connections 3.0",
        'http_request_duration_seconds_count{handler="/api/status",method="GET",status_code="200"} 1.0',
        'http_request_duration_seconds_bucket{handler="/api/status",le="+Inf",method="GET",status_code="200"} 1.0',
        'http_request_duration_seconds_count{handler="/api/status",method="other",status_code="405"} 1.0',
        f'jupyter_server_info{{version="{API_VERSION}"}} 1.0',
    ):
        assert line in text
    for name in (
        "process_resident_memory_bytes",
        "python_gc_collections_total",
        "jupyter_server_started_timestamp_seconds",
        "jupyter_server_last_activity_timestamp_seconds",
        "jupyter_server_active_duration_seconds",
    ):
        assert f"\n{name}" in text
    assert house.site.request("GET", "/metrics").status == 200, "a second time too"


def test_buckets_are_cumulative() -> None:
    house = House()
    request = type("Request", (), {"mount": None, "method": b"GET", "code": 200})()
    for seconds in (0.001, 0.005, 0.2, 100.0):
        house.times(request, seconds)
    text = house.site.request("GET", "/metrics").body.decode()
    counts = {
        bound: float(number)
        for bound, number in re.findall(
            r'bucket\{handler="none",le="([^"]+)",method="GET",status_code="200"\} (\S+)', text
        )
    }
    assert (counts["0.005"], counts["0.1"], counts["0.25"], counts["10.0"], counts["+Inf"]) == (2, 2, 3, 3, 4)


ROUTE = re.compile(r"@api(\.websocket)?\(([^\n]*?)\"(/[^\"]*)\"")
UNTOLD = ("/lab", "/doc", "/tree", "/notebooks", "/edit", "/consoles", "/terminals/<path", "/custom", "/static", "/lsp")
UNTOLD += ("/login", "/logout", "/favicon.ico", "/robots.txt", "/host")
UNTOLD += ("/api/notebooks", "/api/security")


def routes() -> set[tuple[str, str]]:
    """Method and path, as the description writes it, of each route in the source; pages of front ends left out."""
    found = set()
    for source in Path(jupyterd.__file__).parent.rglob("*.py"):
        for socket, methods, path in ROUTE.findall(source.read_text()):
            if path.startswith(UNTOLD) or path in ("/", "/api/", "/terminals/"):
                continue
            braced = re.sub(r"<(?:\w+:)?(\w+)>", lambda name: f"{{{name[1]}}}", path).replace("{form}", "{format}")
            for method in ["GET"] if socket else re.findall("[A-Z]+", methods):
                if method != "HEAD" and braced != "/api/contents":
                    found.add((method.lower(), braced))
    return found


def test_the_description_of_the_api_tells_of_each_route_and_of_no_other() -> None:
    answer = House().site.request("GET", "/api/spec.yaml")
    assert answer.header("content-type") == "text/x-yaml"
    spec = yaml.safe_load(answer.body)
    assert spec["openapi"].startswith("3.")
    assert spec["info"]["version"] == API_VERSION
    for reference in re.findall(rb'"#/([^"]+)"', answer.body):
        place: object = spec
        for name in reference.decode().split("/"):
            assert isinstance(place, dict)
            place = place[name]
    told = {(method, path) for path, methods in spec["paths"].items() for method in methods if method != "parameters"}
    assert {(method, path) for method, path in told if "/checkpoints" not in path} == {
        (method, path) for method, path in routes() if "/checkpoints" not in path
    }


class Once(yaml.SafeLoader):
    """Refuses a key that is there twice: the second would hide the first."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [key.value for key, _ in node.value]
        assert len(set(keys)) == len(keys), keys
        return super().construct_mapping(node, deep)


def resolved(schema: Any, spec: Any) -> Any:
    """A schema without its references and remarks."""
    if isinstance(schema, list):
        return [resolved(each, spec) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return resolved(spec["components"]["schemas"][schema["$ref"].rpartition("/")[2]], spec)
    return {key: resolved(value, spec) for key, value in schema.items() if key != "description" or value == {}}


def test_what_the_description_says_of_bodies_is_what_is_checked() -> None:
    spec = yaml.load((Path(jupyterd.__file__).parent / "status" / "openapi.yaml").read_text(), Once)
    told = {
        (method.upper(), path): resolved(route["requestBody"]["content"]["application/json"]["schema"], spec)
        for path, methods in spec["paths"].items()
        for method, route in methods.items()
        if isinstance(route, dict) and "requestBody" in route
    }
    checked = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path).replace("{form}", "{format}")): body.schema
        for resource in (
            ChannelsResource, DashboardResource, EventsResource, KernelsResource, NbconvertResource,
            SessionsResource, TerminalsResource,
        )
        for (method, path), body in resource.api.bodies.items()
    }  # fmt: skip
    elsewhere = {route for route in told if route[1].startswith("/api/contents")}  # parsed and checked off the reactor
    assert {route: schema for route, schema in told.items() if route not in elsewhere} == checked


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/favicon.ico", "image/"),
        ("/static/favicon.ico", "image/"),
        *(
            (f"/static/favicons/favicon{name}.ico", "image/")
            for name in ("", "-busy-1", "-notebook", "-terminal", "-file")
        ),
        ("/static/logo/logo.png", "image/png"),
        ("/static/style/index.css", "text/css"),
        ("/robots.txt", "text/plain"),
    ],
)
def test_own_files(path: str, kind: str) -> None:
    answer = own([]).request("GET", path)
    assert answer.status == 200
    assert str(answer.header("content-type")).startswith(kind)
    assert answer.body


def own(directories: list[str]) -> MemorySite:
    root = Root()
    resource = OwnFiles(StaticFiles(), directories).app.resource()
    for path in ("/static", "/favicon.ico", "/robots.txt"):
        root.mount(path, lambda: resource, auth="", page=True)
    return MemorySite(root)


def test_files_of_operators_win(tmp_path: Any) -> None:
    (tmp_path / "logo").mkdir()
    (tmp_path / "logo" / "logo.png").write_bytes(b"mine")
    assert own([str(tmp_path)]).request("GET", "/static/logo/logo.png").body == b"mine"
    assert own([str(tmp_path)]).request("GET", "/static/../status/openapi.yaml").status == 404


def test_no_language_servers() -> None:
    root = Root()
    root.mount("/lsp", lambda: NoLanguageServers().app.resource(), auth="")
    assert MemorySite(root).request("GET", "/lsp/status").json() == {"version": 2, "sessions": {}, "specs": {}}
