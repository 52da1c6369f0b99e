"""Settings, columns, roles and files of a frozen split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import Field, model_validator

from heart2heart.config import Config
from heart2heart.schema.enums import POOL_MODES, CheckStatus, ClipMode
from heart2heart.schema.flags_rule import FlagsRule
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.utils import read_json, sha256_json

SPLIT_SCHEMA_VERSION = 1


SPLIT_MEMBERS = pa.schema(
    [
        pa.field("frame", pa.string(), nullable=False),
        pa.field("clip", pa.string(), nullable=False),
        pa.field("site", pa.string(), nullable=False),
        pa.field("patient", pa.string(), nullable=False),
        pa.field("study", pa.string(), nullable=False),
        pa.field("role", pa.string(), nullable=False),  # a `SplitRole`
        pa.field("view", pa.string()),  # null: unlabeled; a view outside the classes serves the open-set scores
    ]
)


REQUIRED_CHECKS = (
    "patient_disjoint",
    "study_disjoint",
    "series_disjoint",
    "instance_disjoint",
    "pixel_hash_disjoint",
    "pool_without_evaluated_patients",
    "held_out_untouched",
    "near_duplicates",
    "views_present",
    "test_patients",
    "view_by_site",
    "metadata_probe",
)
"""Checks without which a certificate certifies nothing."""

PLANTED_COPIES = "planted_copies"
"""Check of what the search for copies finds."""

LINKED_PATIENTS = "linked_patients"
"""Check of patients with two pseudonyms, by link codes."""

LATER_CHECKS = (PLANTED_COPIES, LINKED_PATIENTS)
"""Checks that certificates of earlier versions lack."""

ACCESS_CHECK = "test_opened"
"""Check of the log of test access. It follows those of the certificate in the predictions."""


class Check(Config):
    """One check of the leakage certificate."""

    name: str
    """Which check, e.g. `patient_disjoint`."""
    status: CheckStatus
    """`pass`, `warn` or `fail`."""
    detail: str
    """What the check found, in one sentence."""


class Certificate(Config):
    """What the checks found in one split."""

    schema_version: int = 1
    split_sha256: str
    """Hash of the split that was checked."""
    checks: tuple[Check, ...]
    """One entry a check."""

    @classmethod
    def read(cls, path: str | Path) -> Certificate:
        """Read a certificate."""
        return cls.parse(read_json(Path(path), what="leakage certificate"), where=path)

    @property
    def passed(self) -> bool:
        """Whether no check failed; warnings do not count."""
        return all(check.status is not CheckStatus.FAIL for check in self.checks)

    def digest(self) -> str:
        """Return the hash of the certificate."""
        return sha256_json(self.model_dump(mode="json"))


class SplitInfo(Config):
    """The frozen split that was trained and tested on."""

    name: str
    sha256: str
    certificate_sha256: str
    unit: str = "patient"
    source_sites: tuple[str, ...]
    held_out_sites: tuple[str, ...]
    checks: tuple[Check, ...]
    first_test_access: str | None = None
    """When test frames of this split were first predicted, UTC, ISO 8601; None: not recorded."""
    flags_rule: FlagsRule | None = None
    """Rule by which flags kept clips from the split; None: the rule `usual`, where none does."""


class TaskTaxonomy(Config):
    """The taxonomy of the labels of a split, and what each labeled view counted as."""

    name: str
    """Name of the taxonomy."""
    sha256: str
    """Hash of its content."""
    served: dict[str, str | None]
    """Class, or view outside the classes, by labeled view; null: the label says nothing about the classes."""


class SplitSettings(Config):
    """How to split."""

    name: str = "split"
    """What a reader calls the split."""
    classes: tuple[str, ...] = SCORED_VIEWS
    """Views that are scored, in class order. With `OTHER` among them, every other labeled view counts as `OTHER`."""
    source: tuple[str, ...] = Field(min_length=1)
    """Hospitals whose patients may train and validate."""
    held_out: tuple[str, ...] | None = None
    """Hospitals that are only tested on; null takes every other hospital in the stores."""
    validation: float = Field(0.2, gt=0, lt=1)
    """Share of the labeled source patients that validate."""
    test: float = Field(0.2, ge=0, lt=1)
    """Share of the labeled source patients that test."""
    adaptation: float = Field(0.0, ge=0, lt=1)
    """Share of the labeled patients of each held-out hospital that are set aside for `heart2heart adapt`. They are
    never scored, and the split does not keep their labels."""
    label_budget: int | None = Field(None, ge=1)
    """Keep the labels of this many training patients; the frames of the others join the pool. Null keeps all."""
    modes: tuple[ClipMode, ...] = POOL_MODES
    """Modes that the pool takes and that labels are used of."""
    folds: int | None = Field(None, ge=2)
    """Deal the labeled source patients into this many folds, of which one tests; null draws a share `test` instead."""
    fold: int = Field(0, ge=0)
    """Which fold tests, from 0."""
    seed: int = 0
    """Seed of the shuffles."""
    flags_rule: FlagsRule | None = None
    """Flags that keep clips from the pool, training and evaluation; null: the rule `usual`, where none does."""
    taxonomy: TaskTaxonomy | None = None
    """How finer labels served the classes; null: all labels are of the twelve basic views."""

    @model_validator(mode="after")
    def _parts_fit(self) -> SplitSettings:
        if self.validation + self.test >= 1:
            raise ValueError("validation and test leave nobody to train: their shares must add up to less than 1")
        if self.fold >= (self.folds or 1):
            raise ValueError(f"fold {self.fold} of {self.folds or 1} does not exist; folds count from 0")
        return self

    def to_json(self) -> dict[str, Any]:
        """Return the settings as a split records them.

        A share of 0 for adaptation is left out, and what is null of flags rule and taxonomy: such a split keeps the
        hash that it had before these settings existed. A rule is followed by its hash.
        """
        content = self.model_dump(mode="json")
        unset = {"adaptation": not self.adaptation, "flags_rule": self.flags_rule is None}
        unset["taxonomy"] = self.taxonomy is None
        if self.flags_rule is not None:
            content["flags_rule"]["sha256"] = self.flags_rule.digest()
        return {key: value for key, value in content.items() if not unset.get(key)}

    def replaced(self, **changes: object) -> SplitSettings:
        """Return these settings with changes, checked again."""
        return SplitSettings.parse(self.model_dump() | changes, where="split settings")
