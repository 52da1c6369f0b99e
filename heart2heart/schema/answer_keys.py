"""Keys of the labeling page: which key gives which answer, for each rater, and the file that keeps the choices.

The file lies beside the label store (`labels.db.keys.json`, mode 0600). Labels name views, never keys, so a layout
changes no label; but a hand that is used to one layout gives wrong labels under another. So nobody is moved unasked.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from itertools import pairwise, permutations
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import Field, ValidationInfo, field_validator

from heart2heart.config import Config
from heart2heart.errors import ConfigError, StoreError
from heart2heart.schema.enums import LabelAnswer
from heart2heart.schema.views import VIEWS
from heart2heart.utils import read_json, write_json

KEYS_SCHEMA_VERSION = 1
MAX_RATERS = 10_000
"""Largest number of raters in the file."""

ACTION_KEYS = frozenset("zc,.[]? ")
"""Keys of the page's own actions: undo, confidence, speed, contrast, all keys, play."""

OTHER_ANSWERS: Mapping[str, str] = MappingProxyType(
    {LabelAnswer.UNSURE.value: "I do not recognise it", LabelAnswer.UNUSABLE.value: "Nobody could recognise it"}
)
"""Answers that are no views, and what they mean."""

MNEMONIC: Mapping[str, str] = MappingProxyType(
    {
        "PLAX": "l", "PSAX": "s", "A2C": "2", "A3C": "3", "A4C": "4", "A5C": "5", "SUBCOSTAL": "bl",
        "SUBCOSTAL_SAX": "bs", "SUPRASTERNAL": "n", "RV_INFLOW": "ri", "RV_OUTFLOW": "ro", "OTHER": "o",
        "unsure": "u", "unusable": "x",
    }
)  # fmt: skip
"""The layout of new raters: the number of the chambers, `l` and `s` for the parasternal axes, `n` for the suprasternal
notch, and for others `b` (below the ribs) or `r` (right ventricle) with a second key."""

FORMER: Mapping[str, str] = MappingProxyType(
    {
        "PLAX": "1", "PSAX": "2", "A2C": "3", "A3C": "5", "A4C": "4", "A5C": "6", "SUBCOSTAL": "7",
        "SUBCOSTAL_SAX": "8", "SUPRASTERNAL": "9", "RV_INFLOW": "i", "RV_OUTFLOW": "o", "OTHER": "0",
        "unsure": "u", "unusable": "x",
    }
)  # fmt: skip
"""The layout until 2026-11-27, which raters of label stores from that time keep until they choose another."""


