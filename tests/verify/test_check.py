"""Each kind of planted leak, in each kind of file, is found; and what ingest leaves is clean."""

from __future__ import annotations

import base64
import datetime
import gzip
import hashlib
import json
import os
import sqlite3
import tracemalloc
import zipfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydicom import Dataset, dcmread
from typer.testing import CliRunner

from heart2heart.cli import app
from heart2heart.errors import ConfigError, MissingInputError
from heart2heart.ingest.deidentify_files import deidentify_files
from heart2heart.ingest.ledger import Ledger
from heart2heart.labels.consensus import frame_labels
from heart2heart.labels.importing import import_labels
from heart2heart.labels.label_store import LabelStore
from heart2heart.schema.split import SplitSettings
from heart2heart.splits.certify import certify
from heart2heart.splits.propose import propose
from heart2heart.splits.provenance import site_infos
from heart2heart.store.frame_store import FrameStores
from heart2heart.verify.archive import collect_identities
from heart2heart.verify.check import verify
from heart2heart.verify.headers import profile_available
from heart2heart.verify.identities import Identities, load_planted
from heart2heart.verify.patterns import build_patterns
from tests.dicom.build import speckle_frames, write
from tests.evaluation.factory import make_predictions, with_rows
from tests.ingest.archive_kit import make_archive, run

NAME, NUMBER, UID, BORN = "ZQXPLANT^VORNAME", "MRN-4711-ZQ", "1.2.826.0.1.77777.424242", "1943-11-22"


@pytest.fixture
def identities() -> Identities:
    """Return the planted identities."""
    planted = Identities()
    for kind, value in (("name", NAME), ("id", NUMBER), ("uid", UID), ("date", BORN)):
        planted.add(kind, value)
    return planted


def parquet(path: Path, **columns: Sequence[object]) -> None:
    pq.write_table(pa.table(columns), path, compression="zstd")


def sqlite(path: Path) -> None:
    with closing(sqlite3.connect(path)) as book, book:
        book.execute("CREATE TABLE t (a BLOB)")
        book.execute("INSERT INTO t VALUES (?)", (b"by zqxplant, vorname",))


def archive_of(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.json", json.dumps({"who": NAME}))


def dicom(path: Path, **tags: str) -> None:
    write(path, speckle_frames(2), **tags)


def pixels(path: Path, hidden: bytes) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, 64, 64), dtype=np.uint8)
    noise.reshape(-1)[5000 : 5000 + len(hidden)] = np.frombuffer(hidden, np.uint8)
    np.save(path, noise)


LEAKS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "log": ("run.log", lambda p: p.write_text(f"read {NAME} in 3 s"), "name"),
    "log, other order": ("run.log", lambda p: p.write_text("Vorname Zqxplant"), "name"),
    "family name alone": ("run.log", lambda p: p.write_text("xZqxplantx"), "name"),
    "utf-16": ("notes.txt", lambda p: p.write_bytes(NAME.encode("utf-16-le")), "name"),
    "german date": ("notes.txt", lambda p: p.write_text("geb. 22.11.1943"), "date"),
    "american date": ("notes.txt", lambda p: p.write_text("born 11/22/1943"), "date"),
    "month in words": ("notes.txt", lambda p: p.write_text("born Nov 22, 1943"), "date"),
    "uid": ("report.html", lambda p: p.write_text(f"<p>{UID}.7.1</p>"), "uid"),
    "html escapes": ("report.html", lambda p: p.write_text("<p>Z&#81;XPLANT&#94;VORNAME</p>"), "name"),
    "png in html": (
        "report.html",
        lambda p: p.write_text(f'<img src="data:image/png;base64,{base64.b64encode(NUMBER.encode()).decode()}">'),
        "id",
    ),
    "json escapes": ("a.json", lambda p: p.write_text('{"who": "Z\\u0051XPLANT^VORNAME"}'), "name"),
    "json lines": ("m.jsonl", lambda p: p.write_text('{"a": 1}\n{"who": "Z\\u0051XPLANT"}\n'), "name"),
    "parquet text": ("c.parquet", lambda p: parquet(p, patient=["p1", NUMBER] * 9), "id"),
    "parquet date": ("c.parquet", lambda p: parquet(p, date=[datetime.date(1943, 11, 22)] * 9), "date"),
    "parquet list": ("c.parquet", lambda p: parquet(p, flags=[["a"], [NAME]]), "name"),
    "parquet column": ("c.parquet", lambda p: parquet(p, **{NAME: [1, 2]}), "name"),
    "sqlite": ("labels.db", sqlite, "name"),
    "zip": ("model.pt", archive_of, "name"),
    "gzip": ("log.gz", lambda p: p.write_bytes(gzip.compress(NAME.encode())), "name"),
    "pixels": ("f.npy", lambda p: pixels(p, b"ZqXpLaNt"), "name"),
    "plain hash": (
        "a.json",
        lambda p: p.write_text(f'"{hashlib.sha256(NUMBER.encode()).hexdigest()}"'),
        "id, as a plain hash",
    ),
    "hexadecimal": ("a.json", lambda p: p.write_text(f'"{NUMBER.encode().hex()}"'), "id, in hexadecimal"),
    "dicom tag": ("clean.dcm", lambda p: dicom(p, StudyDescription=f"for {NAME}"), "name"),
    "file name": (f"{NUMBER}.txt", lambda p: p.write_text("nothing"), "id"),
}  # fmt: skip


