"""The flags rule: which flags of a clip keep it from the label page, the pool, training and evaluation.

A rule is a YAML file with one list of flags for each use. `usual` holds where no rule is given; `strict` leaves out
every doubtful clip. A rule may leave out more than the text review, never less.
"""

from __future__ import annotations

from enum import StrEnum
from importlib.resources import files
from pathlib import Path

from pydantic import Field

from heart2heart.config import Config
from heart2heart.errors import ConfigError, MissingInputError
from heart2heart.schema.status import ClipFlag

MAX_RULE_BYTES = 2**16
"""Largest file of a rule that is read."""


class ClipUse(StrEnum):
    """What a clip is used for."""

    LABEL = "label"
    """A person sees it on the label page, and a queue may name it."""
    POOL = "pool"
    """Its frames may train without a label, or adapt a model."""
    TRAIN = "train"
    """Its labeled frames train and validate."""
    EVALUATE = "evaluate"
    """Its labeled frames test."""


class FlagsRule(Config):
    """The flags that keep a clip from each use."""

    schema_version: int = Field(1, ge=1, le=1)
    """Version of this layout."""
    name: str = Field(pattern="^[a-z][a-z0-9_-]{0,39}$")
    """Name of the rule."""
    label: tuple[ClipFlag, ...] = ()
    """Flags of clips that no person labels."""
    pool: tuple[ClipFlag, ...] = ()
    """Flags of clips that do not train without a label."""
    train: tuple[ClipFlag, ...] = ()
    """Flags of clips that neither train nor validate with a label."""
    evaluate: tuple[ClipFlag, ...] = ()
    """Flags of clips that do not test."""

    def flags(self, use: ClipUse) -> tuple[ClipFlag, ...]:
        """Return the flags that keep a clip from a use.

        Examples:
            >>> usual_rule().flags(ClipUse.POOL)
            ()
        """
        by_use = {ClipUse.LABEL: self.label, ClipUse.POOL: self.pool, ClipUse.TRAIN: self.train}
        return by_use.get(use, self.evaluate)

    def query(self, use: ClipUse) -> str:
        """Return the query of `heart2heart store sql` that lists the clips of a use, before the text review.

        Examples:
            >>> print(usual_rule().query(ClipUse.LABEL))
            SELECT clip FROM clips WHERE NOT list_has_any(flags, ['not_a_heart_preset'])
            >>> print(usual_rule().query(ClipUse.POOL))
            SELECT clip FROM clips
        """
        flags = ", ".join(f"'{flag}'" for flag in self.flags(use))
        return "SELECT clip FROM clips" + (f" WHERE NOT list_has_any(flags, [{flags}])" if flags else "")

    def keeps_from_splits(self) -> bool:
        """Return whether a flag keeps clips from the pool, training or evaluation."""
        return bool(self.pool or self.train or self.evaluate)

    def sentence(self) -> str:
        """Return the rule and the start of its hash in one sentence.

        Examples:
            >>> usual_rule().sentence()[:44]
            'Flags rule usual: label page without not_a_h'
        """
        titles = {
            ClipUse.LABEL: "label page",
            ClipUse.POOL: "pool",
            ClipUse.TRAIN: "training",
            ClipUse.EVALUATE: "evaluation",
        }
        parts = [f"{titles[use]} without {', '.join(self.flags(use))}" for use in ClipUse if self.flags(use)]
        return f"Flags rule {self.name}: {'; '.join(parts) or 'no flag excludes a clip'} (hash {self.digest()[:16]})."


def flags_rule_names() -> tuple[str, ...]:
    """Return the names of the packaged rules, sorted.

    Examples:
        >>> flags_rule_names()
        ('strict', 'usual')
    """
    return tuple(sorted(path.stem for path in _folder().glob("*.yaml")))


def read_flags_rule(rule: str | Path | FlagsRule | None = None) -> FlagsRule:
    """Return a rule that is given by file or by packaged name; None is `usual`.

    Raises:
        MissingInputError: neither a file nor a packaged name.
        ConfigError: the file is too large, is no YAML, or names an unknown use or flag.

    Examples:
        >>> read_flags_rule("strict").name
        'strict'
    """
    if isinstance(rule, FlagsRule):
        return rule
    path = Path("usual" if rule is None else rule)
    if not path.is_file():
        if path.as_posix() not in flags_rule_names():
            remedy = f"Name a YAML file, or one of: {', '.join(flags_rule_names())}"
            raise MissingInputError("no flags rule here, and no packaged one of this name", where=path, remedy=remedy)
        path = _folder() / f"{path.as_posix()}.yaml"
    if path.stat().st_size > MAX_RULE_BYTES:
        raise ConfigError("this is too large for a flags rule", where=path, remedy="Name a YAML file of flags by use")
    return FlagsRule.load(path)


def usual_rule() -> FlagsRule:
    """Return the rule that holds where none is given.

    Examples:
        >>> usual_rule().name
        'usual'
    """
    return read_flags_rule()


def _folder() -> Path:
    return Path(str(files("heart2heart.schema"))) / "flags_rules"
