"""Label Studio's JSON: its documented form read, ours written and read back as the same events."""

import json
from pathlib import Path
from typing import Any

import pytest

from heart2heart.errors import LabelError
from heart2heart.labels.exporting import export_events, export_labels
from heart2heart.labels.importing import import_labels
from heart2heart.labels.label_store import LabelStore
from heart2heart.store.frame_store import FrameStore
from tests.labels.hospital import make_hospital
from tests.labels.round_trip import EVERY_KIND, check_comes_back


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FrameStore:
    return make_hospital(tmp_path_factory.mktemp("hospital")).store


def _task(data: dict[str, Any], *annotations: dict[str, Any]) -> dict[str, Any]:
    return {"id": 1, "project": 83, "data": data, "annotations": list(annotations), "predictions": []}


def _annotation(choice: str, **more: Any) -> dict[str, Any]:
    """As the task format of Label Studio's guide shows it, with choices."""
    result = {"id": "Dx_aB91ISN", "from_name": "view", "to_name": "video", "type": "choices",
              "value": {"choices": [choice]}}  # fmt: skip
    return {
        "id": 1001, "was_cancelled": False, "ground_truth": False, "created_at": "2021-03-09T22:16:08.728353Z",
        "updated_at": "2021-03-09T22:16:08.728378Z", "lead_time": 4.288, "completed_by": 10, "result": [result], **more,
    }  # fmt: skip


def _write(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "project-83.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_read_tasks_of_label_studios_export(tmp_path: Path, store: FrameStore) -> None:
    rectangle = {"id": "x", "type": "rectanglelabels", "value": {"rectanglelabels": ["Moonwalker"]}}
    path = _write(tmp_path, [
        _task({"video": "/data/upload/1/1f6e5b2a-c0.mp4"}, _annotation("Apical four chamber"),
              _annotation("Other", completed_by={"id": 7, "email": "reader@example.org"}, ground_truth=True)),
        _task({"image": "https://example.org/a%20b/c1.png?x=1"}, _annotation("subcostal", was_cancelled=True)),
        _task({"clip": "c2", "frame": "1"}, _annotation("Unusable", completed_by=None, lead_time=None)),
        _task({"clip": "c3"}, _annotation("other", result=[rectangle])),
    ])  # fmt: skip
    label_store = LabelStore(tmp_path / "labels.db")
    summary = import_labels(path, label_store, store, vocabulary="clinical")
    assert (summary.rows, summary.new, summary.without_view) == (4, 3, 2)
    assert [(e.clip, e.frame, e.value, e.rater, e.kind, e.seconds) for e in label_store.events()] == [
        ("c0", "", "A4C", "label_studio:10", "label", 4.288),
        ("c0", "", "OTHER", "reader@example.org", "adjudication", 4.288),
        ("c2", "c2:0001", "unusable", "unnamed", "label", None),
    ]
    assert label_store.events()[0].at == "2021-03-09T22:16:08.728353Z"


def test_write_tasks_come_back_as_the_same_events(tmp_path: Path, store: FrameStore) -> None:
    label_store = LabelStore(tmp_path / "labels.db")
    label_store.append(EVERY_KIND)
    record = export_events(label_store, tmp_path / "out.json")
    assert (record.written, record.left_out) == (4, {"retracted, or a retraction": 2})
    check_comes_back(tmp_path / "out.json", label_store, store)
    export_labels(label_store, tmp_path / "agreed.json", "adjudicated")
    task = json.loads((tmp_path / "agreed.json").read_text())[0]
    assert task["annotations"][0]["completed_by"]["username"] == "consensus:adjudicated"
    assert task["data"] == {"clip": "c0", "taxonomy": "1", "video": "c0.mp4"}


def test_read_tasks_name_unknown_views_with_a_suggestion(tmp_path: Path, store: FrameStore) -> None:
    path = _write(tmp_path, [_task({"clip": "c0"}, _annotation("A4C")), _task({"clip": "c1"}, _annotation("PSAXX"))])
    with pytest.raises(LabelError, match=r"'PSAXX' \(task 2; did you mean PSAX\?\).*nothing was imported"):
        import_labels(path, LabelStore(tmp_path / "labels.db"), store)
    assert not (tmp_path / "labels.db").exists()
    path = _write(tmp_path, [_task({"clip": "gone"}, _annotation("A4C"))])
    with pytest.raises(LabelError, match=r"1 labels of clips not in the store \(tasks 1\)") as raised:
        import_labels(path, LabelStore(tmp_path / "labels.db"), store)
    assert "gone" not in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [{"a": 1}, [{"image": "c0.png", "choice": "A4C"}], [1], [_task({}) | {"annotations": "x"}],
     [_task({}) | {"data": 1}]],
)  # fmt: skip
def test_read_tasks_refuse_other_json(tmp_path: Path, store: FrameStore, content: object) -> None:
    with pytest.raises(LabelError, match="not a JSON export of Label Studio"):
        import_labels(_write(tmp_path, content), LabelStore(tmp_path / "labels.db"), store)


def test_read_tasks_refuse_half_a_file(tmp_path: Path, store: FrameStore) -> None:
    path = _write(tmp_path, [_task({"clip": "c0"}, _annotation("A4C"))])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(LabelError, match="not readable JSON"):
        import_labels(path, LabelStore(tmp_path / "labels.db"), store)