@pytest.mark.parametrize("leak", LEAKS)
def test_verify_finds_every_kind_of_leak(leak: str, identities: Identities, tmp_path: Path) -> None:
    name, plant, kind = LEAKS[leak]
    out = tmp_path / "out"
    out.mkdir()
    (out / "innocent.txt").write_text("synthetic patient frames of 2020-01-01")
    plant(out / name)
    verdict = verify([out], identities)
    assert kind in {finding.kind for finding in verdict.findings}
    assert "innocent" not in str(verdict.findings)
    printed = str(verdict.findings).lower()
    assert not any(secret.lower() in printed for secret in ("zqxplant", NUMBER, UID, BORN))


def test_verify_counts_a_number_within_a_longer_one_as_chance(tmp_path: Path) -> None:
    identities = Identities()
    identities.add("id", "4711471")
    (tmp_path / "a.json").write_text('{"uid": "2.25.90471147199", "hash": "a4711471f"}')
    assert verify([tmp_path], identities).findings == ()
    (tmp_path / "b.json").write_text('{"file": "/archive/4711471/1.dcm"}')
    assert {finding.file for finding in verify([tmp_path], identities).findings} == {f"{tmp_path.name}/b.json"}


def test_verify_finds_unchanged_headers_and_no_changed_ones(tmp_path: Path) -> None:
    if not profile_available():
        if os.environ.get("CI"):
            pytest.fail("CI must have the extra `verify`: headers have not been held against the table")
        pytest.skip("the extra `verify` is not installed: headers have not been held against the table")
    archive = tmp_path / "in"
    write(archive / "a", speckle_frames(2), StationName="ROOM-SEVEN", PatientSex="F")
    deidentify_files([archive], out=tmp_path / "out", key=tmp_path / "key", site="a", text="best_effort")
    identities = collect_identities([archive])
    assert verify([tmp_path / "out"], identities).findings == ()
    copy = next((tmp_path / "out").glob("*/*.dcm"))
    leaking: Dataset = dcmread(copy)
    leaking.StationName = "ROOM-SEVEN"
    leaking.save_as(copy)
    findings = verify([tmp_path / "out"], identities).findings
    assert "unchanged header value" in {one.kind for one in findings}
    assert not any("ROOM" in str(one) for one in findings)


def test_verify_reads_cleaned_descriptions_as_retained(tmp_path: Path) -> None:
    archive = tmp_path / "in"
    write(archive / "a", speckle_frames(2), StudyDescription="tte", SeriesDescription="adult ZQXPLANT")
    deidentify_files([archive], out=tmp_path / "out", key=tmp_path / "key", site="a", text="best_effort")
    identities = collect_identities([archive])
    copy = next((tmp_path / "out").glob("*/*.dcm"))
    clean: Dataset = dcmread(copy)
    assert (clean.StudyDescription, clean.SeriesDescription) == ("tte", "adult")
    assert verify([tmp_path / "out"], identities).findings == ()
    methods = clean.DeidentificationMethodCodeSequence
    clean.DeidentificationMethodCodeSequence = [item for item in methods if item.CodeValue != "113105"]
    clean.save_as(copy)
    if profile_available():
        assert "unchanged header value" in {one.kind for one in verify([tmp_path / "out"], identities).findings}


