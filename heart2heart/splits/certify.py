"""The leakage certificate: every check that must pass before a split may train or score a model.

The checks follow the evaluation plan in docs/splits.md: disjoint patients, studies, series, instances and pixels; no
near-duplicate frames across groups; no validation or test patient in the unlabeled pool; no frame of a held-out
hospital in training or validation, where weights, temperature and thresholds are fitted; every view present. Warnings
report what metadata alone predicts, and how labels and hospitals are confounded.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.schema.enums import CheckStatus, SplitRole
from heart2heart.schema.reviewed_pairs import SUSPECTED_FILE, ReviewedPairs, SuspectedPairs
from heart2heart.schema.split import LATER_CHECKS, REQUIRED_CHECKS, Certificate, Check
from heart2heart.schema.status import ClipFlag
from heart2heart.splits.copy_check import check_planted, search_copies
from heart2heart.splits.current_names import current_names
from heart2heart.splits.linked_patients import check_linked_patients
from heart2heart.splits.manifest import SplitManifest
from heart2heart.splits.near_duplicate_check import check_near_duplicates, search_pairs
from heart2heart.store.frame_store import Frames
from heart2heart.utils import write_json

ROLE_GROUPS: dict[str, str] = {
    SplitRole.TRAIN: "development",
    SplitRole.UNLABELED: "development",
    SplitRole.ADAPTATION: "adaptation",
    SplitRole.VALIDATION: "validation",
    SplitRole.TEST: "test",
}
"""Group of each role; roles of different groups must not share a patient. Excluded frames are never read."""

MIN_TEST_PATIENTS = 30
"""Number of test patients below which an interval is too narrow (evaluation plan, table of coverage)."""


def _make_check(name: str, faults: str, fine: str, *, status: CheckStatus = CheckStatus.FAIL) -> Check:
    return Check(name=name, status=status if faults else CheckStatus.PASS, detail=faults or fine)


def shared_values(groups: pa.ChunkedArray, values: pa.ChunkedArray) -> list[str]:
    """Return the non-null values that occur in more than one group, sorted."""
    pairs = pa.table({"group": groups, "value": values}).filter(pc.is_valid(values))
    counts = pairs.group_by("value").aggregate([("group", "count_distinct")])
    return sorted(counts.filter(pc.greater(counts["group_count_distinct"], 1))["value"].to_pylist())


def used_members(members: pa.Table) -> pa.Table:
    """Return the members that are not excluded, with their `group`."""
    used = members.filter(pc.not_equal(members["role"], SplitRole.EXCLUDED))
    names = [ROLE_GROUPS[role] for role in used["role"].to_pylist()]
    return used.append_column("group", pa.array(names, pa.string()))


def check_disjoint(members: pa.Table, stores: Frames) -> list[Check]:
    """Check that no patient, study, series, instance or clip content is in two groups."""
    used = used_members(members)
    clips = used.group_by(["clip", "group"]).aggregate([])
    clip_rows = clips.join(
        stores.clips.select(["clip", "patient", "study", "series", "instance", "pixel_hash"]), "clip"
    )
    checks = []
    for column in ("patient", "study", "series", "instance", "pixel_hash"):
        shared = shared_values(clip_rows["group"], clip_rows[column])
        what = "clip with the same pixels" if column == "pixel_hash" else column
        faults = f"{len(shared)} x {what} in more than one group, e.g. {shared[0][:16]}" if shared else ""
        known = len(clip_rows) - clip_rows[column].null_count
        checks.append(_make_check(f"{column}_disjoint", faults, f"{known} clips checked, none shared"))
    flags = stores.clips.filter(pc.is_in(stores.clips["clip"], pc.unique(used["clip"])))["flags"].to_pylist()
    unnamed = sum(ClipFlag.NO_PATIENT_ID in each for each in flags)
    if unnamed and checks[0].status == CheckStatus.PASS:
        detail = f"patients of {unnamed} of {len(flags)} clips not compared: their files name none"
        checks[0] = Check(name=checks[0].name, status=CheckStatus.WARN, detail=detail)
    return checks


def check_pool(members: pa.Table) -> Check:
    """Check that no validation or test patient is in the pool or in adaptation, independently of `ROLE_GROUPS`."""
    role = members["role"]
    evaluated = members.filter(pc.is_in(role, pa.array([SplitRole.VALIDATION, SplitRole.TEST])))["patient"]
    unlabeled = members.filter(pc.is_in(role, pa.array([SplitRole.UNLABELED, SplitRole.ADAPTATION])))["patient"]
    shared = sorted(set(evaluated.to_pylist()) & set(unlabeled.to_pylist()))
    faults = f"{len(shared)} validation or test patients are in the pool, e.g. {shared[0][:16]}" if shared else ""
    return _make_check("pool_without_evaluated_patients", faults, f"{len(unlabeled)} pool frames checked")


def check_held_out(members: pa.Table, sites: Sequence[str]) -> Check:
    """Check that no frame of a held-out hospital is a training or validation frame.

    Weights are learned from train and unlabeled frames; temperature and thresholds are fitted on validation frames. So
    nothing is fitted on a held-out hospital if it has none of these.
    """
    fitted = pc.is_in(members["role"], pa.array([SplitRole.TRAIN, SplitRole.UNLABELED, SplitRole.VALIDATION]))
    touched = members.filter(pc.and_(fitted, pc.is_in(members["site"], pa.array(sites, pa.string()))))
    counts = touched.group_by(["site", "role"]).aggregate([("frame", "count")])
    touched_rows = sorted((row["site"], row["role"], row["frame_count"]) for row in counts.to_pylist())
    faults = ", ".join(f"{count} {role} frames of held-out {site}" for site, role, count in touched_rows)
    return _make_check("held_out_untouched", faults, f"{len(sites)} held-out hospitals, none trained or validated on")


def check_views_present(members: pa.Table, classes: Sequence[str]) -> Check:
    """Check that training and validation hold every view, and that something is tested."""
    faults = []
    for role in (SplitRole.TRAIN, SplitRole.VALIDATION):
        views = set(members.filter(pc.equal(members["role"], role))["view"].to_pylist())
        missing = [view for view in classes if view not in views]
        if missing:
            faults.append(f"{role} lacks {', '.join(missing)}")
    tested = members.filter(pc.equal(members["role"], SplitRole.TEST))["view"].to_pylist()
    if not any(view in classes for view in tested):
        faults.append("no scored view is tested")
    return _make_check("views_present", "; ".join(faults), f"all of {', '.join(classes)} in train and validation")


def check_test_patients(members: pa.Table) -> Check:
    """Warn where a hospital is tested on so few patients that its interval is too narrow."""
    tested = members.filter(pc.equal(members["role"], SplitRole.TEST))
    counts = tested.group_by("site").aggregate([("patient", "count_distinct")]).sort_by("site").to_pylist()
    few = [f"{row['site']} ({row['patient_count_distinct']})" for row in counts]
    small = [text for text, row in zip(few, counts, strict=True) if row["patient_count_distinct"] < MIN_TEST_PATIENTS]
    faults = f"fewer than {MIN_TEST_PATIENTS} test patients at {', '.join(small)}" if small else ""
    return _make_check("test_patients", faults, f"test patients: {', '.join(few)}", status=CheckStatus.WARN)


def check_view_by_site(members: pa.Table, classes: Sequence[str]) -> Check:
    """Warn where a view is trained from one hospital only, so that hospital and view are confounded."""
    train = members.filter(pc.equal(members["role"], SplitRole.TRAIN))
    sites = sorted(set(train["site"].to_pylist()))
    faults = []
    for view in classes:
        where = set(train.filter(pc.equal(train["view"], view))["site"].to_pylist())
        if len(sites) > 1 and len(where) == 1:
            faults.append(f"{view} only from {min(where)}")
    fine = "one source hospital" if len(sites) == 1 else "every view comes from more than one source hospital"
    return _make_check("view_by_site", "; ".join(faults), fine, status=CheckStatus.WARN)


def check_metadata_probe(members: pa.Table, stores: Frames, classes: Sequence[str]) -> Check:
    """Warn when manufacturer, model and picture size alone predict the view of validation and test frames.

    The probe is the most frequent training view of each metadata combination; its balanced accuracy is compared with
    chance, and more than chance + 0.2 is a warning: a network could learn the machine instead of the heart.
    """
    clips = stores.clips.select(["clip", "maker", "model", "rows", "columns", "mode"]).to_pylist()
    metadata = {row["clip"]: (row["maker"], row["model"], row["rows"], row["columns"], row["mode"]) for row in clips}
    per_clip = members.group_by(["clip", "role", "view"]).aggregate([]).to_pylist()
    votes: dict[tuple[object, ...], dict[str, int]] = {}
    for row in per_clip:
        if row["role"] == SplitRole.TRAIN and row["view"] in classes:
            view_counts = votes.setdefault(metadata[row["clip"]], {})
            view_counts[row["view"]] = view_counts.get(row["view"], 0) + 1
    overall: dict[str, int] = {}
    for view_counts in votes.values():
        for view, count in view_counts.items():
            overall[view] = overall.get(view, 0) + count
    hits: dict[str, list[bool]] = {}
    for row in per_clip:
        if row["role"] in (SplitRole.VALIDATION, SplitRole.TEST) and row["view"] in classes and overall:
            view_counts = votes.get(metadata[row["clip"]], overall)
            predicted = max(sorted(view_counts), key=lambda view: view_counts[view])
            hits.setdefault(row["view"], []).append(predicted == row["view"])
    if not hits:
        return Check(name="metadata_probe", status=CheckStatus.WARN, detail="not estimable: nothing to probe")
    score = float(np.mean([np.mean(values) for values in hits.values()]))
    chance = 1 / len(hits)
    text = f"manufacturer, model and size alone reach a balanced accuracy of {score:.2f} (chance {chance:.2f})"
    return _make_check("metadata_probe", text if score > chance + 0.2 else "", text, status=CheckStatus.WARN)


def certify(split: SplitManifest, stores: Frames, *, reviewed: ReviewedPairs | None = None) -> Certificate:
    """Run every check and write `certificate.json` into the split's folder.

    A failed check is written too. Training and evaluation refuse such a split. `suspected_pairs.json` beside the
    certificate lists the pairs of frames that may be copies, so that a person can look at them.

    Args:
        split: The split.
        stores: The stores of the split.
        reviewed: Pairs of frames that persons looked at and cleared.

    Raises:
        SplitError: the stores do not hold the split's data, or a review is of other pixels.
    """
    split.check_data(stores)
    used = used_members(split.members)
    search = search_copies(used, stores)
    pair_search = search_pairs(used, stores, search)
    checks = [
        *check_disjoint(split.members, stores),
        check_pool(split.members),
        check_held_out(split.members, split.held_out_sites),
        check_near_duplicates(pair_search, reviewed),
        check_planted(search),
        check_linked_patients(current_names(used, stores), stores),  # link codes are of the names of now
        check_views_present(split.members, split.classes),
        check_test_patients(split.members),
        check_view_by_site(split.members, split.classes),
        check_metadata_probe(split.members, stores, split.classes),
    ]
    assert {check.name for check in checks} == {*REQUIRED_CHECKS, *LATER_CHECKS}
    suspected = split.path / SUSPECTED_FILE
    if pair_search.pairs:
        SuspectedPairs(split_sha256=split.sha256, pairs=pair_search.pairs).write(suspected)
    else:
        suspected.unlink(missing_ok=True)
    certificate = Certificate(split_sha256=split.sha256, checks=tuple(checks))
    write_json(split.path / "certificate.json", certificate.model_dump(mode="json"))
    return certificate
