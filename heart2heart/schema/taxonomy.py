"""A taxonomy of views: a YAML file with a name, a parent, a definition, a code, a key and words for each view.

A label of a finer view counts as its parent wherever only the parent is known, so that fine labels serve a coarse task.
`basic` has the twelve views that every label store knows; `usual` adds the levels of the short axis, zoomed valves and
transesophageal views.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationInfo, model_validator

from heart2heart.config import YAML_ERRORS, Config, load_yaml, repeated_key
from heart2heart.errors import ConfigError, MissingInputError, UnknownNameError
from heart2heart.schema.answer_keys import MNEMONIC, OTHER_ANSWERS, check_keys
from heart2heart.schema.view_words import normal_form
from heart2heart.schema.views import PRIVATE_SCHEME, VIEWS, View, view_from_code

MAX_FILE_BYTES = 2**18
"""Largest taxonomy file that is read."""
MAX_VIEWS = 200
"""Largest number of views."""

_NAME = re.compile("[A-Z][A-Z0-9_]{0,39}")


class ViewCode(Config):
    """A code of a view."""

    scheme: str = Field(min_length=1, max_length=16)
    """Coding scheme designator, such as `SCT`."""
    value: str = Field(min_length=1, max_length=16)
    """Code value."""


class TaxonomyView(Config):
    """One view."""

    title: str = Field(min_length=1, max_length=80)
    """What a clinician reads."""
    definition: str = Field("", max_length=300)
    """How the view is recognised, one sentence."""
    parent: str | None = None
    """The coarser view that this one is a part of; null: none."""
    code: ViewCode | None = None
    """Its code; null: the name in a private scheme."""
    key: str | None = None
    """One or two strokes on the label page; null: the page chooses."""
    words: tuple[str, ...] = Field((), max_length=50)
    """What hospitals call it, beside its name."""


class Taxonomy(Config):
    """The views of a label store, each with its parent.

    Examples:
        >>> usual = read_taxonomy("usual")
        >>> usual.views["PSAX_AV"].parent, usual.serve("PSAX_AV", ["PLAX", "PSAX"])
        ('PSAX', 'PSAX')
    """

    schema_version: int = Field(1, ge=1, le=1)
    """Version of this layout."""
    name: str = Field(pattern="^[a-z][a-z0-9_-]{0,39}$")
    """Name of the taxonomy."""
    views: dict[str, TaxonomyView] = Field(min_length=1, max_length=MAX_VIEWS)
    """The views by name, in the order of the label page."""

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Self:
        for name, view in self.views.items():
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name[:50]!r} is no name of a view: write capitals, digits and _, at most 40")
            if name.casefold() in OTHER_ANSWERS:
                raise ValueError(f"{name} is the name of an answer that is no view")
            if view.parent is not None and view.parent not in self.views:
                raise ValueError(f"the parent {view.parent!r} of {name} is not a view of this taxonomy")
        for name in self.views:
            passed = {name}
            parent = self.views[name].parent
            while parent is not None:
                if parent in passed:
                    raise ValueError(f"{name} is above itself: its parents form a cycle through {parent}")
                passed.add(parent)
                parent = self.views[parent].parent
        if not (info.context and info.context["stored"]):  # keys of actions may have come since
            check_keys({name: view.key for name, view in self.views.items() if view.key} | _OTHER_KEYS)
        _check_unique(((normal_form(word), word, name) for name, word in self._spellings()), "word")
        coded = ((name, view.code) for name, view in self.views.items() if view.code)
        _check_unique(((f"{code.scheme} {code.value}", code.value, name) for name, code in coded), "code")
        return self

    def _spellings(self) -> Iterator[tuple[str, str]]:
        for name, view in self.views.items():
            yield name, name
            yield from ((name, word) for word in view.words)

    def lineage(self, view: str) -> tuple[str, ...]:
        """Return a view and those above it, the finest first.

        Raises:
            UnknownNameError: no such view.

        Examples:
            >>> read_taxonomy("usual").lineage("PSAX_AV")
            ('PSAX_AV', 'PSAX')
        """
        if view not in self.views:
            raise UnknownNameError.among(f"view of taxonomy {self.name}", view, list(self.views))
        names = [view]
        while (parent := self.views[names[-1]].parent) is not None:
            names.append(parent)
        return tuple(names)

    def serve(self, view: str, classes: Sequence[str]) -> str | None:
        """Return what a label of a view says in a task.

        Args:
            view: The labeled view.
            classes: The views of the task.

        Returns:
            The class that the view is a part of. Outside the classes: the nearest of the twelve basic views above it,
            or `OTHER`. None where the view is above a class: it does not say whether that class is shown.

        Raises:
            UnknownNameError: no such view.

        Examples:
            >>> usual = read_taxonomy("usual")
            >>> [usual.serve(view, ["PSAX_AV", "A4C"]) for view in ("PSAX_AV", "PSAX", "PSAX_MV", "A4C_RV", "TEE_4C")]
            ['PSAX_AV', None, 'PSAX', 'A4C', 'OTHER']
        """
        lineage = self.lineage(view)
        if (served := next((name for name in lineage if name in classes), None)) is not None:
            return served
        if any(name in self.views and view in self.lineage(name)[1:] for name in classes):
            return None
        return next((name for name in lineage if name in VIEWS), "OTHER")

    def check_task(self, classes: Sequence[str]) -> None:
        """Refuse classes that are no views of this taxonomy, or of which one is a part of another.

        Raises:
            UnknownNameError: no such view.
            ConfigError: a class is a part of another.
        """
        for name in classes:
            above = next((coarser for coarser in self.lineage(name)[1:] if coarser in classes), None)
            if above is not None:
                what = f"{name} is a part of {above}, so a frame of it would have two classes"
                raise ConfigError(what, where="classes", remedy="Name one of the two")

    def translate(self, word: str) -> str | None:
        """Return the view that a name or a word of this taxonomy means, or None.

        Examples:
            >>> read_taxonomy("usual").translate("psax aortic")
            'PSAX_AV'
        """
        return self._meanings.get(normal_form(word))

    @cached_property
    def _meanings(self) -> dict[str, str]:
        return {normal_form(word): name for name, word in self._spellings()}

    def view(self, name: str) -> View:
        """Return title and code of a view.

        Raises:
            UnknownNameError: no such view.
        """
        if name in VIEWS:
            return VIEWS[name]
        self.lineage(name)
        view = self.views[name]
        code = view.code or ViewCode(scheme=PRIVATE_SCHEME, value=name[:16])
        return View(name, view.title, code.scheme, code.value, None)

    def view_from_code(self, code: str, scheme: str) -> str | None:
        """Return the finest view that a code means, or None if it is none of this taxonomy.

        Examples:
            >>> read_taxonomy("usual").view_from_code("399239005", "SCT")
            'PSAX_AV'
        """
        for name, view in self.views.items():
            stated = view.code or ViewCode(scheme=PRIVATE_SCHEME, value=name[:16])
            if (stated.scheme, stated.value) == (scheme, code):
                return name
        coarse = view_from_code(code, scheme)
        return coarse if coarse in self.views else None

    def tree(self) -> list[tuple[int, str]]:
        """Return depth and name of each view, children after their parent.

        Examples:
            >>> read_taxonomy("usual").tree()[1:3]
            [(0, 'PSAX'), (1, 'PSAX_AV')]
        """
        children: dict[str | None, list[str]] = {}
        for name, view in self.views.items():
            children.setdefault(view.parent, []).append(name)
        branches: list[tuple[int, str]] = []
        waiting = [(0, name) for name in reversed(children[None])]
        while waiting:
            depth, name = waiting.pop()
            branches.append((depth, name))
            waiting += [(depth + 1, child) for child in reversed(children.get(name, []))]
        return branches


_OTHER_KEYS = {answer: MNEMONIC[answer] for answer in OTHER_ANSWERS}


def _check_unique(spelled: Iterator[tuple[str, str, str]], what: str) -> None:
    meanings: dict[str, str] = {}
    for spelling, shown, name in spelled:
        if not spelling:
            raise ValueError(f"{shown[:40]!r} of {name} is no {what}")
        if meanings.setdefault(spelling, name) != name:
            raise ValueError(f"one {what} has two meanings: {shown!r} is {meanings[spelling]} and {name}")


def taxonomy_names() -> tuple[str, ...]:
    """Return the names of the packaged taxonomies, sorted.

    Examples:
        >>> taxonomy_names()
        ('basic', 'usual')
    """
    return tuple(sorted(path.stem for path in _folder().glob("*.yaml")))


def read_taxonomy(taxonomy: str | Path | Taxonomy = "basic") -> Taxonomy:
    """Return a taxonomy that is given by file or by packaged name.

    A file may begin with `extends: usual` and then lists only further views.

    Raises:
        MissingInputError: neither a file nor a packaged name.
        ConfigError: the file is too large, no YAML or no taxonomy: an unknown parent, a cycle, a view listed twice, a
            key, word or code with two meanings.
    """
    if isinstance(taxonomy, Taxonomy):
        return taxonomy
    path = Path(taxonomy)
    if not path.is_file():
        return _packaged(path.as_posix(), path)
    return _read_file(path)


def _packaged(name: str, where: Path) -> Taxonomy:
    if name not in taxonomy_names():
        remedy = f"Name a YAML file, or one of: {', '.join(taxonomy_names())}"
        raise MissingInputError("no taxonomy here, and no packaged one of this name", where=where, remedy=remedy)
    return _read_packaged(name)


@cache
def _read_packaged(name: str) -> Taxonomy:
    return _read_file(_folder() / f"{name}.yaml")


def _read_file(path: Path) -> Taxonomy:
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ConfigError("this is too large for a taxonomy", where=path, remedy="Name a YAML file of views")
    try:
        text = path.read_text(encoding="utf-8")
        content, repeated = load_yaml(text), repeated_key(text)
    except YAML_ERRORS as error:
        raise ConfigError("this taxonomy is not readable YAML", where=path) from error
    if not isinstance(content, dict) or not isinstance(content.get("views"), dict):
        raise ConfigError("a taxonomy has a name and views", where=path, remedy="Start from a packaged one: usual.yaml")
    if repeated is not None:
        raise ConfigError(f"two views, or two keys of one, have the name {repeated}", where=path, remedy="Keep one")
    return Taxonomy.parse(_extended(content, path), where=path)


def _extended(content: dict[str, Any], path: Path) -> dict[str, Any]:
    base = content.pop("extends", None)
    if base is None:
        return content
    below = _packaged(str(base), path).model_dump(mode="json")["views"]
    if both := sorted(below.keys() & content["views"].keys()):
        what = f"two views have one name: {both[0]} is a view of {base} already"
        raise ConfigError(what, where=path, remedy="Name the new view otherwise")
    return content | {"views": below | content["views"]}


def _folder() -> Path:
    return Path(str(files("heart2heart.schema"))) / "taxonomies"
