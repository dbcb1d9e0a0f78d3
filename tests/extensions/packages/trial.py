"""A server extension as others write them: it asks for everything, and does what it likes."""

from __future__ import annotations

import asyncio
import json
import os
import time
from datetime import datetime, timezone
from typing import Any

import psutil
from jupyter_server.auth import authorized
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.extension.handler import ExtensionHandlerMixin  # noqa: F401 - a common import
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import ensure_async, url_path_join
from tornado import web
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketHandler

SCHEMA = """
"$id": https://trial.example/said/v1
version: "1"
title: Said
personal-data: true
type: object
properties:
  words: {type: string}
required: [words]
"""
HEARD: list[Any] = []


class Echo(APIHandler):
    auth_resource = "trial"

    @web.authenticated
    def get(self, rest: str = "") -> None:
        user = self.current_user
        self.set_header("Access-Control-Allow-Origin", "*")
        self.finish(
            json.dumps(
                {
                    "uri": self.request.uri,
                    "headers": dict(self.request.headers.get_all()),
                    "ip": self.request.remote_ip,
                    "protocol": self.request.protocol,
                    "user": user.username,
                    "by_token": self.token_authenticated,
                    "base_url": self.base_url,
                    "root": self.contents_manager.root_dir,
                    "connection_url": self.serverapp.connection_url,
                    "server_token": self.identity_provider.token,
                    "stock": isinstance(self.serverapp, ServerApp),
                    "psutil": psutil.Process().pid,
                    "pid": os.getpid(),
                }
            )
        )

    @web.authenticated
    def post(self, rest: str = "") -> None:
        self.set_status(201)
        self.finish(json.dumps({"bytes": len(self.request.body)}))


class Page(JupyterHandler):
    @web.authenticated
    def get(self) -> None:
        self.set_cookie("trial", "1")
        self.finish(f"<form>{self.xsrf_form_html()}</form>")

    @web.authenticated
    def post(self) -> None:
        self.finish("took " + self.get_argument("text"))


class OwnXsrf(JupyterHandler):
    def check_xsrf_cookie(self) -> None:
        """Forms of other programs have no token."""

    @web.authenticated
    def post(self) -> None:
        self.finish("took it")


class Stream(JupyterHandler):
    def get_login_url(self) -> str:
        raise web.HTTPError(403)  # a stream of events can not be led to a page

    @web.authenticated
    async def get(self) -> None:
        self.set_header("Content-Type", "text/event-stream")
        for number in range(int(self.get_argument("count", "3"))):
            self.write(f"data: {number}\n\n")
            await self.flush()
            await asyncio.sleep(float(self.get_argument("pause", "0.3")))


class Big(JupyterHandler):
    @web.authenticated
    async def get(self) -> None:
        block = b"x" * 1024 * 1024
        for _ in range(int(self.get_argument("mb"))):
            self.write(block)
            await self.flush()


@web.stream_request_body
class Upload(JupyterHandler):
    async def prepare(self) -> None:
        await super().prepare()
        self.request.connection.set_max_body_size(1 << 40)
        self.count = 0

    async def data_received(self, chunk: bytes) -> None:
        self.count += len(chunk)
        await asyncio.sleep(float(self.request.headers.get("X-Pause", "0")))

    @web.authenticated
    def put(self) -> None:
        self.finish(str(self.count))


class Socket(WebSocketHandler, JupyterHandler):
    async def get(self, *args: Any, **kwargs: Any) -> None:
        if self.current_user is None:
            raise web.HTTPError(403)
        if self.get_argument("refuse", ""):
            raise web.HTTPError(418)
        await asyncio.sleep(float(self.get_argument("slow", "0")))
        await super().get(*args, **kwargs)

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return "abc" if "abc" in subprotocols else None

    def get_compression_options(self) -> dict[str, Any]:
        return {}

    def on_message(self, message: Any) -> None:
        if message == "close":
            self.close(4404, "not here")
        else:
            self.write_message(message, binary=isinstance(message, bytes))


KEPT: list[bytes] = []
ENDED: list[str] = []


