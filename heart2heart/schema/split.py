"""Columns, roles and files of a frozen split."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from heart2heart.config import Config
from heart2heart.schema.enums import CheckStatus
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
