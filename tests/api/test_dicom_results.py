"""Answers to DICOM objects: one report a study, written once, sent again after a fault, and no original changed."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

import pytest
from pydicom import dcmread
from typer.testing import CliRunner

from heart2heart.api.answered_studies import read_answered_studies
from heart2heart.api.dicom_results import write_dicom_results
from heart2heart.cli import app
from heart2heart.dicom_results.answered_clip import AnsweredClip
from heart2heart.errors import ConfigError, MissingInputError, RemoteError
from heart2heart.pacs.destination import DestinationSettings, UnreachableError
from tests.dicom_results.samples import IDENTITY, study_clips, write_answers, write_clip
from tests.pacs.conftest import free_port
from tests.prediction.samples import MODEL


def digests(folder: Path) -> dict[str, str]:
    """Return the hash of each file of a folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.fixture
def clips(tmp_path: Path) -> list[AnsweredClip]:
    archive = tmp_path / "archive"
    clips = [*study_clips(archive, study=1), *study_clips(archive, study=2)]
    write_clip(archive / "3_0.dcm", 0, study=3)  # a study without answers
    (archive / "note.txt").write_text("no DICOM")
    return clips


@pytest.fixture
def answers(clips: list[AnsweredClip], tmp_path: Path) -> Path:
    return write_answers(tmp_path / "answers.jsonl", clips)


def test_write_dicom_results_writes_a_report_a_study_and_copies_once(answers: Path, tmp_path: Path) -> None:
    archive, out = tmp_path / "archive", tmp_path / "out"
    before = digests(archive)
    done = write_dicom_results(answers, archive, out, tag_view=True)
    assert (done.objects, done.earlier, done.sent) == ({"copy": 2, "report": 2}, 0, {})
    assert (done.files, done.unanswered_studies) == ({"excluded:not_dicom": 1, "no_answer": 1}, 1)
    reports = [dcmread(path) for path in sorted(out.glob("report_*.dcm"))]
    assert {report.StudyInstanceUID for report in reports} == {"1.2.98.1", "1.2.98.2"}
    copies = {str(dcmread(path).SourceImageSequence[0].ReferencedSOPInstanceUID) for path in out.glob("copy_*.dcm")}
    assert copies == {"1.2.99.1.0", "1.2.99.2.0"}
    first = digests(out)
    again = write_dicom_results(answers, archive, out, tag_view=True)
    assert (again.objects, again.earlier) == (done.objects, 4)
    assert digests(out) == first
    assert digests(archive) == before
    answers.touch()  # another day
    write_dicom_results(answers, archive, tmp_path / "other")
    assert set(digests(tmp_path / "other")) < set(first)  # the same UIDs elsewhere


def test_write_dicom_results_follows_a_clip_by_its_content(answers: Path, tmp_path: Path) -> None:
    (tmp_path / "archive").rename(tmp_path / "moved")
    for index, path in enumerate(sorted((tmp_path / "moved").iterdir())):
        path.rename(path.with_name(f"file{index}"))
    assert write_dicom_results(answers, tmp_path / "moved", tmp_path / "out").objects == {"report": 2}


def test_write_dicom_results_of_two_models_refuses_one_name(
    clips: list[AnsweredClip], answers: Path, tmp_path: Path
) -> None:
    same = MODEL.model_copy(update={"weights_sha256": "c" * 64})
    second = write_answers(tmp_path / "second.jsonl", clips, same)
    with pytest.raises(ConfigError, match="two models with other weights have one name: run"):
        write_dicom_results([answers, second], tmp_path / "archive", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    other = write_answers(tmp_path / "other.jsonl", clips, same.model_copy(update={"name": "other"}))
    done = write_dicom_results([answers, other], tmp_path / "archive", tmp_path / "out")
    assert done.objects == {"report": 4}
    assert len({dcmread(path).SeriesInstanceUID for path in (tmp_path / "out").iterdir()}) == 4


def test_read_answered_studies_tells_no_ultrasound_from_no_answers(answers: Path, tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "note.txt").write_text("no DICOM")
    write_clip(tmp_path / "ct" / "ct.dcm", 1, SOPClassUID="1.2.840.10008.5.1.4.1.1.2", Modality="CT")
    for name in ("text", "ct"):
        with pytest.raises(MissingInputError, match="none of 1 files is ultrasound in DICOM"):
            read_answered_studies(answers, tmp_path / name)
    write_clip(tmp_path / "foreign" / "clip.dcm", 7)
    with pytest.raises(MissingInputError, match="no clip of 1 studies has an answer"):
        read_answered_studies(answers, tmp_path / "foreign")
    with pytest.raises(MissingInputError, match="no file of answers"):
        read_answered_studies(tmp_path / "nothing.jsonl", tmp_path / "archive")


def test_write_dicom_results_keeps_its_objects_while_the_archive_is_down(answers: Path, tmp_path: Path) -> None:
    address = f"dicom://PACS@127.0.0.1:{free_port()}"
    down = DestinationSettings(address=address, attempts=2, first_wait=0, timeout=1)
    with pytest.raises(UnreachableError, match="Nothing is lost"):
        write_dicom_results(answers, tmp_path / "archive", tmp_path / "out", to=down)
    assert len(list((tmp_path / "out").glob("report_*.dcm"))) == 2


def test_to_dicom_shows_no_identity(
    answers: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "audit.jsonl"
    monkeypatch.setenv("HEART2HEART_AUDIT_LOG", str(log))
    out, archive = tmp_path / "out", tmp_path / "archive"
    line = ["answers", "to-dicom", str(answers), "--source", str(archive), "--out", str(out)]
    with caplog.at_level(logging.INFO):
        done = CliRunner().invoke(app, [*line, "--tag-view"])
    assert done.exit_code == 0, done.output
    assert f"{out}: 4 objects, 0 of them written before" in done.output
    records = [json.loads(record) for record in log.read_text().splitlines()]
    assert [record["action"] for record in records] == ["start", "send", "send"]
    names = " ".join(path.name for path in out.iterdir())
    shown = (done.output + caplog.text + log.read_text() + names + answers.read_text()).lower()
    assert not any(word in shown for word in (*IDENTITY, "1.2.98.1", "1.2.99.1"))
    assert all(word in (out / names.split()[0]).read_bytes().decode("latin-1").lower() for word in IDENTITY[:2])


def test_dicom_results_require_taken_raises_what_the_archive_said(answers: Path, tmp_path: Path) -> None:
    from pynetdicom import AE, evt

    entity = AE("PACS")
    entity.add_supported_context("1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.1.2.1")
    statuses = [0x0000, 0xC000]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[
        (evt.EVT_C_STORE, lambda _: statuses.pop(0))
    ])  # fmt: skip
    assert server is not None
    archive = {"address": f"dicom://PACS@127.0.0.1:{server.server_address[1]}", "ca": None}
    done = write_dicom_results(answers, tmp_path / "archive", tmp_path / "out", to=archive)
    server.shutdown()
    assert done.sent == {"refused": 1, "stored": 1}
    with pytest.raises(RemoteError, match="1 objects were refused: this archive refuses the object"):
        done.require_taken()
