"""`predictions.parquet`: the one artefact that evaluation and report are recomputed from.

One row a frame and run; what was tested, by whom and on whom travels in the file's metadata as `Provenance`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from heart2heart.config import Config
from heart2heart.errors import EvaluationError, MissingInputError
from heart2heart.schema.enums import WITHOUT_POOL
from heart2heart.schema.margin import RegisteredMargin
from heart2heart.schema.split import SplitInfo
from heart2heart.schema.validation import DEFAULT_TASK, ValidationCertificate
from heart2heart.utils import atomic_path

SCHEMA_VERSION = 2
READ_VERSIONS = (1, 2)
"""Version 1 lacks `RunInfo.facts`: they are derived from the title and the configuration when the file is read."""

PREDICTIONS = pa.schema(
    [
        pa.field("run", pa.string(), nullable=False),
        pa.field("site", pa.string(), nullable=False),
        pa.field("patient", pa.string(), nullable=False),
        pa.field("study", pa.string(), nullable=False),
        pa.field("clip", pa.string(), nullable=False),
        pa.field("frame", pa.string(), nullable=False),
        pa.field("index", pa.int32(), nullable=False),
        pa.field("mode", pa.string(), nullable=False),
        pa.field("maker", pa.string()),
        pa.field("quality", pa.float32(), nullable=False),
        pa.field("role", pa.string(), nullable=False),  # a `PredictionRole`
        pa.field("truth", pa.string()),  # view name; one outside `classes` serves the open-set scores; null: unlabeled
        pa.field("logits", pa.list_(pa.float32()), nullable=False),  # one a class, in the order of `classes`
        pa.field("image", pa.binary()),  # PNG of the frame, kept for the few that a gallery may show
    ]
)

DEMOGRAPHICS = pa.schema([pa.field("sex", pa.string()), pa.field("age", pa.int16())])
"""Columns that may follow those of `PREDICTIONS`, for strata: sex, and age in years, capped at 90, where known."""

STRESS = pa.schema([pa.field("perturbation", pa.string()), pa.field("level", pa.float32())])
"""Columns that follow for the stress test: kind and level of the perturbation; null in other rows."""

OPTIONAL_COLUMNS = pa.schema([*DEMOGRAPHICS, *STRESS])
"""Columns that a file may lack; a reader fills them with nulls."""


class SiteInfo(Config):
    """One hospital: who is in it, and how its files became scored frames."""

    site: str
    held_out: bool
    synthetic: bool
    files: dict[str, int]
    """Files by final status of the ingest ledger, e.g. `accepted`, `excluded:not_ultrasound`. Empty: not from files."""
    patients: int
    studies: int
    clips: int
    frames: int
    roles: dict[str, int]
    """Frames by role of the split: train, validation, test, unlabeled, excluded."""
    labels: dict[str, int]
    """Labeled frames by view."""
    raters: tuple[str, ...]
    makers: tuple[str, ...]
    modes: dict[str, int]
    """Clips by mode."""
    date_from: str | None
    date_to: str | None
    vocabularies: tuple[str, ...] = ()
    """Where its labels' words come from, as the label events say: `csv:NAME` or `source:NAME` for a vocabulary of
    `views.MAPPINGS`, else the version of this project's own taxonomy. Empty: not reported."""


