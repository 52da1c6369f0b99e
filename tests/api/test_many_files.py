"""Many files to one file of answers: what is missing is done, what is damaged is coded, and what is done stays."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from heart2heart.api.many_files import predict_many
from heart2heart.api.prediction import predict_files
from heart2heart.cli import app
from heart2heart.errors import ConfigError, DicomError, RunError, StoreError
from heart2heart.ingest.executors import FileTask
from heart2heart.ingest.settings import Limits
from heart2heart.ingest.worker import FileOutcome
from heart2heart.prediction.answer_file import read_answers
from heart2heart.schema.clip_answer import ClipAnswer
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.geometry import Geometry
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.run import Run
from heart2heart.utils import sha256_file
from tests.dicom.build import speckle_frames, write


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two clips, one of them in a zip file, and files of every other kind."""
    root = tmp_path_factory.mktemp("archive")
    for index, name in enumerate(("a/clip.dcm", "b/clip.dcm")):
        (root / name).parent.mkdir()
        write(root / name, speckle_frames(5, seed=index))
    with zipfile.ZipFile(root / "study.zip", "w") as packed:
        packed.write(root / "b" / "clip.dcm", "doehringer/clip.dcm")
    (root / "cut.zip").write_bytes((root / "study.zip").read_bytes()[:3000])
    (root / "note.txt").write_text("no clip")
    (root / "empty.dcm").touch()
    (root / "machine").symlink_to("/")
    return root


ENDS = {
    "a/clip.dcm": "answered",
    "b/clip.dcm": "answered",
    "cut.zip": "failed:archive",
    "empty.dcm": "failed:empty",
    "machine": "excluded:outside_folder",
    "note.txt": "excluded:not_dicom",
    "study.zip/000000/clip.dcm": "answered",
}


def ends(path: Path) -> dict[str, str]:
    return {answer.file: str(answer.code or answer.status) for answer in answers(path)}


def answers(path: Path) -> list[ClipAnswer]:
    return list(read_answers(path)[1])


def test_predict_many_gives_each_file_one_answer(run: Run, archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    tables = [tmp_path / "answers.csv", tmp_path / "answers.parquet"]
    done = predict_many(run, archive, out, tables=tables, frames="even:3")
    assert ends(out) == ENDS
    assert (done.earlier, done.tables, sum(done.statuses.values())) == (0, tuple(tables), len(ENDS))
    rows = {answer.file: answer for answer in answers(out)}
    (single,) = predict_files(run, archive / "a" / "clip.dcm", rule="even:3")
    first = rows["a/clip.dcm"]
    assert (first.views, first.frames, first.mode) == ((single.view,), 3, single.mode)
    np.testing.assert_allclose(list(first.probabilities.values()), single.probabilities, atol=1e-6)
    assert first.sha256 == sha256_file(archive / "a" / "clip.dcm")
    assert rows["study.zip/000000/clip.dcm"].probabilities == rows["b/clip.dcm"].probabilities
    assert first.model.weights_sha256 == sha256_file(run.directory.best_checkpoint)
    assert first.model.split_sha256 == run.directory.record.split_sha256
    assert first.model.certificate_sha256 == run.load_split().certificate().digest()
    assert pq.read_table(tables[1])["file"].to_pylist() == list(rows)
    assert all(str(archive) not in path.read_text(errors="replace") for path in (out, *tables))
    assert b"doehringer" not in out.read_bytes()  # names within an archive may be of patients


def test_predict_many_goes_on_where_it_stopped(run: Run, archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    predict_many(run, archive, out, frames="even:1")
    wholes, lines = answers(out), out.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:4]) + lines[4][:50])
    done = predict_many(run, archive, out, frames="even:1")
    assert (done.earlier, done.dropped_line, sum(done.statuses.values())) == (3, True, len(ENDS) - 3)
    assert ends(out) == ENDS
    for answer, first in zip(answers(out), wholes, strict=True):  # in other batches, so the last digits may differ
        assert list(answer.probabilities.values()) == pytest.approx(list(first.probabilities.values()), abs=1e-5)
    whole = out.read_bytes()
    again = predict_many(run, archive, out, frames="even:1")
    assert (again.earlier, again.statuses) == (len(ENDS), {})
    assert out.read_bytes() == whole
    with pytest.raises(RunError, match="differing: frames"):
        predict_many(run, archive, out, frames="all")


