"""The audit sample: from answered clips to the queue of the label page, and back into the drift test."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from heart2heart.annotate.suggestions import read_queue
from heart2heart.api.service_audit import add_service_audit, ingest_sample
from heart2heart.cli import app
from heart2heart.deidentify.pseudonyms import Key
from heart2heart.errors import ConfigError, MissingInputError, StoreError
from heart2heart.schema.monitor import append_record, read_journal
from heart2heart.schema.service import ClipMeasures
from heart2heart.service.audit import AUDIT_STORE, AUDIT_TABLE, AuditSample, read_audit_table
from heart2heart.service.drift import Week, journal_path
from heart2heart.service.queue import AnsweredRow
from heart2heart.service.running import AUDIT
from heart2heart.service.settings import MonitorPart, ServiceSettings
from heart2heart.store.frame_store import FrameStore
from heart2heart.utils import write_json
from tests.prediction.samples import answer
from tests.service.support import GEOMETRY, PATIENT, PATIENT_ID, make_clip, open_service, settings_of
from tests.service.test_drift import WEEK_SECONDS, reference_of

NAMES = [f"{int(index * 2**32 / 100):08x}{index:024x}" for index in range(100)]


def row_of(name: str) -> AnsweredRow:
    measures = ClipMeasures(gray=(1.0, *[0.0] * 15), sector=0.4, frames=2)
    clip_answer = answer(name).model_copy(update={"sha256": name * 2})
    return AnsweredRow(name, clip_answer.sha256, "s", f"p{name}", {"one": clip_answer}, measures, needs_report=False)


def test_keep_takes_the_chosen_share_once_and_at_most_so_many(tmp_path: Path) -> None:
    path = tmp_path / "clip.dcm"
    path.write_bytes(b"clip")
    folder, settings = tmp_path / "audit", MonitorPart(audit_share=0.25, audit_clips=10)
    sample = AuditSample(folder, settings, Key(b"k" * 32))
    for name in NAMES * 2:
        sample.keep(row_of(name), "one", path)
    rows = read_audit_table(folder)
    assert [row.file for row in rows] == [f"{name}.dcm" for name in NAMES[:10]]
    assert all((folder / row.file).read_bytes() == b"clip" for row in rows)
    assert {(row.why, row.view, row.answer) for row in rows} == {("chosen by chance", "A4C", "A4C")}
    assert list(read_queue(folder / AUDIT_TABLE)) == [row.clip for row in rows]
    AuditSample(tmp_path / "none", MonitorPart(), Key(b"k" * 32)).keep(row_of(NAMES[0]), "one", path)
    assert not (tmp_path / "none").exists()


def test_keep_goes_on_after_a_kill_between_row_and_file(tmp_path: Path) -> None:
    path, folder = tmp_path / "clip.dcm", tmp_path / "audit"
    path.write_bytes(b"clip")
    settings, key = MonitorPart(audit_share=1), Key(b"k" * 32)
    AuditSample(folder, settings, key).keep(row_of(NAMES[0]), "one", path)
    (folder / f"{NAMES[0]}.dcm").unlink()
    with (folder / AUDIT_TABLE).open("a") as table:
        table.write("cut off,")
    again = AuditSample(folder, settings, key)
    again.keep(row_of(NAMES[0]), "one", path)
    again.keep(row_of(NAMES[1]), "one", path)
    assert [row.file for row in read_audit_table(folder)] == [f"{name}.dcm" for name in NAMES[:2]]
    assert sorted(file.name for file in folder.glob("*.dcm")) == [f"{name}.dcm" for name in NAMES[:2]]


def test_read_audit_table_refuses_another_table(tmp_path: Path) -> None:
    (tmp_path / AUDIT_TABLE).write_text("clip,why\nc1,x\n")
    with pytest.raises(StoreError, match="damaged"):
        read_audit_table(tmp_path)
    (tmp_path / AUDIT_TABLE).write_bytes(b"\xff\n")
    with pytest.raises(StoreError, match="cannot be read"):
        read_audit_table(tmp_path)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServiceSettings:
    """Return the settings of a service, in a relative folder, that answered three clips, all of them in its sample."""
    monkeypatch.chdir(tmp_path)
    write_json(tmp_path / "reference.json", reference_of().model_dump(mode="json"))
    monitor = {"reference": tmp_path / "reference.json", "audit_share": 1, "least_accuracy": 0.8, "site": "B"}
    settings = settings_of(Path("service"), monitor=monitor)
    with open_service(settings, reference=reference_of()) as service:
        assert service.watch is not None
        service.watch.update(Week.of(datetime.now().timestamp()).begin)
        for index in range(3):
            service.spool.store(f"1.2.{index}", make_clip(tmp_path, index).read_bytes())
        service.intake.scan()
        service._answerer.answer_batch()
        assert ingest_sample(settings, GEOMETRY) == 3
        service.watch.update(datetime.now().timestamp() + WEEK_SECONDS)
    return settings


def test_ingest_sample_fills_the_store_of_the_queue_without_identity(settings: ServiceSettings) -> None:
    folder = settings.folder / AUDIT
    rows = read_audit_table(folder)
    assert sorted(FrameStore.open(folder / AUDIT_STORE).clips["clip"].to_pylist()) == sorted(row.clip for row in rows)
    assert len(rows) == 3
    assert list(folder.glob("*.dcm")) == []
    assert ingest_sample(settings, GEOMETRY) == 0
    for path in folder.rglob("*"):
        if path.is_file():
            assert not any(word.encode() in path.read_bytes() for word in (PATIENT, PATIENT_ID)), path


def test_add_service_audit_tests_the_labels_of_whole_weeks(settings: ServiceSettings, tmp_path: Path) -> None:
    rows, labels = read_audit_table(settings.folder / AUDIT), tmp_path / "labels.csv"
    week = rows[0].week
    labels.write_text(f"clip,truth\n{rows[0].clip},A4C\n{rows[1].clip},PLAX\n")
    result = add_service_audit(settings, labels)
    assert (result.added, result.incomplete) == ((), {week: 1})
    labels.write_text(f"{labels.read_text()}{rows[2].clip},SUBCOSTAL\n")
    result = add_service_audit(settings, labels)
    assert (result.added, result.incomplete) == ((week,), {})
    journal = read_journal(journal_path(settings.folder, reference_of(), settings.monitor))
    assert journal.records[-1].accuracy == (0.5,)  # one patient; a label that is no view of the model does not count
    assert result.state.tests[-1].points["accuracy"][0].mean == 0.5
    assert add_service_audit(settings, labels).added == ()


def test_add_service_audit_refuses_what_it_cannot_test(settings: ServiceSettings, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("clip,truth\nother,A4C\n")
    week = read_audit_table(settings.folder / AUDIT)[0].week
    with pytest.raises(MissingInputError, match="no answered clip"):
        add_service_audit(settings, labels, weeks=[week])
    monitor = settings.monitor.model_copy(update={"least_accuracy": None})
    with pytest.raises(ConfigError, match="not tested"):
        add_service_audit(settings.model_copy(update={"monitor": monitor}), labels)
    monitor = settings.monitor.model_copy(update={"least_accuracy": 0.7})
    with pytest.raises(MissingInputError, match="no journal"):
        add_service_audit(settings.model_copy(update={"monitor": monitor}), labels)


def test_service_audit_command_ends_with_3_where_the_accuracy_has_fallen(
    settings: ServiceSettings, tmp_path: Path
) -> None:
    path, labels = tmp_path / "service.yaml", tmp_path / "labels.csv"
    write_json(path, settings.model_dump(mode="json", exclude_defaults=True))  # JSON is YAML
    rows = read_audit_table(settings.folder / AUDIT)
    labels.write_text("clip,truth\n" + "".join(f"{row.clip},PLAX\n" for row in rows))
    first = CliRunner().invoke(app, ["service-audit", str(path), "--labels", str(labels)])
    assert (first.exit_code, first.output.splitlines()) == (0, [f"added: {rows[0].week}", "No alarm in 1 week"])
    journal = journal_path(settings.folder, reference_of(), settings.monitor)
    (wrong,) = (record for record in read_journal(journal).records if record.kind == "audit")
    (added,) = (record for record in read_journal(journal).records if record.kind == "week")
    later = {"week": "2099-W01", "predictions_sha256": "2" * 64}
    append_record(journal, added.model_copy(update=later))
    append_record(journal, wrong.model_copy(update=later | {"accuracy": (0.0,) * 60, "patients": 60}))
    second = CliRunner().invoke(app, ["service-audit", str(path), "--labels", str(labels)])
    assert (second.exit_code, second.output.splitlines()[-1]) == (3, "Alarm: accuracy since 2099-W01")