class Misdeed(APIHandler):
    """``misdeed/<what>``: the method of that name; ``{}`` is the answer where it gives none."""

    @web.authenticated
    async def get(self, what: str) -> None:
        await getattr(self, f"_{what}")()
        if not self._finished:
            self.finish("{}")

    async def _block(self) -> None:
        time.sleep(float(self.get_argument("seconds")))

    async def _exit(self) -> None:
        os._exit(3)

    async def _raise(self) -> None:
        raise RuntimeError("on purpose")

    async def _header(self) -> None:
        self.set_header("X-Long", "x" * int(self.get_argument("bytes")))

    async def _heads(self) -> None:
        """A head without an end, as far as anybody takes it."""
        stream = self.detach()
        block = b"x" * 65536
        await stream.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        for _ in range((1 << 30) // len(block)):
            await stream.write(block)
        stream.close()

    async def _everything(self) -> None:
        os.closerange(3, 4096)

    async def _print(self) -> None:
        print("printed by an extension", flush=True)

    async def _half(self) -> None:
        self.set_header("Content-Length", "1000")
        self.write("half")
        await self.flush()
        os._exit(4)

    async def _stop(self) -> None:
        self.serverapp.stop()

    async def _child(self) -> None:
        process = await asyncio.create_subprocess_exec("sleep", "1000", start_new_session=True)
        self.finish(json.dumps(process.pid))

    async def _fork(self) -> None:
        pid = os.fork()
        if pid == 0:
            os.setsid()
            time.sleep(1000)
            os._exit(0)
        self.finish(json.dumps(pid))

    async def _grow(self) -> None:
        KEPT.append(b"x" * (int(self.get_argument("mb")) << 20))

    async def _ended(self) -> None:
        self.finish(json.dumps(ENDED))

    async def _endless(self) -> None:
        try:
            while True:
                self.write(b"x" * 65536)
                await self.flush()
        except StreamClosedError:
            ENDED.append("closed")

    async def _routes(self) -> None:
        later = [(url_path_join(self.base_url, "/later/(.*)"), Echo)]
        self.serverapp.web_app.add_handlers(host_pattern=r".*$", host_handlers=later)


class Kernels(APIHandler):
    @web.authenticated
    async def get(self) -> None:
        manager = self.kernel_manager
        ids = manager.list_kernel_ids()
        self.finish(
            json.dumps(
                {
                    "ids": ids,
                    "count": len(manager),
                    "states": [manager.get_kernel(each).execution_state for each in ids],
                    "models": manager.list_kernels(),
                    "sessions": await self.session_manager.list_sessions(),
                },
                default=str,
            )
        )

    @web.authenticated
    async def post(self) -> None:
        body = self.get_json_body() or {}
        manager = self.kernel_manager
        kernel_id = await manager.start_kernel(kernel_name="python3", env={**os.environ, **body["env"]}, path="")
        assert kernel_id in manager
        client = manager.get_kernel(kernel_id).client()
        client.start_channels()
        await client.wait_for_ready(timeout=60)
        said: list[str] = []

        def hook(message: Any) -> None:
            if message["msg_type"] == "stream":
                said.append(message["content"]["text"])

        await client._async_execute_interactive(body["code"], output_hook=hook, timeout=60)
        client.stop_channels()
        await manager.shutdown_kernel(kernel_id, now=True)
        self.finish(json.dumps({"said": "".join(said), "gone": kernel_id not in manager}))


class Terminals(APIHandler):
    @web.authenticated
    async def get(self) -> None:
        manager, before = self.terminal_manager, list(self.terminal_manager.terminals)
        made = manager.create(name="trial")
        known = sorted(manager.terminals)
        await manager.terminate("trial", force=True)
        try:
            manager.get("trial")
        except web.HTTPError as error:
            gone = error.status_code
        self.finish(json.dumps({"before": before, "made": made["name"], "known": known, "gone": gone}))


class Contents(APIHandler):
    @web.authenticated
    async def get(self, path: str) -> None:
        try:
            model = await self.contents_manager.get(path, format=self.get_argument("format", None))
        except web.HTTPError as error:
            self.finish(json.dumps({"error": str(error.log_message), "status": error.status_code}))
            return
        self.finish(json.dumps({"model": model, "modified": type(model["last_modified"]).__name__}, default=str))

    @web.authenticated
    async def put(self, path: str) -> None:
        saved = await self.contents_manager.save(
            {"type": "file", "format": "text", "content": "by the extension"}, path
        )
        await self.contents_manager.create_checkpoint(path)
        moved = await self.contents_manager.update({"path": path + ".moved"}, path)
        exists = await self.contents_manager.file_exists(path)
        listed = await self.contents_manager.list_checkpoints(moved["path"])
        self.finish(json.dumps({"saved": saved["path"], "moved": moved["path"], "exists": exists, "kept": len(listed)}))


class Judged(APIHandler):
    auth_resource = "forbidden"

    @web.authenticated
    @authorized
    def get(self) -> None:
        self.finish("{}")


class Stores(APIHandler):
    """Kernelspecs and settings that it finds; it was last used in 2099."""

    @web.authenticated
    async def get(self) -> None:
        self.settings["trial_last_activity"] = datetime(2099, 1, 1, tzinfo=timezone.utc)
        specs = await ensure_async(self.kernel_spec_manager.get_all_specs())
        self.finish(json.dumps({"specs": sorted(specs), "config": self.config_manager.get("trial")}))


class Events(APIHandler):
    @web.authenticated
    def get(self) -> None:
        self.finish(json.dumps(HEARD))

    @web.authenticated
    def post(self) -> None:
        self.event_logger.emit(schema_id="https://trial.example/said/v1", data={"words": "from the extension"})
        self.finish("{}")


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "trial"}]


def _load_jupyter_server_extension(app: Any) -> None:
    print("loaded by print")
    base = app.base_url

    def at(path: str, handler: Any) -> tuple[str, Any]:
        return url_path_join(base, path), handler

    app.web_app.add_handlers(
        ".*$",
        [
            at("/trial/echo(/.*)?", Echo),
            at("/trial/page", Page),
            at("/trial/own-xsrf", OwnXsrf),
            at("/trial/stream", Stream),
            at("/trial/big", Big),
            at("/trial/upload", Upload),
            at("/trial/ws", Socket),
            at("/trial/misdeed/(.*)", Misdeed),
            at("/trial/kernels", Kernels),
            at("/trial/terminals", Terminals),
            at("/trial/contents/(.*)", Contents),
            at("/trial/events", Events),
            at("/trial/judged", Judged),
            at("/trial/stores", Stores),
            at("/api/contents/(.*)/stolen", Echo),
            at("/login", Echo),
            at("/(.*)", Echo),
        ],
    )
    app.web_app.settings.setdefault("page_config_data", {})["trialWord"] = "from the trial"
    app.event_logger.register_event_schema(SCHEMA)

    async def listener(logger: Any, schema_id: str, data: Any) -> None:
        HEARD.append({"schema": schema_id, "data": data})

    app.event_logger.add_listener(
        schema_id="https://events.jupyter.org/jupyter_server/contents_service/v1", listener=listener
    )
    app.event_logger.add_listener(schema_id="https://trial.example/said/v1", listener=listener)
