"""Keys of raters: nobody who labeled before is moved, each may choose, and the page shows and uses the choice."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from heart2heart.annotate.rater_keys import RaterKeys
from heart2heart.labels.events import LabelEvent
from heart2heart.schema.answer_keys import FORMER, MNEMONIC, check_keys, keys_path, read_key_layouts
from heart2heart.schema.taxonomy import read_taxonomy
from tests.annotate.browsing import Enter, press, settled
from tests.annotate.support import Client, make_assignments, served


def test_layout_of_a_rater_who_labeled_before_stays(tmp_path: Path) -> None:
    keys = RaterKeys(tmp_path / "labels.db")
    assert keys.layout("Old", lambda: True) == FORMER
    assert keys.layout("New", lambda: False) == MNEMONIC
    assert keys.layout("New", lambda: True) == MNEMONIC, "who began with these keys keeps them too"
    assert keys.layout("Old", lambda: False) == FORMER


def test_choose_keeps_the_layout_of_one_rater(tmp_path: Path) -> None:
    keys = RaterKeys(tmp_path / "labels.db")
    keys.choose("A", {"keys": dict(MNEMONIC) | {"OTHER": "q"}})
    assert keys.layout("A", lambda: True)["OTHER"] == "q"
    assert keys.layout("B", lambda: False)["OTHER"] == "o"


def test_layout_gives_every_view_of_a_taxonomy_a_key(tmp_path: Path) -> None:
    usual = read_taxonomy("usual")
    before = RaterKeys(tmp_path / "labels.db")
    before.choose("A", {"keys": dict(MNEMONIC) | {"OTHER": "pa"}})
    keys = RaterKeys(tmp_path / "labels.db", usual).layout("A", lambda: True)
    assert list(keys) == [*usual.views, "unsure", "unusable"]
    assert (keys["OTHER"], keys["PSAX_MV"]) == ("pa", "pm"), "who chose a key keeps it, and others move aside"
    check_keys(keys)
    assert before.layout("A", lambda: True)["OTHER"] == "pa"
    described = RaterKeys(tmp_path / "labels.db", usual).describe_answers(keys)
    assert {"name": "PSAX_MV", "title": "Short axis, mitral valve", "key": "pm", "parent": "PSAX"} in described
    assert [answer["name"] for answer in described if answer["parent"] == "ZOOM"] == ["ZOOM_AV", "ZOOM_MV", "ZOOM_TV"]
    assert described[-1]["parent"] is None


def test_layout_is_the_former_one_on_the_page_of_an_older_label_store(tmp_path: Path) -> None:
    assignments = make_assignments(tmp_path)
    clip = assignments.clip_order()[0]
    assignments.label_store.append(
        [
            LabelEvent(clip, "", "A2C", "Old", "2020-01-01T00:00:00.000Z", "page"),
            LabelEvent(clip, "", "A2C", "Imported", "2020-01-01T00:00:00.000Z", "csv:usual"),
        ]
    )
    with served(assignments) as server:
        for rater, key in (("Old", "3"), ("Imported", "2"), ("New", "2")):
            session = Client(server.port).enter(rater).ask("session")
            assert {answer["name"]: answer["key"] for answer in session["answers"]}["A2C"] == key


def test_choose_keys_refuses_a_key_bound_twice(tmp_path: Path) -> None:
    assignments = make_assignments(tmp_path)
    with served(assignments) as server:
        client = Client(server.port).enter("A")
        status, message = client.refused("keys", {"keys": dict(MNEMONIC) | {"A4C": "l"}})
        assert (status, "A4C and PLAX have one key" in message) == (400, True)
        assert message.endswith("Change that key; your keys are as they were")
        answers = client.ask("keys", {"keys": dict(MNEMONIC) | {"A4C": "4k"}})["answers"]
        assert {answer["name"]: answer["key"] for answer in answers}["A4C"] == "4k"
    assert read_key_layouts(keys_path(assignments.label_store.path))["A"].keys["A4C"] == "4k"


def test_curate_page_shows_changes_and_uses_the_keys_of_a_rater(tmp_path: Path, enter: Enter) -> None:
    with served(make_assignments(tmp_path, patients=1)) as server:
        page = enter(server.address, "Reader 1")
        page.keyboard.press("b")
        expect(page.locator("#status")).to_have_text("b and then: l SUBCOSTAL, s SUBCOSTAL SAX")
        press(page, "s", "SUBCOSTAL_SAX")
        page.keyboard.press("b")
        page.keyboard.press("4")  # no such second stroke: neither of the two is an answer
        expect(page.locator("#status")).to_have_text("No answer has the keys b 4.")
        page.keyboard.press("?")
        window = page.locator("#keys")
        expect(window).to_be_visible()
        window.get_by_label("Key of A4C").fill("l")
        window.get_by_role("button", name="Use these keys").click()
        expect(page.locator("#keys-refusal")).to_contain_text("A4C and PLAX have one key: 'l'")
        window.get_by_role("button", name="Keys of earlier versions").click()
        window.get_by_role("button", name="Use these keys").click()
        expect(window).to_be_hidden()
        assert page.get_by_role("button", name="3 A2C Apical two chamber").is_visible()
        settled(page)
        press(page, "3", "A2C")
        page.reload()
        settled(page)
        press(page, "5", "A3C")
