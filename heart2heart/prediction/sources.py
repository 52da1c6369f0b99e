"""Lists the files that are to be classified, each with one name below the folder that holds all of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from heart2heart.errors import ConfigError, MissingInputError
from heart2heart.ingest.source_files import find_files
from heart2heart.schema.status import StatusCode


@dataclass(frozen=True)
class SourceFile:
    r"""One file to classify.

    Attributes:
        file: Its path below the common folder, with `/`; a byte of the name that is no text is written as `\xNN`.
        path: Where it is; of a member of a zip file, the path that `unpacked` takes.
        code: Status of a named path without any file; None for others.
    """

    file: str
    path: Path
    code: StatusCode | None = None


@dataclass(frozen=True)
class FileSources:
    """The files below the named paths.

    Attributes:
        root: The deepest folder that holds all of them.
        files: The files, sorted by path.
        foreign_links: Links among them that lead out of the named folders.
    """

    root: Path
    files: tuple[SourceFile, ...]
    foreign_links: frozenset[Path]


def list_sources(paths: Sequence[Path], *, without: Collection[Path] = ()) -> FileSources:
    """List the files at and below `paths`; zip files are opened.

    A path that does not exist, and a folder without files, is in the list with the status `failed:missing`. A file that
    is reached by two of the paths is listed once.

    Args:
        paths: Files and folders.
        without: Files to leave out, such as the answers themselves.

    Raises:
        ConfigError: no path at all, or two files that would have one name.

    Examples:
        >>> [source.file for source in list_sources([Path("clip.dcm")]).files]
        ['clip.dcm']
    """
    if not paths:
        raise ConfigError("no file is named", remedy="Name files, folders, zip files or stores")
    tops = [Path(os.path.normpath(path.absolute())) for path in paths]
    root = Path(os.path.commonpath([top if top.is_dir() else top.parent for top in tops]))
    links: set[Path] = set()
    present = [top for top in tops if os.path.lexists(top)]
    try:
        files = set(find_files(present, foreign_links=links)) if present else set()
    except MissingInputError:  # only folders without files
        files = set()
    files -= {Path(os.path.normpath(path.absolute())) for path in without}
    sources = [SourceFile(_name(path, root), path) for path in sorted(files)]
    empty = [top for top in dict.fromkeys(tops) if not any(path.is_relative_to(top) for path in files)]
    sources += [SourceFile(_name(top, root), top, StatusCode.FAILED_MISSING) for top in empty]
    twice = [name for name, count in Counter(source.file for source in sources).items() if count > 1]
    if twice:
        remedy = "Rename one of them, or predict them into two files"
        raise ConfigError("two files would have one name among the answers", where=twice[0], remedy=remedy)
    return FileSources(root, tuple(sources), frozenset(links))


def _name(path: Path, root: Path) -> str:
    relative = path.relative_to(root).as_posix()
    return os.fsencode(path.name if relative == "." else relative).decode("utf-8", "backslashreplace")