class MethodFacts(Config):
    """The method of a run, as facts that code may read; `RunInfo.method` is text for readers only."""

    base: str
    """Name of the algorithm as in the configuration, e.g. `fixmatch`."""
    title: str
    """Title of the algorithm alone, e.g. `FixMatch`."""
    mixing: bool = False
    """The labeled batch was mixed with unlabeled frames."""
    rule: str = "sum"
    """The gradient rule."""
    initialisation: str | None = None
    """What the weights began from, e.g. `pretrained`; None: random."""
    adaptation: str | None = None
    """How the run was adapted to the tested hospital; None: it was not."""
    combination: str | None = None
    """How several runs became one model, e.g. `ensemble of 5 seeds`; None: it is one run."""
    unlabeled: bool = True
    """Unlabeled frames were used in training."""
    transductive: tuple[str, ...] = ()
    """Held-out hospitals whose unlabeled frames were used in training."""

    @property
    def addition(self) -> str | None:
        """What was added to the algorithm, for readers; None: nothing."""
        if self.mixing and self.rule == "fix_a_step":
            return "Fix-A-Step"
        parts = (["mixing"] if self.mixing else []) + ([f"gradient rule {self.rule}"] if self.rule != "sum" else [])
        return " + ".join(parts) or None

    def without_addition(self) -> MethodFacts:
        """Return the facts of the same algorithm without mixing and with the sum of both gradients."""
        return self.model_copy(update={"mixing": False, "rule": "sum", "unlabeled": self.base not in WITHOUT_POOL})


class RunInfo(Config):
    """One training run."""

    run: str
    method: str
    """Title for readers, e.g. `FixMatch + Fix-A-Step`; nothing is read back from it."""
    facts: MethodFacts
    """The same as facts."""
    network: str
    seed: int
    config_sha256: str
    config: dict[str, Any]
    parameters: int
    steps: int
    selected_step: int
    selection: str
    """The rule that chose the weights, e.g. `best source-validation balanced accuracy, EMA weights`."""
    seconds: float
    device: str
    versions: dict[str, str]
    history: tuple[dict[str, float], ...]
    """Evaluations during training: `step`, `validation_balanced_accuracy`, `loss_labeled`, `conflict_rate` ..."""


class Provenance(Config):
    """Everything a report needs beside the rows."""

    schema_version: int = SCHEMA_VERSION
    code_version: str
    created: str
    """UTC, ISO 8601."""
    command: str
    classes: tuple[str, ...]
    geometry: str
    split: SplitInfo
    sites: tuple[SiteInfo, ...]
    runs: tuple[RunInfo, ...]
    task: str = DEFAULT_TASK
    """Noun of what the classes are, e.g. `view` or `pneumonia`."""
    margin: RegisteredMargin | None = None
    """Largest acceptable loss, registered in a file; None: no margin."""
    validation: ValidationCertificate | None = None
    """Certificate of a validation outside the split; None: the split's certificate holds."""
    names_recoded: bool = False
    """Codes take the place of the names of patients, studies, clips and frames; nothing leads back to the store."""

    def digest_text(self) -> str:
        """Return the content as JSON; fields that older versions lack are left out at their defaults."""
        added = {"task": DEFAULT_TASK, "margin": None, "validation": None, "names_recoded": False}
        unset: dict[str, Any] = {name: True for name, default in added.items() if getattr(self, name) == default}
        missing = {name for name in ("first_test_access", "flags_rule") if getattr(self.split, name) is None}
        if missing:
            unset["split"] = missing
        return self.model_dump_json(exclude=unset)


_KEY = b"heart2heart"