class KeyLayout(Config):
    """The keys of one rater.

    Raises:
        ConfigError: an answer has no key, two answers have one key, one key begins another, or a key is not one or two
            letters or digits, or is one of an action.

    Examples:
        >>> KeyLayout.parse({"keys": dict(MNEMONIC)}, where="example").keys["A4C"]
        '4'
    """

    keys: dict[str, str] = Field(max_length=200)
    """One or two strokes by answer: the name of a view, `unsure` or `unusable`."""

    @field_validator("keys")
    @classmethod
    def _usable(cls, keys: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        keys = {answer: key.lower() for answer, key in keys.items()}
        answers = {*VIEWS, *OTHER_ANSWERS}
        if not (info.context and info.context["stored"]):  # a stored one may be of another taxonomy
            _check_answers(keys, answers)
        check_keys(keys)
        return keys

    @classmethod
    def of_answers(cls, content: dict[str, Any], answers: Collection[str]) -> KeyLayout:
        """Read a layout for the answers of a taxonomy.

        Args:
            content: The layout as JSON.
            answers: The answers, each of which needs a key.

        Raises:
            ConfigError: see the class.
        """
        remedy = "Change that key; your keys are as they were"
        try:
            layout = cls.parse(content, where="request", stored=True)
            _check_answers(layout.keys, answers)
        except ConfigError as error:
            raise ConfigError(error.what, where="request", remedy=remedy) from error
        except ValueError as error:
            raise ConfigError(str(error), where="request", remedy=remedy) from error
        return layout


def _check_answers(keys: Mapping[str, str], answers: Collection[str]) -> None:
    if keys.keys() != set(answers):
        unknown, missing = sorted(keys.keys() - set(answers)), sorted(set(answers) - keys.keys())
        raise ValueError(f"no such answer: {unknown[0]}" if unknown else f"{missing[0]} has no key")


def check_keys(keys: Mapping[str, str]) -> None:
    """Raise ValueError if a key of an answer cannot be typed, or has two meanings.

    Args:
        keys: Key by answer, in lower case.
    """
    for answer, key in keys.items():
        if not 1 <= len(key) <= 2 or not key.isascii() or not key.isalnum():
            raise ValueError(f"the key of {answer} must be one or two letters or digits")
        of_actions = ACTION_KEYS.intersection(key)
        if of_actions:
            raise ValueError(f"{key!r} of {answer} has a key of an action: {min(of_actions)!r}")
    for (key, answer), (following, other) in pairwise(sorted((key, answer) for answer, key in keys.items())):
        if key == following:
            raise ValueError(f"{answer} and {other} have one key: {key!r}")
        if following.startswith(key):
            raise ValueError(f"{key!r} of {answer} begins {following!r} of {other}, so that one could not be typed")


def complete_keys(chosen: Mapping[str, str], preferred: Mapping[str, str | None]) -> dict[str, str]:
    """Return a key for each answer: the chosen one, else the preferred one, else one that is free.

    Args:
        chosen: Key by answer; keys of other answers are left out.
        preferred: Key by answer, for all answers, in their order; None has no preference.

    Examples:
        >>> complete_keys({"A4C": "4"}, {"A4C": None, "A2C": "2", "PSAX_AV": "4a"})
        {'A4C': '4', 'A2C': '2', 'PSAX_AV': 'ps'}
    """
    keys = {answer: chosen[answer] for answer in preferred if answer in chosen}
    for answer, key in preferred.items():
        if answer not in keys and key is not None and _is_free(key, keys.values()):
            keys[answer] = key
    for answer in preferred:
        if answer not in keys:
            letters = re.sub("[^a-z0-9]", "", answer.lower())
            pairs = (first + second for signs in (letters, _STROKES) for first, second in permutations(signs, 2))
            keys[answer] = next(pair for pair in pairs if _is_free(pair, keys.values()))
    return {answer: keys[answer] for answer in preferred}


_STROKES = "abdefghijklmnopqrstuvwxy0123456789"


def _is_free(key: str, taken_keys: Collection[str]) -> bool:
    return not ACTION_KEYS.intersection(key) and not any(
        key.startswith(other) or other.startswith(key) for other in taken_keys
    )


class _KeysFile(Config):
    schema_version: int = Field(KEYS_SCHEMA_VERSION, ge=1, le=KEYS_SCHEMA_VERSION)
    """Version of this layout."""
    raters: dict[str, KeyLayout] = Field(default_factory=dict, max_length=MAX_RATERS)
    """Layout by name of the rater."""


def keys_path(labels: Path) -> Path:
    """Return the file of the keys of a label store.

    Examples:
        >>> keys_path(Path("labels.db")).name
        'labels.db.keys.json'
    """
    return labels.with_name(f"{labels.name}.keys.json")


def read_key_layouts(path: Path) -> dict[str, KeyLayout]:
    """Return the layout of each rater who has one; a missing file has none.

    Raises:
        StoreError: the file is damaged, or of a newer version.
    """
    if not path.exists():
        return {}
    remedy = "Restore it from a copy, or delete it: then each rater chooses keys again"
    try:
        return dict(_KeysFile.parse(read_json(path, what="file of keys"), where=path, stored=True).raters)
    except ConfigError as error:
        raise StoreError(f"this file of keys cannot be read ({error.what})", where=path, remedy=remedy) from error


def write_key_layout(path: Path, rater: str, layout: KeyLayout) -> None:
    """Set the layout of one rater; the file appears whole or not at all.

    Raises:
        StoreError: see `read_key_layouts`; nothing is written.
    """
    layouts = read_key_layouts(path) | {rater: layout}
    write_json(path, _KeysFile(raters=layouts).model_dump(mode="json"))