def test_verify_finds_nothing_from_archive_to_predictions(tmp_path: Path) -> None:
    archive, out = make_archive(tmp_path / "in"), tmp_path / "out"
    for index in range(4):
        who = {
            "PatientID": f"TEST-9{index}",
            "PatientName": f"ZQXPLANT^NUMBER{index}",
            "PatientBirthDate": "19431122",
        }
        write(archive / "more" / f"{index}", speckle_frames(3, seed=90 + index), SOPInstanceUID=f"1.2.9.{index}", **who)
    run(archive, out / "store")
    (out / "store.key").rename(tmp_path / "key")
    deidentify_files([archive], out=out / "clean", key=tmp_path / "key", site="a")
    stores, book = FrameStores.open([out / "store"]), LabelStore(out / "labels.db")
    (tmp_path / "labels.csv").write_text("sop_instance_uid,view\n" + "".join(f"1.2.9.{n},A4C\n" for n in range(4)))
    import_labels(tmp_path / "labels.csv", book, stores, vocabulary="heart2heart", key=tmp_path / "key")
    labels = frame_labels(book.events(), stores.frames)
    settings = SplitSettings(name="t", source=("a",), validation=0.25, test=0.25, classes=("A4C",))
    manifest = propose(stores, labels, settings, out / "split")
    certify(manifest, stores)
    predictions = make_predictions()
    names = ("site", "patient", "study", "clip", "frame", "index", "mode", "maker")
    row = predictions.table.slice(0, 1).to_pylist()[0]
    predictions = with_rows(predictions, [row | frame for frame in stores.frames.select(names).to_pylist()])
    sites = site_infos(stores, manifest, files=Ledger(out / "store").counts(), events=book.events())
    provenance = predictions.provenance.model_copy(update={"sites": sites})
    replace(predictions, provenance=provenance).write(out / "predictions.parquet")
    identities = collect_identities([archive])
    assert len(identities.exact) >= 20
    verdict = verify([out], identities)
    assert verdict.findings == ()
    assert verdict.files > 20


def test_verify_prints_where_and_never_what(tmp_path: Path) -> None:
    (tmp_path / "planted.csv").write_text(f"kind,value\nname,{NAME}\nuid,{UID}\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.log").write_text(UID)
    words = ["verify-deid", str(tmp_path / "out"), "--planted", str(tmp_path / "planted.csv")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code != 0
    assert "out/a.log" in done.output
    assert UID not in done.output
    (tmp_path / "out" / "a.log").write_text("nothing")
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    assert "clean" in done.output


@pytest.mark.parametrize(
    "text", ["a,b\nname,x\n", "kind,value\nperson,somebody\n", "kind,value\ndate,1943\n", "kind,value\n"]
)
def test_load_planted_refuses_a_bad_list_of_identities(text: str, tmp_path: Path) -> None:
    (tmp_path / "planted.csv").write_text(text)
    with pytest.raises(ConfigError):
        load_planted(tmp_path / "planted.csv")


def test_verify_refuses_an_empty_search(tmp_path: Path, identities: Identities) -> None:
    with pytest.raises(MissingInputError):
        verify([tmp_path], identities)
    with pytest.raises(MissingInputError):
        collect_identities([tmp_path])


def test_verify_needs_no_more_memory_for_more_files(
    identities: Identities, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    block, size, out = 2**17, 8 * 2**20, tmp_path / "out"
    monkeypatch.setattr("heart2heart.verify.streams.BLOCK", block)
    monkeypatch.setattr("heart2heart.verify.artefacts._IN_MEMORY", block)
    out.mkdir()
    with (out / "shard.npy").open("wb") as shard:
        shard.truncate(size)
        shard.seek(block - 5)  # across the border of two blocks
        shard.write(b"zqxplant^vorname")
        shard.seek(size - 40)
        shard.write(NUMBER.encode("utf-16-be"))
    with zipfile.ZipFile(out / "packed.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.write(out / "shard.npy", "shard.npy")
    verify([Path(__file__)], identities)  # so that what is loaded once does not count
    tracemalloc.start()
    findings = verify([out], identities).findings
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert {one.file for one in findings} == {"out/shard.npy", "out/packed.zip"}
    assert {one.kind for one in findings} >= {"name", "id"}
    assert peak < size


def test_build_patterns_searches_for_names_of_simulated_patients_alone() -> None:
    """The name lists of the simulator are in the source code and still count as names; other words of it do not."""
    identities = Identities()
    identities.add("name", "Quillford^Geometry")
    single = {pattern.raw for pattern in build_patterns(identities)} & {b"quillford", b"geometry"}
    assert single == {b"quillford"}
