"""``docs/settings.md``: as the code is, and whole."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from traitlets import Float, Integer
from traitlets.config import Configurable

import jupyterd
from jupyterd.settings.docs_page import PAGE, RELOADED, SINCE, WITHOUT_EFFECT, meaning, page, sections, unit_of
from tests.settings.test_seed import NAMES, found

ALL = [(kind, name, trait) for kind, rows in sections() for name, trait in rows.items()]


def test_the_page_is_as_the_code_is() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m jupyterd.settings.docs_page writes it anew"


def test_it_is_the_same_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    before = page()
    for name in ("HOME", "USER", "SHELL", "JUPYTER_PORT", "JUPYTER_TOKEN", "JUPYTERHUB_API_URL", "BROWSER"):
        monkeypatch.setenv(name, "12345")
    assert page() == before
    assert "12345" not in before


def test_each_module_that_has_settings_is_in_it() -> None:
    package = Path(jupyterd.__file__).parent
    texts = {path: path.read_text(encoding="utf-8") for path in package.rglob("*.py")}
    having = {
        "jupyterd." + ".".join(path.relative_to(package).with_suffix("").parts)
        for path, text in texts.items()
        if re.search(r"tag\(\s*config=True", text)
    }
    assert having - {trait.this_class.__module__ for _, _, trait in ALL} == set()


@pytest.mark.parametrize(("kind", "name", "trait"), ALL, ids=[f"{kind.__name__}.{name}" for kind, name, _ in ALL])
def test_each_setting_says_what_it_means_and_in_what_unit(kind: type, name: str, trait: object) -> None:
    text = meaning(kind, name, trait)  # type: ignore[arg-type]
    assert text.endswith((".", ")")), text
    assert len(text) > 10
    if isinstance(trait, Integer | Float) and unit_of(name) == "number":
        assert re.search(r"[Hh]ow|[Pp]ort|[Mm]ost|[Tt]okens|tab|limit|[Aa]utomatic|Connections", text), (name, text)


def test_settings_of_the_reference_have_a_row_each() -> None:
    """Those of all classes in the documentation that this project began with."""
    rows = {(kind, name) for kind, name, _ in ALL}
    wanted = set()
    for *place, name in (name.split(".") for name in NAMES):
        kind = found(".".join(place)) if len(place) > 1 else None
        if isinstance(kind, type) and issubclass(kind, Configurable) and name in kind.class_traits(config=True):
            wanted.add((kind, name))
    assert len(wanted) > 70
    assert {kind.__name__ for kind, _ in wanted} == {"ServerApp", "JupyterServerListApp", "JupyterServerStopApp"}
    assert wanted <= rows


def test_what_the_tables_name_is_there() -> None:
    names = {f"{kind.__name__}.{name}" for kind, name, _ in ALL}
    assert {f"{kind}.{name}" for kind, reloaded in RELOADED.items() for name in reloaded} <= names
    assert set(SINCE) <= names
    known = {name for _, name, _ in ALL}
    assert set(WITHOUT_EFFECT) - {"shared_context"} <= known


def test_what_is_told_to_be_reloaded_is_read_by_the_reload() -> None:
    """Each name stands in what SIGHUP runs."""
    import inspect

    from jupyterd.app import auth, reload
    from jupyterd.settings.deprecated import MOVED
    from jupyterd.supervision.addresses import tls

    code = "".join(map(inspect.getsource, (auth, reload.reload, tls)))
    for name in RELOADED["ServerApp"]:
        assert MOVED.get(name, ("", name))[1] in code, name
