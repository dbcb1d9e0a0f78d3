"""nbconvert itself, in its child process."""

from __future__ import annotations

import http.client
import io
import json
import zipfile
from pathlib import Path

import pytest
from pytest_twisted import ensureDeferred
from traitlets.config import Config

from jupyterd.errors import Failed
from jupyterd.nbconvert import child
from jupyterd.nbconvert.converter import Converter
from jupyterd.nbconvert.formats import KNOWN, exporters
from jupyterd.testing.deferreds import at_once
from tests.auth.daemon_process import BEARER, ask, daemon

pytestmark = pytest.mark.real

CODE = {"cell_type": "code", "execution_count": 1, "metadata": {}, "outputs": [], "source": "print('<b>hi</b>')"}
PYTHON = {"language_info": {"name": "python", "file_extension": ".py"}}
NOTEBOOK = {"cells": [{**CODE, "id": "a"}], "metadata": PYTHON, "nbformat": 4, "nbformat_minor": 5}
RESOURCES = {"metadata": {"name": "n"}}


def converter(**config: object) -> Converter:
    from twisted.internet import reactor

    return Converter(reactor, at_once, Config(config))


def test_our_list_is_nbconverts() -> None:
    installed = {name: value for name, value in exporters().items() if value in KNOWN}
    assert child.types(list(installed)) == {name: KNOWN[value] for name, value in installed.items()}


@ensureDeferred
async def test_html_and_script() -> None:
    made = await converter().convert("html", NOTEBOOK, RESOURCES)
    assert (made.media_type, made.extension) == ("text/html", ".html")
    assert b"&lt;b&gt;hi" in made.body
    made = await converter().convert("script", NOTEBOOK, RESOURCES)
    assert (made.extension, b"print('<b>hi</b>')" in made.body) == (".py", True)


@ensureDeferred
async def test_settings_of_operators_are_used() -> None:
    made = await converter(TemplateExporter={"exclude_input": True}).convert("html", NOTEBOOK, RESOURCES)
    assert b"&lt;b&gt;hi" not in made.body


@ensureDeferred
async def test_images_come_in_an_archive() -> None:
    image = {"output_type": "display_data", "metadata": {}, "data": {"image/png": "iVBORw0KGgo="}}
    notebook = {**NOTEBOOK, "cells": [{**CODE, "id": "a", "outputs": [image]}]}
    made = await converter().convert("markdown", notebook, RESOURCES)
    assert (made.media_type, made.extension) == ("application/zip", ".zip")
    names = zipfile.ZipFile(io.BytesIO(made.body)).namelist()
    assert names[0] == "n.md"
    assert len(names) == 2


@ensureDeferred
async def test_files_in_the_current_directory_are_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nbformat", "json", "jupyterd", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    made = await converter().convert("script", NOTEBOOK, RESOURCES)
    assert made.extension == ".py"


@ensureDeferred
async def test_what_is_no_notebook() -> None:
    with pytest.raises(Failed, match="nbconvert failed"):
        await converter().convert("html", {"cells": 3}, RESOURCES)


def test_an_archive_of_the_request_reaches_its_client(tmp_path: Path) -> None:
    image = {"output_type": "display_data", "metadata": {}, "data": {"image/png": "iVBORw0KGgo="}}
    notebook = {**NOTEBOOK, "cells": [{**CODE, "id": "a", "outputs": [image]}]}
    body = json.dumps({"name": "ä b.ipynb", "content": notebook}).encode()
    with daemon(tmp_path) as server:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        answer = ask(client, "/nbconvert/markdown", "POST", body, BEARER)
        client.close()
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/zip")
    assert answer.headers["Content-Disposition"] == "attachment; filename*=utf-8''%C3%A4%20b.zip"
    assert answer.headers["Content-Security-Policy"].endswith("sandbox allow-scripts")
    archive = zipfile.ZipFile(io.BytesIO(answer.body))
    assert archive.testzip() is None
    assert archive.namelist() == ["ä b.md", "output_0_0.png"]
