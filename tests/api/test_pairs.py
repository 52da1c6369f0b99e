"""A false alarm is looked at, cleared and certified again; a forged or foreign review is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from heart2heart.api.pairs import clear_pairs, read_suspected_pairs, show_pairs
from heart2heart.api.splits import certify_splits
from heart2heart.cli import app
from heart2heart.errors import ConfigError, SplitError
from heart2heart.schema.split import Check
from heart2heart.splits.manifest import SplitManifest
from heart2heart.splits.planted_copies import COPY_KINDS
from heart2heart.store.frame_store import FrameStore
from tests.splits.test_copy_check import PATIENTS, frozen_split
from tests.store.echo_frames import echo_frames


@pytest.fixture
def suspected(tmp_path: Path) -> tuple[SplitManifest, FrameStore]:
    """Freeze and certify a split in which a test frame is a turned training frame."""
    copy = COPY_KINDS["turn 2 degrees"](echo_frames(PATIENTS, side=80, seed=3)[7])
    split, store = frozen_split(tmp_path, {36: copy})
    certify_splits([split], store)
    return split, store


def near_duplicates(split: SplitManifest) -> Check:
    return next(check for check in split.certificate().checks if check.name == "near_duplicates")


def test_clear_pairs_lets_a_reviewed_pair_pass_with_a_warning(
    suspected: tuple[SplitManifest, FrameStore], tmp_path: Path
) -> None:
    split, store = suspected
    (pair,) = read_suspected_pairs(split.path)
    assert {pair.left[:16], pair.right[:16]} == {f"{7:016x}", f"{36:016x}"}
    assert near_duplicates(split).status == "fail"
    reviewed = tmp_path / "reviewed.json"
    clear_pairs(split.path, [1], reviewer="Reader 1", reason="two hearts", reviewed=reviewed)
    certify_splits([split], store, reviewed=reviewed)
    check = near_duplicates(split)
    assert check.status == "warn"
    assert '1 by Reader 1: "two hearts"' in check.detail
    split.require_certified()
    assert len(read_suspected_pairs(split.path)) == 1


def test_certify_splits_refuses_an_edited_review(suspected: tuple[SplitManifest, FrameStore], tmp_path: Path) -> None:
    split, store = suspected
    reviewed = tmp_path / "reviewed.json"
    clear_pairs(split.path, [1], reviewer="Reader 1", reason="two hearts", reviewed=reviewed)
    content = json.loads(reviewed.read_text())
    content["pairs"][0]["reviewer"] = "Somebody else"
    reviewed.write_text(json.dumps(content))
    with pytest.raises(SplitError, match="edited"):
        certify_splits([split], store, reviewed=reviewed)
    with pytest.raises(SplitError, match="edited"):
        clear_pairs(split.path, [1], reviewer="Reader 1", reason="two hearts", reviewed=reviewed)


def test_certify_splits_refuses_a_review_of_other_pixels(
    suspected: tuple[SplitManifest, FrameStore], tmp_path: Path
) -> None:
    split, _ = suspected
    reviewed = tmp_path / "reviewed.json"
    clear_pairs(split.path, [1], reviewer="Reader 1", reason="two hearts", reviewed=reviewed)
    other, store = frozen_split(tmp_path / "other", {36: COPY_KINDS["flip"](echo_frames(PATIENTS, side=80, seed=3)[7])})
    with pytest.raises(SplitError, match="of other pixels"):
        certify_splits([other], store, reviewed=reviewed)


def test_clear_pairs_refuses_other_numbers_and_empty_reasons(
    suspected: tuple[SplitManifest, FrameStore], tmp_path: Path
) -> None:
    split, _ = suspected
    for number in (0, 2):
        with pytest.raises(SplitError, match=f"no pair {number} among the 1"):
            clear_pairs(split.path, [number], reviewer="a", reason="b", reviewed=tmp_path / "r.json")
    with pytest.raises(ConfigError, match="reason"):
        clear_pairs(split.path, [1], reviewer="a", reason="  ", reviewed=tmp_path / "r.json")
    assert not (tmp_path / "r.json").exists()


def test_show_pairs_shows_frames_without_text_only(
    suspected: tuple[SplitManifest, FrameStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split, store = suspected
    page, number = show_pairs(split.path, store.root, tmp_path / "pairs.html")
    assert number == 1
    assert page.read_text().count("<img") == 4
    found_text = "heart2heart.deidentify.burned_in_text.text_mask"
    monkeypatch.setattr(found_text, lambda pictures, inside: np.ones(inside.shape, bool))
    page, _ = show_pairs(split.path, store.root, tmp_path / "withheld.html")
    assert page.read_text().count("<img") == 0


def test_read_suspected_pairs_refuses_the_list_of_another_split(
    suspected: tuple[SplitManifest, FrameStore], tmp_path: Path
) -> None:
    split, _ = suspected
    other, store = frozen_split(tmp_path / "other", {})
    certify_splits([other], store)
    assert read_suspected_pairs(other.path) == ()
    (other.path / "suspected_pairs.json").write_bytes((split.path / "suspected_pairs.json").read_bytes())
    with pytest.raises(SplitError, match="of another split"):
        read_suspected_pairs(other.path)


def test_pairs_and_clear_pairs_on_the_command_line(suspected: tuple[SplitManifest, FrameStore], tmp_path: Path) -> None:
    split, store = suspected
    named = [str(split.path), "--store", str(store.root)]
    shown = CliRunner().invoke(app, ["pairs", *named, "--out", str(tmp_path / "p.html")])
    assert (shown.exit_code, "1 suspected pairs" in shown.output) == (0, True)
    review = ["--reviewer", "Reader 1", "--reason", "two hearts", "--reviewed", str(tmp_path / "r.json")]
    cleared = CliRunner().invoke(app, ["clear-pairs", str(split.path), "--pair", "1", *review])
    assert (cleared.exit_code, "1 pairs cleared" in cleared.output) == (0, True)
    again = CliRunner().invoke(app, ["certify", *named, "--reviewed", str(tmp_path / "r.json")])
    assert (again.exit_code, "frozen and certified" in again.output) == (0, True)
