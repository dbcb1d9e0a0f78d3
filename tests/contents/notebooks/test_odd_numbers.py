"""Notebooks that hold ``NaN`` or begin with a byte order mark: browsers open them, and nothing of them is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jupyterd.contents.notebooks import odd_numbers
from jupyterd.contents.notebooks.serialization import parse

NAN, INF = float("nan"), float("inf")
PLOT = {"application/vnd.plotly.v1+json": {"data": [{"y": [1.5, NAN, -INF]}]}, "text/plain": ["a\n", "b"]}


def cell(name: str, source: str, *outputs: Any, **metadata: Any) -> dict[str, Any]:
    return {
        "cell_type": "code", "id": name, "metadata": metadata, "source": source, "execution_count": 1,
        "outputs": list(outputs),
    }  # fmt: skip


def display(data: Any) -> dict[str, Any]:
    return {"output_type": "display_data", "data": data, "metadata": {}}


def notebook(*cells: Any, minor: int = 5, **metadata: Any) -> dict[str, Any]:
    return {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": minor}


def write(client: Any, value: Any, mark: bytes = b"") -> Path:
    path: Path = client.root / "n.ipynb"
    path.write_bytes(mark + json.dumps(value).encode())
    return path


def sent(client: Any) -> Any:
    """What a browser makes of the answer."""
    answer = client.ask("GET", "/api/contents/n.ipynb")
    assert answer.status == 200, answer.body
    return json.loads(answer.body, parse_constant=pytest.fail)["content"]


def save(client: Any, content: Any) -> None:
    assert client.put("n.ipynb", {"type": "notebook", "content": content}).status == 200


def kept(path: Path) -> Any:
    return json.loads(path.read_text())


def plot(output: dict[str, Any]) -> str:
    return repr(output["data"]["application/vnd.plotly.v1+json"])


TWO = notebook(cell("a", "plot()", display(PLOT)), cell("b", "1"), widgets={"w": {"value": NAN}}, other=1)


def test_a_byte_order_mark_is_passed_over(client: Any) -> None:
    path = write(client, notebook(cell("a", "1")), b"\xef\xbb\xbf")
    assert sent(client)["cells"][0]["source"] == "1"
    save(client, sent(client))
    assert path.read_bytes().startswith(b"{")


def test_an_old_format_with_a_byte_order_mark(client: Any) -> None:
    write(client, {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": []}, b"\xef\xbb\xbf")
    assert sent(client)["nbformat"] == 4


def test_what_json_can_not_say_is_null(client: Any) -> None:
    write(client, TWO)
    content = sent(client)
    assert plot(content["cells"][0]["outputs"][0]) == "{'data': [{'y': [1.5, None, None]}]}"
    assert content["metadata"]["widgets"] == {"w": {"value": None}}


def test_a_save_of_another_cell_writes_what_was_there(client: Any) -> None:
    path = write(client, TWO)
    content = sent(client)
    content["cells"][1]["source"] = "2"
    content["cells"].insert(0, cell("c", "new"))
    save(client, content)
    found = kept(path)
    assert [one["id"] for one in found["cells"]] == ["c", "a", "b"]
    assert plot(found["cells"][1]["outputs"][0]) == "{'data': [{'y': [1.5, nan, -inf]}]}"
    assert repr(found["metadata"]) == "{'other': 1, 'widgets': {'w': {'value': nan}}}"
    save(client, sent(client))
    assert "nan" in plot(kept(path)["cells"][1]["outputs"][0]), "and so does the next one"


def test_a_new_source_keeps_the_output(client: Any) -> None:
    path = write(client, TWO)
    content = sent(client)
    content["cells"][0]["source"] = "plot() "
    content["cells"][0]["metadata"]["tags"] = ["x"]
    save(client, content)
    assert "nan" in plot(kept(path)["cells"][0]["outputs"][0])


def test_a_new_output_is_as_it_came(client: Any) -> None:
    path = write(client, TWO)
    content = sent(client)
    content["cells"][0]["outputs"][0]["data"]["text/plain"] = "another run"
    content["metadata"]["widgets"] = {"w": {"value": None, "more": 1}}
    save(client, content)
    assert "nan" not in repr(kept(path))


def test_cells_without_ids_are_known_by_their_source(client: Any) -> None:
    cells = [cell("", "same()", display(PLOT)), cell("", "x = 1"), cell("", "same()", display({"text/plain": "c"}))]
    for one in cells:
        del one["id"]
    path = write(client, notebook(*cells, minor=4))
    content = sent(client)
    content["cells"].insert(0, {**cells[1], "source": "y = 2"})
    save(client, content)
    assert "nan" in plot(kept(path)["cells"][1]["outputs"][0])


def test_an_output_that_is_joined_to_the_one_before_moves_the_others(client: Any) -> None:
    stream = {"output_type": "stream", "name": "stdout", "text": "x\n"}
    path = write(client, notebook(cell("a", "", stream, stream, display(PLOT))))
    content = sent(client)
    content["cells"][0]["outputs"][:2] = [{**stream, "text": "x\nx\n"}]
    save(client, content)
    assert "nan" in plot(kept(path)["cells"][0]["outputs"][1])


def test_trust_stays_with_what_was_signed(client: Any) -> None:
    path = write(client, notebook())
    save(client, notebook(cell("a", "", display({"text/html": "<b>", **PLOT}), trusted=True)))
    assert sent(client)["cells"][0]["metadata"] == {"trusted": True}
    save(client, sent(client))
    assert sent(client)["cells"][0]["metadata"] == {"trusted": True}
    assert "nan" in repr(kept(path))


@pytest.mark.parametrize("text", ["<td>NaN</td>", "NaN", "a NaN b", "Infinity pool"])
def test_a_word_in_a_text_is_no_number(tmp_path: Path, text: str) -> None:
    path = tmp_path / "n.ipynb"
    path.write_text(json.dumps(notebook(cell("a", text))))
    assert not odd_numbers.in_file(str(path))


@pytest.mark.parametrize("raw", [b'{"a":NaN}', b"[1, -Infinity , 2]", b"[\nNaN\n]"])
def test_a_number_is_found(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "n.ipynb"
    path.write_bytes(raw)
    assert odd_numbers.in_file(str(path))


def test_what_can_not_be_read_holds_none(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "broken").write_bytes(b'{"a": NaN, ')
    for name in ("none", "empty", "", "broken"):
        assert not odd_numbers.from_disk(notebook(), str(tmp_path / name))


def test_a_notebook_of_any_shape_can_be_compared() -> None:
    old = parse(json.dumps(TWO).encode()).content
    for new in ({}, {"cells": None}, {"cells": [3]}, {"cells": [{"id": "a", "outputs": 3}]}, {"metadata": []}):
        assert not odd_numbers.put_back(new, old)


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ('{"a": NaN}', True),
        ('{"a":[1,-Infinity ]}', True),
        ('{"a": [\n-NaN\n\n  ]}', True),
        ('{"image": "' + "xNaNy" * 100 + '"}', False),
        ('{"image": "' + "xNaNy" * 100 + '", "a": NaN}', True),
        ('{"image": "' + "xNaNy" * (odd_numbers.MAX_PLACES + 5) + '"}', False),
        ('{"image": "' + "xNaNy" * (odd_numbers.MAX_PLACES + 5) + '", "a": Infinity}', True),
        ('{"a": "NaN"}', False),
    ],
)
def test_letters_of_an_image_are_no_numbers(tmp_path: Path, text: str, held: bool) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text(text)
    assert odd_numbers.in_file(str(path)) is held
