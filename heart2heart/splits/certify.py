"""The leakage certificate: every check that must hold before a split may train or score anything.

Checks follow the evaluation plan in docs/splits.md: disjointness of patients, studies, series, instances and pixels;
near-duplicate frames across groups; no validation or test patient in the unlabeled pool; nothing of a held-out hospital
in training or validation, where weights, temperature and thresholds are fitted; every view present; and, as warnings,
what metadata alone gives away and how labels and hospitals are conchecksed.
"""

from __future__ import annotations

from heart2heart.schema.split import REQUIRED_CHECKS, Certificate
from heart2heart.splits.checks import (
    check_disjoint,
    check_held_out,
    check_metadata_probe,
    check_near_duplicates,
    check_pool,
    check_test_patients,
    check_view_by_site,
    check_views_present,
)
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import Frames
from heart2heart.utils import write_json


def certify(split: SplitManifest, stores: Frames) -> Certificate:
    """Run every check and write `certificate.json` into the split's folder.

    A failed check is written down as well; it is training and evaluation that refuse such a split.

    Raises:
        SplitError: the stores do not hold the split's data.
    """
    split.check_data(stores)
    checks = [
        *check_disjoint(split.members, stores),
        check_pool(split.members),
        check_held_out(split.members, split.held_out_sites),
        check_near_duplicates(split.members, stores),
        check_views_present(split.members, split.classes),
        check_test_patients(split.members),
        check_view_by_site(split.members, split.classes),
        check_metadata_probe(split.members, stores, split.classes),
    ]
    assert {check.name for check in checks} == set(REQUIRED_CHECKS)
    certificate = Certificate(split_sha256=split.sha256, checks=tuple(checks))
    write_json(split.path / "certificate.json", certificate.model_dump(mode="json"))
    return certificate
