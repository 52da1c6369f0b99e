"""Adaptation of a finished run to one hospital."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.api.audit import audited
from heart2heart.errors import ConfigError
from heart2heart.progress import Progress
from heart2heart.schema.enums import AuditAction

if TYPE_CHECKING:
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.training.run import Run


@audited(AuditAction.TRAIN, beside="out", reads=["run", "store"], writes=["out"])
def adapt(
    run: str | Path | Run,
    store: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    site: str | None = None,
    split: str | Path | None = None,
    patients: Sequence[str] = (),
    statistics: str = "auto",
    prior_patients: float = 1.0,
    entropy_steps: int = 0,
    correct_prior: bool = False,
    labels: str | Path | LabelStore | None = None,
    shots: int = 0,
    rule: str = "latest",
    refuse: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> Run:
    """Adapt a run to a hospital with frames of patients who are never scored there, and write it as a run of its own.

    Batch normalisation gets statistics of the hospital's own unlabeled frames, drawn towards the source's where
    patients are few. Checks without labels keep the source's statistics where the adapted ones would do harm; the
    record of the new run says so.

    Args:
        run: The run, or its folder; it stays as it is.
        store: The store with the hospital's frames.
        out: Folder of the new run.
        site: The hospital, where the store holds several.
        split: The run's split, if it is not where the run's configuration says.
        patients: Pseudonyms of the patients to take. Empty takes all who may adapt.
        statistics: `auto`, `plain`, `prior_aware` or `source`; see `schema.adaptation.StatisticsMethod`.
        prior_patients: Number of patients that the source's statistics are worth.
        entropy_steps: Steps of entropy minimisation; 0 leaves it out.
        correct_prior: Correct the logits for the hospital's shares of the views.
        labels: The label store, for `shots`.
        shots: Labeled clips of adaptation patients that fit temperature and shares of the views.
        rule: How a clip's events become one label.
        refuse: Keep the source's statistics where a check fails.
        seed: Seed of all that is drawn.
        progress: Receives the percentage done.

    Returns:
        The new run; `directory.record.adaptation` holds all that decided it.

    Raises:
        ConfigError: a setting that does not exist, or `shots` without labels.
        LeakageError: a named patient is scored by the run's split.
        RunError: too few patients, only Doppler frames, another geometry, or a network without batch normalisation.

    Examples:
        >>> import heart2heart as h2h
        >>> split = h2h.make_split("store", "labels.db", "split_to_adapt", source=["A"], adaptation=0.5)
        >>> source = h2h.train("demo/labels_only", "source", stores="store", split=split.path, overrides={"steps": 4})
        >>> adapted = h2h.adapt(source, "store", "source_at_B", site="B")
        >>> adapted.directory.record.adaptation.site
        'B'
    """
    from heart2heart.evaluation.probabilities import fit_temperature
    from heart2heart.labels.consensus import frame_labels
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.labels.task_labels import task_events
    from heart2heart.schema.adaptation import AdaptationSettings
    from heart2heart.store.frame_store import FrameStores
    from heart2heart.training.adapt import adapt_run
    from heart2heart.training.run import Run
    from heart2heart.training.unscored_frames import choose_patients, choose_site, require_run_split, select_frames
    from heart2heart.utils import sha256_json

    if bool(shots) != (labels is not None):
        raise ConfigError("--labels and --shots belong together", remedy="Give both, or neither")
    content = {
        "statistics": statistics,
        "prior_patients": prior_patients,
        "entropy_steps": entropy_steps,
        "correct_prior": correct_prior,
        "shots": shots,
        "refuse": refuse,
        "seed": seed,
    }
    settings = AdaptationSettings.parse(content, where="options of heart2heart adapt")
    loaded = run if isinstance(run, Run) else Run.load(run)
    manifest = loaded.load_split(split)
    require_run_split(manifest, loaded.directory.record.split_sha256)
    stores = FrameStores.open(store)
    hospital = choose_site(stores, site)
    chosen = choose_patients(manifest, stores, hospital, settings, patients)
    frames = select_frames(stores, hospital, chosen, settings, loaded.config.pool.modes)
    views = None
    if labels is not None:
        book = labels if isinstance(labels, LabelStore) else LabelStore(labels)
        views = frame_labels(task_events(book, manifest.classes), stores.frames, rule)
    return adapt_run(
        loaded,
        frames,
        manifest,
        out,
        settings,
        store_digest=sha256_json([one.digest() for one in stores.stores]),
        labels=views,
        fit_temperature=fit_temperature,
        progress=progress,
    )
