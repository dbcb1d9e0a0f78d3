"""Saves beside the recorder's: stale pages, other people, cells that changed."""

from __future__ import annotations

from tests.outputs.daemon_in_memory import CLOSED, PATH, Kit, Page, cell, names


def test_a_stale_page_does_not_erase_what_was_written_and_one_that_knows_it_may(kit: Kit) -> None:
    page = Page(kit, "one")
    header = page.run("c1")
    page.leave()
    kit.ran(header, "x")
    kit.pass_time(CLOSED + 10)
    kit.put(cell("c1"), cell("c2", "edited"))  # opened before it was run, never reloaded
    assert kit.disk() == [(1, ["x"]), (None, [])]
    assert kit.get()["content"]["cells"][1]["source"] == "edited"
    kit.put(cell("c1"), cell("c2", "edited"), mark=kit.mark())
    assert kit.disk() == [(None, []), (None, [])], "its user cleared them"


def test_a_save_by_somebody_else_gets_the_outputs_that_nobody_shows(kit: Kit) -> None:
    page = Page(kit, "one")
    header = page.run("c1")
    page.leave()
    kit.ran(header, "x")
    kit.put(cell("c1"), cell("c2", "edited"))
    assert kit.disk() == [(1, ["x"]), (None, [])]
    assert kit.executions() == []


def test_outputs_that_their_user_cleared_do_not_come_back(kit: Kit) -> None:
    page = Page(kit, "one")
    kit.ran(page.run("c1"), "x")
    kit.put(cell("c1"), cell("c2"))  # run, seen, cleared, saved
    page.leave()
    kit.pass_time(CLOSED + 10)
    assert kit.disk()[0] == (None, [])


def test_a_cell_that_was_changed_keeps_its_users_version_and_the_outputs_wait(kit: Kit) -> None:
    page = Page(kit, "one")
    header = page.run("c1")
    kit.put(cell("c1", "2"), cell("c2"))
    page.leave()
    kit.ran(header, "x")
    kit.pass_time(CLOSED + 10)
    assert kit.disk()[0] == (None, [])
    (execution,) = kit.executions()
    assert (execution["no_place"], execution["outputs"][0]["text"]) == ("the cell was changed", "x")
    assert names(kit) == [("waiting", ["c1"])]
    kit.put(cell("c1", "1"), cell("c2"))  # changed back
    assert kit.disk()[0] == (1, ["x"])
    assert kit.executions() == []


def test_outputs_without_a_place_are_not_kept_for_ever(kit: Kit) -> None:
    page = Page(kit, "one")
    header = page.run("gone")
    page.leave()
    kit.ran(header, "x")
    kit.pass_time(CLOSED + 10)
    assert len(kit.executions()) == 1
    kit.pass_time(25 * 3600)
    assert kit.executions() == []


def test_a_cell_that_is_run_again_has_the_later_outputs_alone(kit: Kit) -> None:
    page = Page(kit, "one")
    kit.ran(page.run("c1"), "first")
    second = page.run("c1")
    assert [each["msg_id"] for each in kit.executions()] == ["one-2"]
    page.leave()
    kit.ran(second, "second", 2)
    kit.pass_time(CLOSED + 10)
    assert kit.disk()[0] == (2, ["second"])


def test_without_a_cell_id_the_one_cell_with_the_source_is_meant_and_a_consoles_code_is_no_cells(kit: Kit) -> None:
    kit.put(cell("c1", "a"), cell("c2", "b"), cell("c3", "b"))
    page = Page(kit, "one")
    headers = [page.run(None, "a"), page.run(None, "b"), page.run("vscode-notebook-cell:/x#W0", "a", silent=True)]
    page.leave()
    for count, header in enumerate(headers, 1):
        kit.ran(header, f"{count}", count)
    kit.pass_time(CLOSED + 10)
    assert kit.disk() == [(1, ["1"]), (None, []), (None, [])]
    kit.paths.clear()
    kit.channels.recording.paths.clear()  # type: ignore[union-attr]
    Page(kit, "console").run(None, "a")
    assert "console-1" not in kit.channels.recording.executions  # type: ignore[union-attr]


def test_old_notebooks_without_ids(kit: Kit) -> None:
    kit.put(cell(None, "a"), cell(None, "b"), minor=4)
    page = Page(kit, "one")
    header = page.run("invented", "b")
    page.leave()
    kit.ran(header, "x")
    kit.pass_time(CLOSED + 10)
    assert kit.disk() == [(None, []), (1, ["x"])]


def test_stale_saves_are_known_after_a_rename_too(kit: Kit) -> None:
    page = Page(kit, "one")
    header = page.run("c1")
    page.leave()
    kit.ran(header, "x")
    kit.pass_time(CLOSED + 10)
    kit.site.request("PATCH", PATH, json_body={"path": "b.ipynb"})
    kit.put(cell("c1"), cell("c2"), path="/api/contents/b.ipynb")
    assert kit.disk("b.ipynb")[0] == (1, ["x"])
