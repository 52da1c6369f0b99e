"""The service beside the PACS, and the reference with which it compares what comes in."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.api.audit import audited
from heart2heart.api.service_audit import ingest_sample
from heart2heart.errors import ConfigError
from heart2heart.progress import Stage, silent_stage
from heart2heart.schema.enums import AuditAction

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from heart2heart.api.scoped_model import ScopedModel
    from heart2heart.prediction.loaded_clip import LoadedClip
    from heart2heart.schema.clip_answer import ClipAnswer, ModelIdentity
    from heart2heart.schema.service import ServiceReference
    from heart2heart.service.running import ReadyReport
    from heart2heart.service.settings import ServedModel, ServiceSettings


@dataclass(frozen=True)
class ServiceSummary:
    """What a service has done since its folder was made.

    Attributes:
        answered: Clips that have an answer.
        waiting: Clips that wait for one; the next start goes on with them.
        reports: Reports that the archive has.
        due: Reports that wait for the archive, or that it refused.
    """

    answered: int
    waiting: int
    reports: int
    due: int

    def __str__(self) -> str:
        """Return the counts in one line."""
        return (
            f"{self.answered} clips answered, {self.waiting} waiting; "
            f"{self.reports} reports stored, {self.due} not yet stored"
        )


@dataclass(frozen=True)
class _ServiceModel:
    """A model as the service uses it."""

    name: str
    scoped: ScopedModel
    identity: ModelIdentity

    def predict(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return self.scoped.predict(pixels)

    def answer(self, clip: LoadedClip, outputs: npt.NDArray[np.float32] | None) -> ClipAnswer:
        return self.scoped.answer(clip, outputs, model=self.identity)


def serve(
    config: str | Path | ServiceSettings,
    *,
    overrides: Sequence[str] = (),
    ready: ReadyReport | None = None,
    handle_signals: bool = True,
) -> ServiceSummary:
    """Take clips by C-STORE, STOW-RS and upload, answer them, and send reports, until SIGTERM or Ctrl-C.

    Args:
        config: Settings of the service, or their YAML file.
        overrides: Dotted overrides such as `web.port=8043`.
        ready: Called with the addresses once clips are taken.
        handle_signals: Whether SIGTERM and SIGINT stop it; only in the main thread.

    Raises:
        ConfigError: two models of one name, an unsafe address, or another impossible setting.
        ModelError: a model was changed, is of another version, is not signed, or its certificate failed.
        ExistsError: another service uses the folder.

    Examples:
        >>> import signal
        >>> from heart2heart.api.service import serve
        >>> from heart2heart.service.settings import ServiceSettings
        >>> model = {"name": "one", "path": "run"}
        >>> content = {"folder": "service", "models": [model], "web": {"port": 0}, "workers": 0}
        >>> settings = ServiceSettings.parse(content, where="example")
        >>> print(serve(settings, ready=lambda **_: signal.raise_signal(signal.SIGTERM)))
        0 clips answered, 0 waiting; 0 reports stored, 0 not yet stored
    """
    from heart2heart.service.settings import ServiceSettings

    settings = config if isinstance(config, ServiceSettings) else ServiceSettings.load(Path(config), overrides)
    return _serve(settings, ready or (lambda **_: None), handle_signals)


@audited(AuditAction.PREDICT, beside="settings", writes=["settings"])
def _serve(settings: ServiceSettings, ready: ReadyReport, handle_signals: bool) -> ServiceSummary:
    from heart2heart.schema.service import ClipState, ReportState
    from heart2heart.service.monitoring import read_reference
    from heart2heart.service.running import Service

    models = [_open_model(served) for served in settings.models]
    active = next(model for model in models if model.name == settings.active.name)
    geometry = active.scoped.model.geometry
    for model in models:
        if model.scoped.model.geometry != geometry:
            what = f"this model takes frames of {model.scoped.model.geometry}, the active one of {geometry}"
            raise ConfigError(what, where=model.name, remedy="Run it in a service of its own")
    weights = {model.name: model.identity.weights_sha256 for model in models}
    path = settings.monitor.reference
    reference = None if path is None else read_reference(path, weights_sha256=weights[active.name])

    def send(report: Path, deliver: Callable[[], object]) -> None:
        assert settings.destination is not None
        _send_report(settings.folder, report, settings.destination.address, deliver)

    opened = Service.open(
        settings, models, geometry, weights=weights, reference=reference, audited_send=send,
        ingest_sample=partial(ingest_sample, settings, geometry),
    )  # fmt: skip
    with opened as service:
        handlers = {}
        if handle_signals:
            kinds = (signal.SIGTERM, signal.SIGINT)
            handlers = {kind: signal.signal(kind, lambda *_: service.stop()) for kind in kinds}
        try:
            service.run(ready)
        finally:
            for kind, handler in handlers.items():
                signal.signal(kind, handler)
        reports = list(service.queue.report_files().values())
        stored = reports.count(ReportState.STORED)
        waiting = service.queue.count(ClipState.WAITING)
        with_answer = service.queue.count(ClipState.ANSWERED) + service.queue.count(ClipState.DONE)
    return ServiceSummary(with_answer, waiting, stored, len(reports) - stored)


def _open_model(served: ServedModel) -> _ServiceModel:
    from heart2heart.api.frozen_models import load_frozen
    from heart2heart.api.model_identity import model_identity
    from heart2heart.api.scoped_model import open_scoped_model

    scoped = open_scoped_model(load_frozen(served.path, trusted_key=served.trusted_key))
    identity = model_identity(scoped.model, scope_sha256=scoped.scope_sha256)
    return _ServiceModel(served.name, scoped, identity.model_copy(update={"name": served.name}))


@audited(AuditAction.SEND, beside="folder", reads=["report"], writes=["destination"])
def _send_report(folder: Path, report: Path, destination: str, deliver: Callable[[], object]) -> int:
    """Send one report; the audit log records it."""
    deliver()
    return 1


@audited(AuditAction.PREDICT, beside="out", reads=["model", "sources"], writes=["out"])
def write_service_reference(
    model: str | Path,
    sources: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    frames: str = "all",
    workers: int = 0,
    stage: Stage = silent_stage,
) -> ServiceReference:
    """Write the inputs and the confidence of a validation, with which a service compares what comes in.

    Args:
        model: A run or an exported model, the active one of the service.
        sources: The DICOM files of the validation, or folders of them; at least 20 clips.
        out: JSON file to write; it holds counts and quantiles, and no identity.
        frames: Frames to read of each clip, as the service does.
        workers: Processes that read files; 0 reads in this process.
        stage: Opens the progress.

    Raises:
        EvaluationError: fewer than 20 clips.

    Examples:
        >>> from heart2heart.api.service import write_service_reference
        >>> write_service_reference("run", ["hospital", "hospital_b"], "reference.json").deciles["frames"][4] > 0
        True
    """
    from heart2heart.api.frozen_models import load_frozen, model_sha256
    from heart2heart.api.model_identity import model_identity
    from heart2heart.api.scoped_model import open_scoped_model
    from heart2heart.api.stores import path_list
    from heart2heart.deidentify.vocabulary import known_manufacturer
    from heart2heart.dicom.header_values import text
    from heart2heart.dicom_results.answered_clip import read_clip_header
    from heart2heart.ingest.executors import run_ordered
    from heart2heart.ingest.source_files import unpacked
    from heart2heart.prediction.loaded_clip import LoadedClip, PredictionTask
    from heart2heart.prediction.sources import list_sources
    from heart2heart.service.answering import clip_measures
    from heart2heart.service.monitoring import make_reference
    from heart2heart.utils import write_json

    scoped = open_scoped_model(load_frozen(model))
    identity = model_identity(scoped.model, scope_sha256=scoped.scope_sha256)
    files = [file for file in list_sources(path_list(sources), without=[Path(out)]).files if file.code is None]
    task = PredictionTask(scoped.model.geometry, frames)
    measures, patients, names = [], [], []
    with stage("reference", len(files)) as progress:
        outcomes = run_ordered(task, [file.path for file in files], workers)
        for done, (file, outcome) in enumerate(zip(files, outcomes, strict=True), 1):
            if outcome.clip is not None:
                clip = LoadedClip.from_outcome(file.file, outcome)
                answer = scoped.answer(clip, scoped.predict(outcome.clip.pixels), model=identity)
                maker = known_manufacturer(outcome.clip.facts.manufacturer or "") or "unknown"
                measures.append(clip_measures(outcome.clip.pixels, manufacturer=maker, answer=answer))
                names.append(clip.sha256 or file.file)
                with unpacked(file.path) as readable:
                    patients.append(text(read_clip_header(readable), "PatientID"))
            progress.update(done, f"{len(measures)} clips")
    reference = make_reference(
        measures,
        weights_sha256=model_sha256(scoped.model),
        classes=scoped.model.classes,
        patients=patients,
        clips=names,
    )
    write_json(Path(out), reference.model_dump(mode="json"))
    return reference
