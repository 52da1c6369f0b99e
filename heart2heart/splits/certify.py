"""The leakage certificate: every check that must hold before a split may train or score anything.

Checks follow the evaluation plan in docs/splits.md: disjointness of patients, studies, series, instances and pixels;
near-duplicate frames across groups; no validation or test patient in the unlabeled pool; nothing of a held-out hospital
in training or validation, where weights, temperature and thresholds are fitted; every view present; and, as warnings,
what metadata alone gives away and how labels and hospitals are confounded.
"""

from __future__ import annotations

from heart2heart.files import write_json
from heart2heart.frames.store import Frames
from heart2heart.splits import checks, duplicates
from heart2heart.splits.certificate import REQUIRED, Certificate
from heart2heart.splits.manifest import SplitManifest


def certify(split: SplitManifest, stores: Frames) -> Certificate:
    """Run every check and write `certificate.json` into the split's folder.

    A failed check is written down as well; it is training and evaluation that refuse such a split.

    Raises:
        SplitError: the stores do not hold the split's data.
    """
    split.check_data(stores)
    found = [
        *checks.disjoint(split.members, stores),
        checks.pool(split.members),
        checks.held_out(split.members, split.held_out_sites),
        duplicates.check(split.members, stores),
        checks.views_present(split.members, split.classes),
        checks.clusters(split.members),
        checks.confounding(split.members, split.classes),
        checks.metadata_probe(split.members, stores, split.classes),
    ]
    assert {check.name for check in found} == set(REQUIRED)
    certificate = Certificate(split_sha256=split.sha256, checks=tuple(found))
    write_json(split.path / "certificate.json", certificate.model_dump(mode="json"))
    return certificate
