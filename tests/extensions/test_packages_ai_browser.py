"""Jupyter AI from the index, in an environment of its own; no language model is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.extensions.environment import AI, python_of
from tests.extensions.pages import CHROMIUM, Browser, Page, page_of
from tests.extensions.serving import EXPOSED, QUERY, connect, hosted_in, ready, started
from tests.real.daemon import TOKEN, Daemon, until

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

RESULT = "https://events.jupyter.org/jupyterlab_command_toolkit/lab_command_result/v1"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with started(tmp_path_factory.mktemp("ai"), python_of("ai", AI), EXPOSED) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def page(daemon: Daemon) -> Iterator[Page]:
    with page_of(daemon) as page:
        yield page


def test_what_a_page_tells_comes_to_the_extension_and_to_each_listener_once(daemon: Daemon) -> None:
    assert {"jupyterlab_chat", "jupyter_ai_router", "jupyter_ai_persona_manager"} <= hosted_in(ready(daemon))
    listener = connect(daemon, f"/api/events/subscribe?{QUERY}")
    data = {"requestId": "r1", "success": True, "result": "done"}
    event = {"schema_id": RESULT, "version": "1", "data": data}
    assert daemon.ask("POST", "/api/events", event).status == 204
    until(lambda: "Received command result for request r1" in daemon.log)
    daemon.json("PUT", "/api/contents/end.txt", {"type": "file", "format": "text", "content": ""})
    heard = []
    while (told := json.loads(listener.recv())).get("path") != "end.txt":
        heard.append(told)
    assert [each["requestId"] for each in heard if each["schema_id"] == RESULT] == ["r1"]
    listener.close()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_a_message_stands_in_a_chat_and_in_its_file(daemon: Daemon, page: Page) -> None:
    def script(browser: Browser) -> None:
        (daemon.root / "talk.chat").write_text(json.dumps({"messages": [], "users": {}}))
        browser.open(f"/lab/tree/talk.chat?reset&token={TOKEN}")
        field = browser.see(".jp-chat-input-textfield textarea, .jp-chat-input-textfield [contenteditable]")
        field.fill("hello from the page")
        field.press("Enter")
        browser.see(".jp-chat-message, .jp-chat-rendered-message", "hello from the page")
        until(lambda: "hello from the page" in (daemon.root / "talk.chat").read_text(), 60, "it is not in the file")

    page.run(script)
