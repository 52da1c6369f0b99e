"""A finished run: its selected network, ready to predict, and its facts for a report."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from heart2heart.errors import MissingInputError, RunError
from heart2heart.notebook import html_card, html_table
from heart2heart.schema.predictions import MethodFacts, RunInfo
from heart2heart.schema.run import CombinationKind
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_tables import FrameTables
from heart2heart.store.geometry import Geometry
from heart2heart.training import checkpoint
from heart2heart.training.algorithms import build_algorithm
from heart2heart.training.config import TrainConfig
from heart2heart.training.data import uses_pool
from heart2heart.training.derived_networks import AdjustedLogits, Ensemble, checkpoint_weights
from heart2heart.training.frame_probabilities import HasPixels, frame_probabilities
from heart2heart.training.model_access import ClassOutputs, place_network
from heart2heart.training.networks.build import SCRATCH, build_network
from heart2heart.training.run_directory import RunDirectory
from heart2heart.training.validation import INFERENCE_BATCH, infer

_MADE_BY_SEEDS = re.compile(r"seed-\d+|ensemble|average")


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        directory: Its folder and record.
        device: Device of its predictions.
        adapted: Whether a run that was adapted to a hospital predicts as it does there, and not as its source does.
    """

    directory: RunDirectory
    device: torch.device
    adapted: bool = True

    @classmethod
    def load(cls, path: str | Path, *, device: str = "cpu") -> Run:
        """Open a finished run.

        Raises:
            MissingInputError: no run here.
            RunError: the run was stopped before its end.
        """
        folder = RunDirectory.read(path)
        if not folder.record.finished:
            raise RunError(
                "this run is not finished", where=folder.path, remedy="Run the same `heart2heart train` again"
            )
        return cls(folder, torch.device(device))

    @property
    def path(self) -> Path:
        """Its folder."""
        return self.directory.path

    @property
    def name(self) -> str:
        """Name for reports: that of the folder, after the parent's for a seed and a model made of seeds."""
        folder = self.path.resolve()
        return f"{folder.parent.name}/{folder.name}" if _MADE_BY_SEEDS.fullmatch(folder.name) else folder.name

    @property
    def config(self) -> TrainConfig:
        """The resolved configuration."""
        return self.directory.config

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the logits."""
        return self.directory.record.classes

    @property
    def geometry(self) -> Geometry:
        """Geometry of the frames that the network takes."""
        return Geometry.from_json(self.directory.record.geometry)

    @cached_property
    def network(self) -> nn.Module:
        """The network with the selected weights, in evaluation mode."""
        settings = self.config.network
        size = self.geometry.size
        classes = len(self.classes)
        extra = build_algorithm(self.config.method.name, self.config.method.params).extra_outputs(classes)

        def build() -> nn.Module:
            return build_network(settings.name, classes=classes + extra, size=size, **settings.options)

        network = build()
        combination = self.directory.record.combination
        if combination is not None and combination.kind == CombinationKind.ENSEMBLE:
            network = Ensemble([network, *(build() for _ in combination.members[1:])], classes)
        content = checkpoint.load(self.directory.best_checkpoint)
        network.load_state_dict(checkpoint_weights(content, adapted=self.adapted))
        network = place_network(network, self.device).eval()
        network = ClassOutputs(network, classes) if extra else network
        adaptation = self.directory.record.adaptation
        if adaptation is None or not adaptation.logit_offset or not self.adapted:
            return network
        return AdjustedLogits(network, adaptation.temperature, adaptation.logit_offset).to(self.device)

    def predict_at(self, pixels: npt.NDArray[np.uint8], sites: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return logits as `predict` does; a run that was adapted to a hospital predicts others' frames as its source.

        Args:
            pixels: uint8 `(n, size, size)`.
            sites: Hospital of each frame, `n`.
        """
        adaptation = self.directory.record.adaptation
        here = np.array([adaptation is None or site == adaptation.site for site in sites], bool)
        if here.all():
            return self.predict(pixels)
        out = np.empty((len(pixels), len(self.classes)), np.float32)
        out[here], out[~here] = self.predict(pixels[here]), self._source.predict(pixels[~here])
        return out

    @cached_property
    def _source(self) -> Run:
        return replace(self, adapted=False)

    def predict(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return float32 logits `(n, classes)` of uint8 frames `(n, size, size)`.

        Raises:
            RunError: frames of another shape or type than the network was trained on.
        """
        size = self.geometry.size
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[1:] != (size, size):
            what = f"this run takes uint8 frames (n, {size}, {size}), got {pixels.dtype} {pixels.shape}"
            raise RunError(what, where=self.path, remedy=f"Ingest with the geometry {self.geometry}")
        out = np.empty((len(pixels), len(self.classes)), np.float32)
        for start in range(0, len(pixels), INFERENCE_BATCH):
            batch = torch.from_numpy(np.ascontiguousarray(pixels[start : start + INFERENCE_BATCH]))
            out[start : start + INFERENCE_BATCH] = infer(self.network, batch.to(self.device)).cpu().numpy()
        return out

    def probabilities(self, frames: npt.NDArray[np.uint8] | HasPixels | FrameTables) -> npt.NDArray[np.float64]:
        """Return the probability of each view, frame by frame.

        Args:
            frames: uint8 `(n, size, size)`; a clip of `load_clip`; or a store, all of whose frames are predicted.

        Returns:
            float64 `(n, classes)`, columns in the order of `classes`; each row sums to 1.

        Raises:
            RunError: frames of another shape or type than the network was trained on.

        Examples:
            >>> import heart2heart as h2h
            >>> h2h.load_model("run").probabilities(h2h.open_store("store")).shape
            (100, 4)
        """
        return frame_probabilities(self, frames)

    def __repr__(self) -> str:
        """Return method, network, selected step and validation score in one line."""
        record = self.directory.record
        score = f"source-validation balanced accuracy {record.selected_score:.3f} at step {record.selected_step}"
        return f"<Run({self.name!r}): {run_title(self)}, {self.config.network.name}, {score}>"

    def _repr_html_(self) -> str:
        """Return method, network, data and score, for a notebook."""
        record = self.directory.record
        rows = [
            ("method", run_title(self)),
            ("network", f"{self.config.network.name}, {record.parameters} parameters"),
            ("views", ", ".join(self.classes)),
            ("frames", str(self.geometry)),
            ("steps", f"{record.steps} in {record.seconds:.0f} s, seed {self.config.seed}"),
            ("selected step", record.selected_step),
            ("source-validation balanced accuracy", f"{record.selected_score:.3f}"),
        ]
        return html_card(f"Run {self.name}", html_table(("fact", "value"), rows))

    def load_split(self, path: str | Path | None = None) -> SplitManifest:
        """Return the split that the run was trained with.

        Args:
            path: Its folder; None takes the one that the configuration names, which may have moved since.

        Raises:
            MissingInputError: no split there.
        """
        folder = Path(path or self.config.data.split)
        if not (folder / "split.json").exists():
            raise MissingInputError("the run's split is not here", where=folder, remedy="Name its folder with --split")
        return SplitManifest.load(folder)

    def info(self) -> RunInfo:
        """Return the facts of this run for a report, without the paths of the data."""
        record = self.directory.record
        history = [line for line in self.directory.metrics.read() if "validation_balanced_accuracy" in line]
        return RunInfo(
            run=self.name,
            method=run_title(self),
            facts=run_facts(self),
            network=self.config.network.name,
            seed=self.config.seed,
            config_sha256=record.config_sha256,
            config=self.config.model_dump(mode="json", exclude={"data": True, "network": {"init", "init_licence"}}),
            parameters=record.parameters,
            steps=record.steps,
            selected_step=record.selected_step,
            selection=selection_rule(self.config, record.selected_average),
            seconds=record.seconds,
            device=record.device,
            versions=record.versions,
            history=tuple(history),
        )


SELECTION_RULES = {
    "validation": "best source-validation balanced accuracy",
    "perturbed": "best source-validation balanced accuracy over acoustic perturbations",
    "last": "last step",
}
"""For readers, by `selection` of the configuration."""


def selection_rule(config: TrainConfig, averaged: int) -> str:
    """Return the rule that chose a run's weights, for readers.

    Args:
        config: The resolved configuration.
        averaged: Number of validated weights that the chosen ones are the mean of.
    """
    weights = "EMA weights" if averaged == 1 else f"mean of the last {averaged} EMA weights"
    return f"{SELECTION_RULES[config.selection]}, {weights}"


def run_title(run: Run) -> str:
    """Return the title of a run for readers: its method, how seeds were combined, and where it was adapted."""
    adaptation, combination = run.directory.record.adaptation, run.directory.record.combination
    title = _title(run_facts(run)) + ("" if combination is None else f", {combination.title}")
    return title if adaptation is None else f"{title}, adapted at {adaptation.site}"


def run_facts(run: Run) -> MethodFacts:
    """Return the facts of a run that predictions carry: of its method, and how it was combined and adapted."""
    adaptation, combination = run.directory.record.adaptation, run.directory.record.combination
    facts = method_facts(run.config)
    init = run.directory.record.init
    seen = {*facts.transductive, *(() if init is None else init.scored_sites)}
    changes = {
        "adaptation": adaptation and adaptation.method,
        "combination": combination and combination.title,
        "transductive": tuple(sorted(seen)),
    }
    return facts.model_copy(update=changes)


def algorithm_title(config: TrainConfig) -> str:
    """Return the title of a run's method for readers, such as `FixMatch + Fix-A-Step`."""
    return _title(method_facts(config))


def _title(facts: MethodFacts) -> str:
    title = f"{facts.title} + {facts.addition}" if facts.addition else facts.title
    return f"{title}, with unlabeled frames of {', '.join(facts.transductive)}" if facts.transductive else title


def method_facts(config: TrainConfig) -> MethodFacts:
    """Return the facts of a run's method that predictions carry."""
    name, mixing = config.method.name, config.fix_a_step.mixing
    return MethodFacts(
        base=name,
        title=build_algorithm(name, config.method.params).title,
        mixing=mixing,
        rule=config.fix_a_step.gradient,
        initialisation=None if config.network.init == SCRATCH else Path(config.network.init).name,
        unlabeled=uses_pool(config),
        transductive=config.pool.transductive,
    )
