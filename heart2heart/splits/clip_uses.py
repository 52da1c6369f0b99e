"""Applies the flags rule to the members of a split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from heart2heart.schema.enums import SplitRole
from heart2heart.schema.flags_rule import ClipUse, FlagsRule
from heart2heart.store.clip_uses import excluded_clips
from heart2heart.store.frame_store import Frames

_USES = {
    SplitRole.TRAIN: ClipUse.TRAIN,
    SplitRole.VALIDATION: ClipUse.TRAIN,
    SplitRole.TEST: ClipUse.EVALUATE,
    SplitRole.UNLABELED: ClipUse.POOL,
    SplitRole.ADAPTATION: ClipUse.POOL,
}


def excluded_by_use(stores: Frames, rule: FlagsRule) -> Mapping[ClipUse, frozenset[str]]:
    """Return the clips that a flag keeps from the pool, training and evaluation; see `store.clip_uses`."""
    return {use: excluded_clips(stores, use, rule) for use in (ClipUse.POOL, ClipUse.TRAIN, ClipUse.EVALUATE)}


def usable_labels(stores: Frames, labels: Mapping[str, str], rule: FlagsRule) -> Mapping[str, str]:
    """Return the labels of frames that may both train and test: those that decide who goes into which part.

    Args:
        stores: The stores.
        labels: View name by frame identifier.
        rule: The flags rule.
    """
    excluded = excluded_by_use(stores, rule)
    either = excluded[ClipUse.TRAIN] | excluded[ClipUse.EVALUATE]
    if not either:
        return labels
    frames = stores.frames
    clips = dict(zip(frames["frame"].to_pylist(), frames["clip"].to_pylist(), strict=True))
    return {frame: view for frame, view in labels.items() if clips.get(frame) not in either}


def apply_flags_rule(
    rows: Iterable[dict[str, Any]], excluded: Mapping[ClipUse, frozenset[str]]
) -> list[dict[str, Any]]:
    """Return rows of `SPLIT_MEMBERS` in which no frame has a role that its clip may not have.

    A labeled training frame that may not train with its label joins the pool, if the rule allows that.

    Args:
        rows: The rows.
        excluded: From `excluded_by_use`.
    """
    return [row | _allowed_role(row["clip"], row["role"], row["view"], excluded) for row in rows]


def _allowed_role(
    clip: str, role: str, view: str | None, excluded: Mapping[ClipUse, frozenset[str]]
) -> dict[str, str | None]:
    use = _USES.get(SplitRole(role))
    if use is None or clip not in excluded[use]:
        return {"role": role, "view": view}
    if role == SplitRole.TRAIN and clip not in excluded[ClipUse.POOL]:
        return {"role": SplitRole.UNLABELED, "view": None}
    return {"role": SplitRole.EXCLUDED, "view": None}


def recorded_flags_rule(settings: Mapping[str, Any]) -> FlagsRule | None:
    """Return the flags rule in the settings of a split, or None if it records none.

    Raises:
        ConfigError: it is no flags rule.
    """
    recorded = settings.get("flags_rule")
    if recorded is None:
        return None
    content = {key: value for key, value in recorded.items() if key != "sha256"}
    return FlagsRule.parse(content, where="flags rule of the split", stored=True)
