"""Filters and searches the clips of the page, by what a rater may know of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import Field

from heart2heart.annotate.auth import Rater
from heart2heart.annotate.reading_state import ReadingState
from heart2heart.config import Config
from heart2heart.errors import ConfigError
from heart2heart.schema.enums import ImageQuality, LabelAnswer

SEARCH_SIZE = 200
"""Maximum number of clips that one search returns."""


class ClipFilter(Config):
    """The conditions that a clip must meet; empty ones are met by every clip.

    Examples:
        >>> ClipFilter(site="A", mine=True).narrows
        True
    """

    site: str = Field(default="", max_length=100)
    """Hospital."""
    view: str = Field(default="", max_length=40)
    """The rater's own answer; for an adjudicator any reader's answer."""
    mode: str = Field(default="", max_length=40)
    """Mode of the clip."""
    flag: str = Field(default="", max_length=40)
    """Flag of the clip, as the ingest set it."""
    quality: str = Field(default="", max_length=20)
    """Image quality that the rater gave."""
    reader: str = Field(default="", max_length=60)
    """A rater who read the clip; adjudicators only."""
    clip: str = Field(default="", max_length=200)
    """Beginning of the pseudonym of the clip or of its study."""
    mine: bool = False
    """Only clips that the rater answered."""
    unsure: bool = False
    """Only clips for which the rater answered `unsure`."""
    noted: bool = False
    """Only clips with a note of the rater."""

    @property
    def narrows(self) -> bool:
        """Whether any condition is set."""
        return self != ClipFilter()


def make_filter(state: ReadingState, rater: Rater, conditions: ClipFilter | None) -> Callable[[str], bool] | None:
    """Return the function that tells whether a clip meets the conditions; None where there are none.

    A reader sees the own answers alone, so that blind readings stay blind.

    Raises:
        ConfigError: only an adjudicator may filter by reader.
    """
    if conditions is None or not conditions.narrows:
        return None
    if conditions.reader and not rater.adjudicator:
        raise ConfigError("only an adjudicator may filter by reader, because that shows the work of others")
    name, clips, notes = rater.name, state.catalog.clips, state.notes

    def accept(clip: str) -> bool:
        entry, own = clips[clip], state.own_reading(clip, name)
        readings = state.state(clip).readings
        answers = {own, *(readings.values() if rater.adjudicator else ())}
        start = conditions.clip
        return (
            conditions.site in ("", entry.site)
            and conditions.mode in ("", entry.mode)
            and (not conditions.flag or conditions.flag in entry.flags)
            and (not conditions.view or conditions.view in answers)
            and (not conditions.reader or conditions.reader in readings)
            and conditions.quality in ("", notes.quality(clip, name))
            and (clip.startswith(start) or entry.study.startswith(start))
            and (not conditions.mine or own is not None)
            and (not conditions.unsure or own == LabelAnswer.UNSURE)
            and (not conditions.noted or bool(notes.note(clip, name)))
        )

    return accept


def search(state: ReadingState, rater: Rater, conditions: ClipFilter) -> dict[str, Any]:
    """Return the first `SEARCH_SIZE` clips that meet the conditions, and the number of all of them."""
    accept = make_filter(state, rater, conditions)
    clips = [clip for clip in state.catalog.clips if accept is None or accept(clip)]
    name = rater.name
    rows = [
        {
            "clip": clip,
            "site": state.catalog.clips[clip].site,
            "mode": state.catalog.clips[clip].mode,
            "flags": list(state.catalog.clips[clip].flags),
            "own_answer": state.own_reading(clip, name),
            "quality": state.notes.quality(clip, name),
            "noted": bool(state.notes.note(clip, name)),
        }
        for clip in clips[:SEARCH_SIZE]
    ]
    return {"clips": rows, "total": len(clips)}


def filter_choices(state: ReadingState, rater: Rater) -> dict[str, list[str]]:
    """Return the values of each condition that occur; readers only for an adjudicator."""
    clips = state.catalog.clips.values()
    readings = [state.state(clip).readings for clip in state.catalog.clips] if rater.adjudicator else []
    own = {state.own_reading(clip, rater.name) for clip in state.catalog.clips} - {None}
    answers = {str(value) for value in own} | {value for of_clip in readings for value in of_clip.values()}
    return {
        "site": sorted({clip.site for clip in clips}),
        "mode": sorted({clip.mode for clip in clips}),
        "flag": sorted({flag for clip in clips for flag in clip.flags}),
        "view": sorted(answers),
        "quality": [quality.value for quality in ImageQuality],
        "reader": sorted({name for of_clip in readings for name in of_clip}),
    }
