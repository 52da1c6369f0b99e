"""What a rater is told in the browser when something is wrong, and that no answer is lost over it."""

from __future__ import annotations

import shutil
import sqlite3
from datetime import date
from pathlib import Path

from playwright.sync_api import expect

from heart2heart.annotate.auth import Raters
from heart2heart.testing.stores import random_store
from tests.annotate.browsing import Enter, loaded, press, settled
from tests.annotate.support import make_assignments, served


def test_curate_page_with_a_removed_token_and_a_locked_label_store(tmp_path: Path, enter: Enter) -> None:
    file = tmp_path / "raters.json"
    raters, token = Raters().with_added("reader", adjudicator=False, days=9, today=date.today())
    raters.write(file)
    assignments = make_assignments(tmp_path, raters=file)
    with served(assignments) as server:
        page = enter(server.address, token)
        for hidden in ("Disagreements", "Agreement"):  # for adjudicators
            expect(page.get_by_role("button", name=hidden)).to_be_hidden()
        press(page, "l", "PLAX")
        raters.without("reader").write(file)
        page.keyboard.press("s")
        expect(page.locator("#trouble")).to_contain_text("NOT SAVED: 1 answer waits. This token is not known")
        refusal = "This token is not known. Ask the person who runs this page for one."
        expect(page.locator("#refusal")).to_have_text(refusal)
        again, token = raters.without("reader").with_added("reader", adjudicator=False, days=9, today=date.today())
        again.write(file)
        page.get_by_label("Your token").fill(token)
        page.keyboard.press("Enter")
        expect(page.locator("#trouble")).to_be_hidden()
        page.wait_for_function("() => Object.keys(localStorage).length === 0")
        settled(page)
        assert [event.view for event in assignments.label_store.events()] == ["PLAX", "PSAX"]
        other = sqlite3.connect(assignments.label_store.path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        page.keyboard.press("2")
        expect(page.locator("#trouble")).to_contain_text("NOT SAVED: 1 answer waits. Another program locks")
        other.execute("ROLLBACK")
        other.close()
        expect(page.locator("#trouble")).to_be_hidden()
        expect(page.locator("#status")).to_have_text("Saved: A2C.")
    assert [event.view for event in assignments.label_store.events()] == ["PLAX", "PSAX", "A2C"]


def test_curate_page_with_a_changed_store_and_a_missing_clip(tmp_path: Path, enter: Enter) -> None:
    root = random_store(tmp_path / "store", sites=["A"], patients=1, clips_each=2).root
    assignments = make_assignments(tmp_path)
    first, second = assignments.clip_order()
    with served(assignments) as server:
        page = enter(server.address, "Reader 1")
        loaded(page, 2)
        shutil.rmtree(root)
        random_store(root, sites=["A"], patients=1, clips_each=1, seed=1)
        page.keyboard.press("l")
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("The frames of this clip changed in the store while it was on the screen.")
        page.get_by_role("button", name="Look at the clip again").click()
        expect(page.locator("#status")).to_have_text("Not saved: PLAX. Look again.")
        settled(page)
        press(page, "s", "PSAX")  # of the frames that are there now
        page.keyboard.press("2")
        expect(dialog).to_contain_text("This clip is not in the store, or no longer.")
        page.get_by_role("button", name="Keep the present label").click()
        expect(page.locator("#nothing")).to_have_text("No clip is left for you. Thank you.")
    assert second not in assignments.catalog.clips
    (event,) = assignments.label_store.events()
    assert (event.clip, event.view, event.frame_hash) == (first, "PSAX", assignments.catalog.clips[first].frame_hash)
