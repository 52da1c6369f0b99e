"""Compares patients across hospitals by link codes: one person must not be in two groups under two pseudonyms."""

from __future__ import annotations

from itertools import combinations

import pyarrow as pa

from heart2heart.schema.enums import CheckStatus
from heart2heart.schema.split import LINKED_PATIENTS, Check
from heart2heart.store.frame_store import Frames
from heart2heart.store.patient_links import LinkCodes, Patient


def check_linked_patients(used: pa.Table, stores: Frames) -> Check:
    """Fail where one person is in two groups under two pseudonyms; warn where this cannot be known.

    Args:
        used: Members of the split that are not excluded, with their `group`.
        stores: The stores of the split.
    """
    groups: dict[str, set[Patient]] = {}
    for row in used.group_by(["group", "site", "patient"]).aggregate([]).to_pylist():
        groups.setdefault(row["group"], set()).add((row["site"], row["patient"]))
    links = LinkCodes.of(stores)
    pairs = [
        pair for one, other in combinations(sorted(groups), 2) for pair in links.shared(groups[one], groups[other])
    ]
    everybody = {patient for patients in groups.values() for patient in patients}
    if pairs:
        (site, patient), (other_site, pseudonym) = pairs[0]
        detail = (
            f"{len(pairs)} patients are in more than one group under two pseudonyms, e.g. {patient[:16]} of {site} and "
            f"{pseudonym[:16]} of {other_site}"
        )
        return Check(name=LINKED_PATIENTS, status=CheckStatus.FAIL, detail=detail)
    if reason := links.not_comparable(everybody):
        return Check(name=LINKED_PATIENTS, status=CheckStatus.WARN, detail=reason)
    detail = f"{len(everybody)} patients compared across hospitals by link codes, none in more than one group"
    return Check(name=LINKED_PATIENTS, status=CheckStatus.PASS, detail=detail)