@dataclass(frozen=True)
class Predictions:
    """Rows of `PREDICTIONS` with their provenance."""

    table: pa.Table
    provenance: Provenance

    @property
    def logits(self) -> npt.NDArray[np.float64]:
        """All logits as float64 `(n, classes)`."""
        flat = pc.list_flatten(self.table["logits"]).to_numpy(zero_copy_only=False).astype(np.float64)
        shaped: npt.NDArray[np.float64] = flat.reshape(len(self.table), len(self.provenance.classes))
        return shaped

    def write(self, path: Path) -> None:
        """Write under a temporary name, then rename."""
        table = _complete(self.table).replace_schema_metadata({_KEY: self.provenance.model_dump_json()})
        with atomic_path(path) as temporary:
            pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)

    @classmethod
    def read(cls, path: Path) -> Predictions:
        """Read a predictions file.

        Raises:
            MissingInputError: no such file.
            EvaluationError: not a predictions file, of another schema version, or logits of another width.
        """
        try:
            table = pq.read_table(path, page_checksum_verification=True)
        except FileNotFoundError as error:
            remedy = "Make them with: heart2heart evaluate"
            raise MissingInputError("no predictions here", where=path, remedy=remedy) from error
        except (OSError, ValueError, pa.ArrowException) as error:
            remedy = "Copy it again, or run `heart2heart evaluate` again"
            raise EvaluationError(
                "this file is cut short, damaged, or not Parquet", where=path, remedy=remedy
            ) from error
        raw = (table.schema.metadata or {}).get(_KEY)
        if raw is None:
            raise EvaluationError("this Parquet file holds no heart2heart predictions", where=path)
        try:
            content = json.loads(raw)
            version = content["schema_version"]
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise EvaluationError("these predictions are damaged", where=path) from error
        if version not in READ_VERSIONS:
            remedy = (
                f"This version reads schemas {', '.join(map(str, READ_VERSIONS))}; run `heart2heart evaluate` again"
            )
            raise EvaluationError("these predictions have another schema version", where=path, remedy=remedy)
        try:
            provenance = Provenance.parse(_upgrade(content) if version == 1 else content, where=path)
            predictions = cls(_complete(table.replace_schema_metadata(None)), provenance)
        except (pa.ArrowException, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise EvaluationError("these predictions are damaged", where=path) from error
        widths = pc.unique(pc.list_value_length(predictions.table["logits"])).to_pylist()
        if widths not in ([], [len(predictions.provenance.classes)]):
            raise EvaluationError(
                f"logits of width {widths} for {len(predictions.provenance.classes)} classes", where=path
            )
        return predictions

    @classmethod
    def concat(cls, parts: Sequence[Predictions]) -> Predictions:
        """Join the predictions of several runs on one split.

        Raises:
            EvaluationError: they are of different splits, classes or geometries, or a run occurs twice.
        """
        first = parts[0].provenance
        for other in parts[1:]:
            for name in ("classes", "geometry", "split"):
                if getattr(other.provenance, name) != getattr(first, name):
                    raise EvaluationError(f"runs with a different {name} cannot be compared")
        runs = tuple(run for part in parts for run in part.provenance.runs)
        names = [run.run for run in runs]
        if len(set(names)) != len(names):
            raise EvaluationError(f"a run occurs twice: {', '.join(names)}", remedy="Name each run once")
        return cls(pa.concat_tables([_complete(part.table) for part in parts]), first.model_copy(update={"runs": runs}))


def _complete(table: pa.Table) -> pa.Table:
    """Return the table with exactly the columns of `PREDICTIONS` and `OPTIONAL_COLUMNS`; missing ones are null."""
    for field in OPTIONAL_COLUMNS:
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(len(table), field.type))
    schema = pa.schema([*PREDICTIONS, *OPTIONAL_COLUMNS])
    return table.select(schema.names).cast(schema)


def _upgrade(content: dict[str, Any]) -> dict[str, Any]:
    """Return the provenance of a version 1 file in the layout of version 2."""
    runs = [{**run, "facts": _facts_of_version_1(run["method"], run["config"])} for run in content["runs"]]
    return {**content, "schema_version": SCHEMA_VERSION, "runs": runs}


def _facts_of_version_1(method: str, config: dict[str, Any]) -> dict[str, Any]:
    """Derive the facts of a version 1 run, which holds no more than a title and a configuration."""
    added, titled = config.get("fix_a_step") or {}, method.endswith(" + Fix-A-Step")
    mixing = bool(added.get("mixing", titled))
    rule = str(added.get("gradient", "fix_a_step" if titled else "sum"))
    base = str((config.get("method") or {}).get("name") or method.partition(" + ")[0].lower().replace(" ", "_"))
    facts = MethodFacts(base=base, title="", mixing=mixing, rule=rule, unlabeled=base != "labels_only" or mixing)
    title = method.removesuffix(f" + {facts.addition}")
    return {**facts.model_dump(), "title": title}
