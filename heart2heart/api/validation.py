"""Validation of a frozen model at any hospital with labels: runs, exported files, and tables of any model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.api.audit import audited
from heart2heart.errors import ConfigError, ExistsError
from heart2heart.progress import NoProgress, Progress, SubProgress
from heart2heart.schema.enums import AuditAction

if TYPE_CHECKING:
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.schema.metrics import Metrics
    from heart2heart.training.run import Run


@audited(AuditAction.EVALUATE, beside="out", reads=["model", "store"], writes=["out"])
def validate(
    model: str | Path | Run | Sequence[str | Path | Run],
    out: str | Path,
    *,
    store: str | Path | Sequence[str | Path] | None = None,
    labels: str | Path | LabelStore | None = None,
    sites: Sequence[str] = (),
    split: str | Path | None = None,
    train_stores: str | Path | Sequence[str | Path] = (),
    leave_out_seen: bool = False,
    task: str = "view",
    name: str | None = None,
    synthetic: bool = False,
    rule: str = "latest",
    replicates: int = 10_000,
    seed: int = 0,
    bca: bool = False,
    margin: str | Path | None = None,
    flags: str | Path | None = None,
    pictures: bool = True,
    pseudonyms: bool = True,
    release: str | None = None,
    command: str | None = None,
    progress: Progress | None = None,
) -> Metrics:
    """Score a frozen model at any hospital with labels, whether or not its training split knows the hospital.

    A certificate takes the place of the split's. It compares patients, clips and pictures with those of the training,
    as far as they are at hand, and says in plain sight where the training data were not seen. `report` reads the folder
    as it reads that of `evaluate`.

    Args:
        model: A run, an ensemble or an adapted run; a file of `heart2heart export`, `.pt2` or `.onnx`, or its
            MONAI bundle; or a table of the predictions of any model, `.csv` or `.parquet`. Several are scored on the
            same frames and compared in pairs with the first.
        out: New folder for `predictions.parquet`, `metrics.json` and `certificate.json`.
        store: The stores with the hospitals' frames; not with a table.
        labels: The label store; not with a table, which has the truth.
        sites: The hospitals; empty takes all of the stores.
        split: The training split. None takes the one that the run names, where it is at hand.
        train_stores: The stores of that split. Empty takes those that the run names, where they are at hand.
        leave_out_seen: Leave out every patient whom the model has seen; otherwise such a patient is an error.
        task: Noun of what the classes are, such as `view`, `severity` or `pneumonia`.
        name: What a reader calls the model of a table; None takes the name of the file.
        synthetic: The cases of a table are simulated; every page says so.
        rule: How a clip's events become one label.
        replicates: Bootstrap replicates.
        seed: Seed of the bootstrap.
        bca: BCa intervals instead of percentile intervals.
        margin: File of the largest acceptable loss, registered before (`register_margin`).
        flags: Flags rule, by file or packaged name. None is `usual`, by which no flag excludes a frame.
        pictures: Keep a few pictures for the report.
        pseudonyms: Keep the names of patients, studies, clips and frames; otherwise codes take their place, and the
            certificate can no longer be computed again from the store.
        release: `counts` writes one `counts_HOSPITAL.json` a hospital, and nothing else. It may leave the hospital: it
            holds sums over five patients or more. `pool` reads it.
        command: Command that repeats the validation, for the record.
        progress: Receives the percentage done.

    Returns:
        The scores, with intervals over patients; of a release, those that follow from the released counts.

    Raises:
        LeakageError: the model has seen a patient, a clip or a picture that it would be scored on.
        EvaluationError: a table with faults; the message names row, column and remedy of each.
        RunError: frames of another geometry than the model takes, or a file that is no exported model.
        SplitError: no labeled frame, or another split than the model was trained on.
        ExistsError: the folder holds a validation or an evaluation already.

    Examples:
        >>> import heart2heart as h2h
        >>> metrics = h2h.validate("run", "validation", store="store", labels="labels.db", sites=["B"], replicates=200)
        >>> [(site.site, site.held_out) for site in metrics.sites]
        [('A', False), ('B', True)]
    """
    from heart2heart.api.release import check_release, write_release
    from heart2heart.evaluation.evaluate import evaluate_predictions
    from heart2heart.evaluation.table_file import SUFFIXES
    from heart2heart.schema.flags_rule import read_flags_rule
    from heart2heart.schema.margin import read_margin
    from heart2heart.schema.metrics_files import write_metrics
    from heart2heart.schema.redaction import new_key, without_pictures
    from heart2heart.schema.validation import CERTIFICATE_FILE
    from heart2heart.splits.joint_validation import join_validations
    from heart2heart.splits.validation import require_no_overlap
    from heart2heart.utils import check_writable, write_json

    folder, progress = Path(out), progress or NoProgress()
    check_release(release)
    registered = read_margin(Path(margin)) if margin else None
    flags_rule = read_flags_rule(flags) if flags else None
    if (folder / "predictions.parquet").exists():
        raise ExistsError("predictions are already in this folder", where=folder, remedy="Name another folder")
    _check_task(task)
    models = [model] if isinstance(model, str | Path) or not isinstance(model, Sequence) else list(model)
    if not models:
        raise ConfigError("no model to validate", remedy="Name a run, an exported file or a table")
    names = [Path(each).name if isinstance(each, str | Path) else each.name for each in models]
    shown, key, parts = command or f"heart2heart validate {' '.join(names)}", None if pseudonyms else new_key(), []
    for index, each in enumerate(models):
        if isinstance(each, str | Path) and Path(each).suffix.lower() in SUFFIXES:
            if store or labels or sites or leave_out_seen:
                what = "a table has its own hospitals and truth"
                remedy = "Leave out --store, --labels, --site and --leave-out-seen"
                raise ConfigError(what, where=each, remedy=remedy)
            if name is not None and len(models) > 1:
                raise ConfigError(
                    "--name is for one table", remedy="Name the files as the report should name the models"
                )
            from heart2heart.api.validation_tables import certified_table

            parts.append(certified_table(Path(each), split, task=task, name=name, synthetic=synthetic, command=shown))
            continue
        if not store or labels is None:
            remedy = "Give --store and --labels, or a table of predictions that ends with .csv or .parquet"
            raise ConfigError("a model needs a store and labels to be validated", where=str(each), remedy=remedy)
        if name is not None or synthetic:
            raise ConfigError("--name and --synthetic are for tables", remedy="A run and a store name themselves")
        from heart2heart.api.validation_frames import certified_frames  # loads torch, which a table does not need

        certified = certified_frames(
            each,
            store,
            labels,
            sites=sites,
            split=split,
            train_stores=train_stores,
            leave_out_seen=leave_out_seen,
            task=task,
            rule=rule,
            command=shown,
            progress=SubProgress(progress, start=90 * index / len(models), span=90 / len(models), total=90),
            key=key,
            flags=flags_rule,
        )
        parts.append(certified)
    predictions = join_validations(parts)
    certificate = predictions.provenance.validation
    assert certificate is not None
    require_no_overlap(certificate)
    if registered:
        provenance = predictions.provenance.model_copy(update={"margin": registered})
        predictions = replace(predictions, provenance=provenance)
    if release:
        return write_release(predictions, folder)
    if not pictures:
        predictions = without_pictures(predictions)
    metrics = evaluate_predictions(predictions, replicates=replicates, seed=seed, bca=bca)
    check_writable(folder / "predictions.parquet")
    predictions.write(folder / "predictions.parquet")
    write_json(folder / CERTIFICATE_FILE, certificate.model_dump(mode="json"))
    write_metrics(metrics, folder / "metrics.json")
    progress.update(100)
    return metrics


def _check_task(task: str) -> None:
    if not (0 < len(task) <= 40 and task.isprintable() and task == task.strip()):
        remedy = "Write one short noun, such as view, severity or pneumonia"
        raise ConfigError(f"{task[:40]!r} is no noun for a task", where="--task", remedy=remedy)
