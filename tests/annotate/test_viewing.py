"""The endpoints of the viewer: a header, some pictures, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from heart2heart.schema.review import ReviewDecision
from heart2heart.store.record_review import record_review
from heart2heart.store.viewing_copies import ViewingCopy, viewing_path
from heart2heart.testing.stores import random_store
from tests.annotate.support import Client, make_assignments, served
from tests.annotate.viewing_kit import FRAMES, add_viewing_copies

FLAGGED = "a00000".ljust(16, "0")  # the first clip of the first patient


def test_viewing_pictures_gives_one_picture_without_the_rest(tmp_path: Path) -> None:
    assignments = make_assignments(tmp_path, patients=1)
    clip, bare = assignments.clip_order()[:2]
    add_viewing_copies(tmp_path / "store", [clip])
    copy = ViewingCopy(viewing_path(tmp_path / "store", clip), clip)
    with served(assignments) as server:
        reader = Client(server.port).enter("Reader 1")
        header = reader.ask(f"clips/{clip}/viewing")
        assert (header["width"], header["height"], header["spacing_mm"]) == (320, 240, 0.5)
        assert header["index"] == list(range(0, 2 * FRAMES, 2))
        status, content, headers = reader.raw(f"/api/clips/{clip}/viewing/3-3")
        assert (status, content, headers["content-type"]) == (200, copy.pictures(3, 3), "application/octet-stream")
        assert len(content) == header["length"][3]
        assert reader.refused(f"clips/{bare}/viewing") == (404, "this clip has no viewing copy")
        assert reader.refused(f"clips/{clip}/viewing/7-8")[0] == 404
        for span in ("3", "-1-2", "1-x", "1-999999", "4-3"):
            assert reader.refused(f"clips/{clip}/viewing/{span}")[0] in (400, 404)
        assert Client(server.port).refused(f"clips/{clip}/viewing")[0] == 401
        path = viewing_path(tmp_path / "store", clip)
        path.write_bytes(path.read_bytes()[:-1])
        status, error = reader.refused(f"clips/{clip}/viewing")
        assert (status, error) == (410, "this viewing copy is cut short, or of another clip")
        assert str(tmp_path) not in error


@pytest.mark.parametrize("decisions", [[], ["cleared"], ["hidden"]], ids=["waiting", "cleared", "hidden"])
def test_viewing_header_is_refused_for_a_clip_in_which_text_was_suspected(decisions: list[str], tmp_path: Path) -> None:
    root = random_store(tmp_path / "store", sites=["A"], patients=1, flags={FLAGGED: ["text_suspected"]}).root
    add_viewing_copies(root, [FLAGGED])
    for decision in decisions:
        record_review(root, [FLAGGED], ReviewDecision(decision), reviewer="Reader 1", reason="seen")
    with served(make_assignments(tmp_path)) as server:
        assert Client(server.port).enter("Reader 1").refused(f"clips/{FLAGGED}/viewing")[0] == 404