def test_predict_many_is_the_same_in_processes(run: Run, archive: Path, tmp_path: Path) -> None:
    predict_many(run, archive, tmp_path / "one.jsonl", frames="even:2")
    predict_many(run, archive, tmp_path / "two.jsonl", frames="even:2", workers=1, file_seconds=120)
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()


def test_predict_many_takes_stores(run: Run, tiny: TinyStore, archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    sources = [tiny.store, archive / "a" / "clip.dcm"]
    done = predict_many(run, sources, out)
    store = FrameStore.open(tiny.store)
    assert done.statuses == {"answered": len(store.clips) + 1}
    assert {answer.file for answer in answers(out)} == {"clip.dcm", *store.clips["clip"].to_pylist()}
    assert predict_many(run, sources, out).statuses == {}
    other = FrameStore.create(tmp_path / "other", Geometry(size=32))
    with pytest.raises(StoreError, match="the store holds"):
        predict_many(run, other.root, tmp_path / "other.jsonl")
    assert not (tmp_path / "other.jsonl").exists()


def test_predict_many_tells_of_a_folder_without_ultrasound(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "note.txt").write_text("no clip")
    done = predict_many(run, [tmp_path / "in", tmp_path / "gone"], tmp_path / "answers.jsonl")
    assert done.statuses == {"excluded:not_dicom": 1, "failed:missing": 1}
    again = predict_many(run, tmp_path / "in", tmp_path / "in" / "answers.jsonl")
    assert again.statuses == {"excluded:not_dicom": 1}  # the file of answers is no source
    again = predict_many(run, tmp_path / "in", tmp_path / "in" / "answers.jsonl")
    for each, files in ((done, 2), (again, 1)):
        with pytest.raises(DicomError, match=f"none of {files} files is an ultrasound clip"):
            each.require_clips()


def test_predict_many_refuses_settings_before_it_reads(run: Run, archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    with pytest.raises(ConfigError, match="another ending"):
        predict_many(run, archive, out, tables=tmp_path / "a.xlsx")
    with pytest.raises(ConfigError, match="workers"):
        predict_many(run, archive, out, workers=-1)
    with pytest.raises(ConfigError, match="needs a spool folder"):
        predict_many(run, "https://pacs.example/dicom-web", out)
    assert not out.exists()


def test_predict_writes_answers_and_counts_them(run: Run, archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    line = ["predict", str(run.path), str(archive), "--frames", "even:1", "--out", str(out), "--workers", "0"]
    done = CliRunner().invoke(app, [*line, "--table", str(tmp_path / "answers.csv")])
    assert done.exit_code == 0, done.output
    assert "answered" in done.stdout
    assert str(out) in done.stdout
    assert len(out.read_text().splitlines()) == len(ENDS) + 1
    assert all(json.loads(each) for each in out.read_text().splitlines())
    again = CliRunner().invoke(app, line)
    assert f"{len(ENDS)} files had an answer before" in again.stdout


def test_predict_many_takes_the_workers_of_a_cluster(
    run: Run, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses: list[str] = []

    def run_on_dask(work: FileTask, paths: Sequence[Path], address: str, limits: Limits) -> Iterator[FileOutcome]:
        addresses.append(f"{address} {limits.seconds:.0f}")
        return map(work, paths)

    monkeypatch.setattr("heart2heart.ingest.dask_executor.run_on_dask", run_on_dask)
    out = tmp_path / "answers.jsonl"
    predict_many(run, archive, out, frames="even:1", dask="tcp://10.0.0.1:8786", file_seconds=30)
    assert (addresses, ends(out)) == (["tcp://10.0.0.1:8786 30"], ENDS)
