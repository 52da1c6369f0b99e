"""The functions that join packages: the front door (`import heart2heart`), the command line and `pipelines/` call them.

A name is loaded from its module when it is first used, so that nothing heavy is imported early.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from heart2heart.api.adaptation import adapt
    from heart2heart.api.annotation import PageInfo, add_rater, annotate, read_raters, remove_rater
    from heart2heart.api.audit import use_audit_log
    from heart2heart.api.audit_log import export_audit_log, read_audit_log, verify_audit_log
    from heart2heart.api.cases import read_audit_labels, read_cases
    from heart2heart.api.clip_order import SortedClips, sort_clips
    from heart2heart.api.comparison import compare, evaluate_splits
    from heart2heart.api.configuration import configuration_sections, copy_config, training_schema
    from heart2heart.api.conformal import conformal_sets
    from heart2heart.api.datasets import add_dataset, add_pictures, dataset_catalogue, record_dataset_labels
    from heart2heart.api.decision import register_criteria, write_criteria_template, write_study_template
    from heart2heart.api.dicom_results import DicomResults, write_dicom_results
    from heart2heart.api.evaluation import describe_sites, evaluate, read_metrics, summary_table
    from heart2heart.api.exported_models import export_model, load_model, load_run, read_export_parity
    from heart2heart.api.federation import simulate_federation, write_federated_job
    from heart2heart.api.few_labels import audit_accuracy, estimate_without_labels
    from heart2heart.api.few_shot_views import few_shot, few_shot_trial, read_shots, summarise_trial
    from heart2heart.api.flags import count_flags
    from heart2heart.api.hospital import deidentify_files, verify_deidentification
    from heart2heart.api.ingest import ingest_files, simulate
    from heart2heart.api.key_rotation import rotate_key
    from heart2heart.api.label_quality import label_errors, measure_agreement
    from heart2heart.api.labels import (
        count_labels,
        export_labels,
        import_labels,
        merge_labels,
        read_label_file,
    )
    from heart2heart.api.links import link_patients, make_linking_key
    from heart2heart.api.many_files import ManyAnswers, predict_many
    from heart2heart.api.models import load_train_config, sweep, train
    from heart2heart.api.monitoring import add_audit, add_week, show_monitor, start_monitor
    from heart2heart.api.pairs import clear_pairs, read_suspected_pairs, show_pairs
    from heart2heart.api.planning import plan_validation, register_margin
    from heart2heart.api.prediction import ClipPrediction, predict_files, predict_paths
    from heart2heart.api.queue import make_queue
    from heart2heart.api.release import pool
    from heart2heart.api.reporting import report
    from heart2heart.api.representations import (
        duplicates,
        embed,
        load_pretrain_config,
        odd_clips,
        pretrain,
        similar,
    )
    from heart2heart.api.review import list_reviews, review_clips, review_sentence, serve_review
    from heart2heart.api.splits import certify_splits, load_split, make_split, make_splits, require_no_leak
    from heart2heart.api.stores import (
        count_files,
        count_frames,
        files_by_status,
        load_clip,
        open_store,
        require_no_faults,
        verify_store,
    )
    from heart2heart.api.table_split import TableCertificate, certify_table
    from heart2heart.api.transfer import receive, retrieve
    from heart2heart.api.validation import validate
    from heart2heart.api.validation_check import check_validation
    from heart2heart.api.validation_tables import check_prediction_table, write_prediction_template
    from heart2heart.api.views import adopt_views, show_views
    from heart2heart.config import config_names, describe_config
    from heart2heart.demo import run_demo
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.pacs.storage_scp import ReceiveSettings
    from heart2heart.splits.manifest import SplitManifest

_NAMES: dict[str, tuple[str, ...]] = {
    "api.adaptation": ("adapt",),
    "api.annotation": ("PageInfo", "add_rater", "annotate", "read_raters", "remove_rater"),
    "api.audit": ("use_audit_log",),
    "api.audit_log": ("export_audit_log", "read_audit_log", "verify_audit_log"),
    "api.cases": ("read_audit_labels", "read_cases"),
    "api.conformal": ("conformal_sets",),
    "api.few_labels": ("audit_accuracy", "estimate_without_labels"),
    "api.few_shot_views": ("few_shot", "few_shot_trial", "read_shots", "summarise_trial"),
    "api.representations": ("duplicates", "embed", "load_pretrain_config", "odd_clips", "pretrain", "similar"),
    "api.monitoring": ("add_audit", "add_week", "show_monitor", "start_monitor"),
    "api.configuration": ("configuration_sections", "copy_config", "training_schema"),
    "api.datasets": ("add_dataset", "add_pictures", "dataset_catalogue", "record_dataset_labels"),
    "api.clip_order": ("SortedClips", "sort_clips"),
    "api.dicom_results": ("DicomResults", "write_dicom_results"),
    "api.comparison": ("compare", "evaluate_splits"),
    "api.decision": ("register_criteria", "write_criteria_template", "write_study_template"),
    "api.evaluation": ("describe_sites", "evaluate", "read_metrics", "summary_table"),
    "api.exported_models": ("export_model", "load_model", "load_run", "read_export_parity"),
    "api.federation": ("simulate_federation", "write_federated_job"),
    "api.hospital": ("deidentify_files", "verify_deidentification"),
    "api.key_rotation": ("rotate_key",),
    "api.label_quality": ("label_errors", "measure_agreement"),
    "api.labels": (
        "count_labels",
        "export_labels",
        "import_labels",
        "merge_labels",
        "read_label_file",
    ),
    "api.links": ("link_patients", "make_linking_key"),
    "api.many_files": ("ManyAnswers", "predict_many"),
    "api.models": ("load_train_config", "sweep", "train"),
    "api.pairs": ("clear_pairs", "read_suspected_pairs", "show_pairs"),
    "api.flags": ("count_flags",),
    "api.planning": ("plan_validation", "register_margin"),
    "api.prediction": ("ClipPrediction", "predict_files", "predict_paths"),
    "api.queue": ("make_queue",),
    "api.release": ("pool",),
    "api.reporting": ("report",),
    "api.review": ("list_reviews", "review_clips", "review_sentence", "serve_review"),
    "api.splits": ("certify_splits", "load_split", "make_split", "make_splits", "require_no_leak"),
    "api.ingest": ("ingest_files", "simulate"),
    "api.stores": (
        "count_files",
        "count_frames",
        "files_by_status",
        "load_clip",
        "open_store",
        "require_no_faults",
        "verify_store",
    ),
    "api.table_split": ("TableCertificate", "certify_table"),
    "api.transfer": ("receive", "retrieve"),
    "api.validation": ("validate",),
    "api.validation_check": ("check_validation",),
    "api.views": ("adopt_views", "show_views"),
    "api.validation_tables": ("check_prediction_table", "write_prediction_template"),
    "demo": ("run_demo",),
    "labels.label_store": ("LabelStore",),
    "config": ("config_names", "describe_config"),
    "pacs.storage_scp": ("ReceiveSettings",),
    "splits.manifest": ("SplitManifest",),
}
"""Module below `heart2heart` -> the names that come from it."""

_ORIGIN = {name: f"heart2heart.{module}" for module, names in _NAMES.items() for name in names}

__all__ = [
    "ClipPrediction",
    "DicomResults",
    "LabelStore",
    "ManyAnswers",
    "PageInfo",
    "ReceiveSettings",
    "SortedClips",
    "SplitManifest",
    "TableCertificate",
    "adapt",
    "add_audit",
    "add_dataset",
    "add_pictures",
    "add_rater",
    "add_week",
    "adopt_views",
    "annotate",
    "audit_accuracy",
    "certify_splits",
    "certify_table",
    "check_prediction_table",
    "check_validation",
    "clear_pairs",
    "compare",
    "config_names",
    "configuration_sections",
    "conformal_sets",
    "copy_config",
    "count_files",
    "count_flags",
    "count_frames",
    "count_labels",
    "dataset_catalogue",
    "deidentify_files",
    "describe_config",
    "describe_sites",
    "duplicates",
    "embed",
    "estimate_without_labels",
    "evaluate",
    "evaluate_splits",
    "export_audit_log",
    "export_labels",
    "export_model",
    "few_shot",
    "few_shot_trial",
    "files_by_status",
    "import_labels",
    "ingest_files",
    "label_errors",
    "link_patients",
    "list_reviews",
    "load_clip",
    "load_model",
    "load_pretrain_config",
    "load_run",
    "load_split",
    "load_train_config",
    "make_linking_key",
    "make_queue",
    "make_split",
    "make_splits",
    "measure_agreement",
    "merge_labels",
    "odd_clips",
    "open_store",
    "plan_validation",
    "pool",
    "predict_files",
    "predict_many",
    "predict_paths",
    "pretrain",
    "read_audit_labels",
    "read_audit_log",
    "read_cases",
    "read_export_parity",
    "read_label_file",
    "read_metrics",
    "read_raters",
    "read_shots",
    "read_suspected_pairs",
    "receive",
    "record_dataset_labels",
    "register_criteria",
    "register_margin",
    "remove_rater",
    "report",
    "require_no_faults",
    "require_no_leak",
    "retrieve",
    "review_clips",
    "review_sentence",
    "rotate_key",
    "run_demo",
    "serve_review",
    "show_monitor",
    "show_pairs",
    "show_views",
    "similar",
    "simulate",
    "simulate_federation",
    "sort_clips",
    "start_monitor",
    "summarise_trial",
    "summary_table",
    "sweep",
    "train",
    "training_schema",
    "use_audit_log",
    "validate",
    "verify_audit_log",
    "verify_deidentification",
    "verify_store",
    "write_criteria_template",
    "write_dicom_results",
    "write_federated_job",
    "write_prediction_template",
    "write_study_template",
]


def __getattr__(name: str) -> Any:
    """Import a name on its first use."""
    if name not in _ORIGIN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_ORIGIN[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the names, for completion in a notebook."""
    return sorted(_ORIGIN)
