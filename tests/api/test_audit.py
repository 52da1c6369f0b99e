"""The audit of the API: every function that touches patient data leaves a record, and no record names a patient."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

import heart2heart as h2h
from heart2heart.api import export_audit_log, read_audit_log, use_audit_log, verify_audit_log
from heart2heart.api.audit import audited
from heart2heart.audit.log import AuditLogChangedError
from heart2heart.errors import UnwritableError
from heart2heart.schema.enums import AuditAction
from tests.dicom.build import write
from tests.test_walls import PACKAGE

NO_PATIENT_DATA = {
    "adaptation": (),
    "annotation": ("add_rater", "read_raters", "remove_rater"),
    "audit": ("audited", "key_mac", "use_audit_log"),
    "audit_log": ("read_audit_log", "verify_audit_log"),
    "comparison": ("compare", "evaluate_splits"),
    "configuration": ("configuration_sections", "copy_config", "training_schema"),
    "datasets": ("dataset_catalogue", "record_dataset_labels"),
    "decision": ("register_criteria", "write_criteria_template", "write_study_template"),
    "evaluation": ("describe_sites", "parse_stress", "read_metrics", "summary_table"),
    "exported_models": ("load_model", "load_run", "read_export_parity"),
    "federation": ("parse_sites", "write_federated_job"),
    "ingest": ("simulate",),
    "links": ("make_linking_key",),
    "model_identity": ("model_identity",),
    "few_shot_views": ("read_shots", "summarise_trial"),
    "models": ("config_changes", "load_train_config"),
    "pairs": ("clear_pairs", "read_suspected_pairs"),
    "planning": ("plan_validation", "register_margin"),
    "release": ("check_release", "counts_file", "pool"),
    "representations": ("load_pretrain_config",),
    "validation_tables": ("write_prediction_template",),
}
"""Functions that handle no patient data: settings, aggregates, hashes and templates."""

WITHIN_AUDITED = {
    "answered_studies": ("check_model_names", "read_answered_studies", "read_models"),
    "beside_predictions": ("read_beside", "write_readers", "write_saliency"),
    "dicom_results": ("destination_settings", "send_results"),
    "federation": ("simulate_federation",),
    "shown_frames": ("frames_with_text", "without_text"),
    "scope": ("scope_sentences",),
    "scope_clips": ("clip_features", "join_clips", "source_clips", "view_targets"),
    "scoped_model": ("open_scoped_model",),
    "service": ("serve",),
    "splits": ("open_stores",),
    "stores": ("key_path", "path_list"),
    "frozen_models": ("load_frozen", "model_sha256"),
    "validation_frames": ("certified_frames", "training_reference"),
    "validation_tables": ("certified_table",),
}
"""Functions that audited ones call; `simulate_federation` calls `write_release`, and `serve` the part of it that opens
the folder, which are audited."""

ONLY_READ = {
    "cases": ("read_audit_labels", "read_cases"),
    "conformal": ("conformal_sets",),
    "flags": ("count_flags",),
    "few_labels": ("audit_accuracy", "estimate_without_labels"),
    "few_shot_views": ("few_shot_trial",),
    "label_quality": ("label_errors", "measure_agreement"),
    "labels": ("count_labels", "open_label_store", "read_label_file"),
    "service_audit": ("add_service_audit", "ingest_sample"),
    "monitoring": ("add_audit", "add_week", "measure_pictures", "show_monitor", "start_monitor"),
    "readers": ("blind_readings", "compare_readers", "model_clips"),
    "representations": ("duplicates", "odd_clips", "similar"),
    "review": ("list_reviews", "review_sentence", "text_areas"),
    "splits": ("certify_splits", "load_split", "make_split", "make_splits", "require_no_leak"),
    "stores": (
        "count_files", "count_frames", "files_by_status", "load_clip", "open_store", "require_no_faults",
        "verify_store",
    ),
    "table_split": ("certify_table",),
    "validation_check": ("check_validation",),
    "validation_tables": ("check_prediction_table",),
    "views": ("adopt_views", "show_views", "views_of"),
}  # fmt: skip
"""Functions that read pseudonymous tables within the process, or write only names of clips. A program that holds the
files can read them without this package, so a record would promise what it cannot keep."""


def _functions() -> dict[str, dict[str, bool]]:
    """Return the public functions of each module of the API, and whether each is audited."""
    modules: dict[str, dict[str, bool]] = {}
    for path in sorted((PACKAGE / "api").glob("[a-z]*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                calls = [each.func for each in node.decorator_list if isinstance(each, ast.Call)]
                is_audited = any(isinstance(call, ast.Name) and call.id == "audited" for call in calls)
                modules.setdefault(path.stem, {})[node.name] = is_audited
    return modules


def test_audited_or_listed_is_every_function_of_the_api() -> None:
    modules = _functions()
    listed: dict[str, set[str]] = {}
    for table in (NO_PATIENT_DATA, WITHIN_AUDITED, ONLY_READ):
        for module, names in table.items():
            assert not listed.get(module, set()) & set(names)
            listed.setdefault(module, set()).update(names)
    open_ones = {module: {name for name, done in names.items() if not done} for module, names in modules.items()}
    assert {module: names for module, names in open_ones.items() if names} == {m: n for m, n in listed.items() if n}


def _ingest(folder: Path) -> None:
    write(folder / "MUELLER_ERNA" / "clip", PatientName="MUELLER^ERNA", PatientID="ID-4711")
    h2h.ingest_files(folder / "MUELLER_ERNA", site="A", store=folder / "store", size=32, frames="even:2", workers=1)


def test_ingest_files_writes_its_record_beside_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEART2HEART_AUDIT_LOG")
    _ingest(tmp_path)
    log = tmp_path / "audit.jsonl"
    verify_audit_log(log).require_intact(log)
    _, began, ended = read_audit_log(log)
    assert (began.operation, began.phase, began.counts) == (ended.operation, "began", {})
    assert (ended.action, ended.phase, ended.site, ended.error) == ("ingest", "ended", "A", None)
    assert (ended.counts["accepted"], ended.counts["frames"]) == (1, 2)
    assert [(each.role, each.name) for each in ended.objects] == [("input", None), ("output", "store")]
    raw = log.read_bytes().upper()
    assert not any(word in raw for word in (b"MUELLER", b"ERNA", b"4711"))


def test_use_audit_log_names_one_file_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEART2HEART_AUDIT_LOG", "x")
    use_audit_log(tmp_path / "one.jsonl")
    _ingest(tmp_path / "data")
    assert verify_audit_log(tmp_path / "one.jsonl").records == 3
    assert not (tmp_path / "data" / "audit.jsonl").exists()


def test_audited_records_a_failure_by_its_kind_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_log = tmp_path / "audit.jsonl"
    monkeypatch.setenv("HEART2HEART_AUDIT_LOG", str(use_log))

    @audited(AuditAction.SHOW, beside="page", writes=["page"])
    def fail(page: Path) -> None:
        raise ValueError("MUELLER^ERNA")

    with pytest.raises(ValueError, match="MUELLER"):
        fail(tmp_path / "page.html")
    assert [record.error for record in read_audit_log(use_log)] == [None, None, "ValueError"]
    assert b"MUELLER" not in use_log.read_bytes()


def test_audited_calls_nothing_when_no_record_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    @audited(AuditAction.SHOW, beside="page")
    def show(page: Path) -> None:
        calls.append(page)

    monkeypatch.setenv("HEART2HEART_AUDIT_LOG", str(tmp_path))
    with pytest.raises(UnwritableError, match="audit log cannot be written"):
        show(tmp_path / "page.html")
    assert calls == []


def test_audited_uses_the_folder_of_the_account_where_the_data_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEART2HEART_AUDIT_LOG")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path / "shared" and access(path, mode))
    (tmp_path / "shared").mkdir()

    @audited(AuditAction.PREDICT, beside="run")
    def predict(run: Path) -> int:
        return 4

    assert predict(tmp_path / "shared" / "run") == 4
    assert verify_audit_log(tmp_path / "state" / "heart2heart" / "audit.jsonl").records == 3


def test_verify_audit_log_by_key_finds_a_forged_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, key = tmp_path / "audit.jsonl", tmp_path / "audit.key"
    monkeypatch.setenv("HEART2HEART_AUDIT_LOG", str(log))
    monkeypatch.setenv("HEART2HEART_AUDIT_KEY", str(key))
    _ingest(tmp_path)
    assert verify_audit_log(log, key=key).keyed
    log.unlink()
    monkeypatch.delenv("HEART2HEART_AUDIT_KEY")
    _ingest(tmp_path / "again")
    with pytest.raises(AuditLogChangedError, match="HMAC"):
        verify_audit_log(log, key=key).require_intact(log)


def test_export_audit_log_writes_a_message_for_each_operation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "audit.jsonl"
    monkeypatch.setenv("HEART2HEART_AUDIT_LOG", str(log))
    _ingest(tmp_path)
    assert export_audit_log(log, tmp_path / "messages") == 2
    names = sorted(path.name for path in (tmp_path / "messages").iterdir())
    assert names == ["000000.xml", "000002.xml"]
    assert 'csd-code="110107"' in (tmp_path / "messages" / "000002.xml").read_text()
    assert [record.action for record in read_audit_log(log)][-1] == "read_log"
