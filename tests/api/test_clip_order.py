"""Studies in order: the table, the key objects, and the qualities of readers."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from pydicom import dcmread
from typer.testing import CliRunner

from heart2heart.api.clip_order import sort_clips
from heart2heart.cli import app
from heart2heart.errors import ConfigError, MissingInputError
from heart2heart.labels.clip_events import ClipEvent
from heart2heart.labels.label_store import LabelStore
from heart2heart.prediction.answer_file import AnswerFile
from heart2heart.schema.clip_answer import HashedContent
from heart2heart.schema.enums import ClipEventKind
from heart2heart.store.frame_store import FrameStore
from heart2heart.testing.tiny import TinyStore
from tests.dicom_results.samples import IDENTITY, answered, study_clips, write_answers, write_clip
from tests.prediction.samples import answer, header


def test_sort_clips_writes_a_table_and_names_the_best_clips(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    clips = study_clips(archive)
    for index, (view, probability) in enumerate((("A4C", 0.95), ("PLAX", 0.6)), start=7):
        path = write_clip(archive / f"1_{index}.dcm", index)
        probabilities = {"A4C": probability, "PLAX": probability}
        clips.append(answered(path, answer("x", views=(view,), sentence=view, probabilities=probabilities)))
    answers = write_answers(tmp_path / "answers.jsonl", clips)
    line = ["answers", "sort", str(answers), "--source", str(archive), "--out", str(tmp_path / "order.csv")]
    done = CliRunner().invoke(app, [*line, "--key-objects", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    with (tmp_path / "order.csv").open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["view"], row["rank"], row["file"]) for row in rows] == [
        ("PLAX", "1", "1_8.dcm"), ("A4C", "1", "1_7.dcm"), ("A4C", "2", "1_0.dcm"), ("", "", "1_1.dcm"),
        ("", "", "1_2.dcm"), ("", "", "1_3.dcm"),
    ]  # fmt: skip
    (path,) = (tmp_path / "out").iterdir()
    content = dcmread(path).ContentSequence
    images = [item.ReferencedSOPSequence[0] for item in content if item.ValueType == "IMAGE"]
    assert [image.ReferencedSOPInstanceUID for image in images] == ["1.2.99.1.8", "1.2.99.1.7"]
    shown = (done.output + (tmp_path / "order.csv").read_text() + path.name).lower()
    assert not any(word in shown for word in IDENTITY)


def test_sort_clips_of_a_store_follows_the_readers(tiny: TinyStore, tmp_path: Path) -> None:
    store = FrameStore.open(tiny.store)
    rows = store.clips.select(["clip", "study"]).to_pylist()
    study = next(row["study"] for row in rows if sum(other["study"] == row["study"] for other in rows) > 1)
    names = sorted(row["clip"] for row in rows if row["study"] == study)
    with AnswerFile.open(tmp_path / "answers.jsonl", header()) as answers:
        answers.append([answer(name, hash_of=HashedContent.FRAMES) for name in (*names, "elsewhere")])
    by_name = sort_clips(tmp_path / "answers.jsonl", tmp_path / "order.csv", store=tiny.store)
    assert [row.file for row in by_name.rows] == names  # all alike
    label_store = LabelStore(tmp_path / "labels.db")
    events = [(names[0], "poor", "1"), (names[-1], "poor", "1"), (names[-1], "good", "2")]
    label_store.append_clip_events([
        ClipEvent(clip, ClipEventKind.QUALITY, "reader", f"2026-01-0{day}T00:00:00Z", quality)
        for clip, quality, day in events
    ])  # fmt: skip
    ranked = sort_clips(
        tmp_path / "answers.jsonl", tmp_path / "order.csv", store=tiny.store, labels=tmp_path / "labels.db"
    )
    assert (ranked.rows[0].file, ranked.rows[-1].file) == (names[-1], names[0])
    assert [row.file for row in ranked.best()] == [names[-1]]
    with AnswerFile.open(tmp_path / "others.jsonl", header()) as answers:
        answers.append([answer("elsewhere")])
    with pytest.raises(MissingInputError, match="no clip of the store"):
        sort_clips(tmp_path / "others.jsonl", tmp_path / "order.csv", store=tiny.store)


def test_sort_clips_refuses_options_that_do_not_fit(tmp_path: Path) -> None:
    for options, message in (
        ({}, "studies of the clips are not known"),
        ({"source": "a", "store": "b"}, "not both"),
        ({"source": "a", "labels": "labels.db"}, "labels name clips of a store"),
        ({"store": "b", "key_objects": "out"}, "need the DICOM files"),
        ({"source": "a", "to": {"address": "dicom://PACS@127.0.0.1:1"}}, "nothing to send"),
    ):
        with pytest.raises(ConfigError, match=message):
            sort_clips(tmp_path / "answers.jsonl", tmp_path / "order.csv", **options)
