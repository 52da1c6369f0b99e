"""Criteria for the use of a model, and the description of a study: templates and registration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.errors import ExistsError

if TYPE_CHECKING:
    from heart2heart.schema.criteria import Criteria


def write_criteria_template(path: str | Path) -> Path:
    """Write criteria to fill in, as YAML with a comment on each key.

    Args:
        path: YAML file that does not exist yet.

    Raises:
        ExistsError: the file exists.

    Examples:
        >>> from heart2heart.api import write_criteria_template
        >>> "sensitivity: 75" in write_criteria_template("criteria.yaml").read_text()
        True
    """
    from heart2heart.schema.criteria import criteria_template

    return _write_new(Path(path), criteria_template())


def register_criteria(path: str | Path) -> Criteria:
    r"""Append the time of now and the hash of the criteria to their file, before the model is tested.

    Args:
        path: The criteria. All other lines of the file stay as they are.

    Returns:
        The registered criteria.

    Raises:
        MissingInputError: no such file.
        ConfigError: criteria that are impossible or contradict each other.
        ExistsError: the criteria are registered already.

    Examples:
        >>> from heart2heart.api import register_criteria
        >>> _ = Path("mine.yaml").write_text("question: May it be used?\nwritten_by: AB\nloss: 5\n")
        >>> criteria = register_criteria("mine.yaml")
        >>> criteria.loss, criteria.registration is not None
        (5.0, True)
    """
    from heart2heart.schema.criteria import register_criteria

    return register_criteria(Path(path))


def write_study_template(path: str | Path) -> Path:
    """Write a description of a study to fill in, as YAML with a comment on each key.

    Args:
        path: YAML file that does not exist yet.

    Raises:
        ExistsError: the file exists.

    Examples:
        >>> from heart2heart.api import write_study_template
        >>> 'funding: ""' in write_study_template("study.yaml").read_text()
        True
    """
    from heart2heart.schema.study import study_template

    return _write_new(Path(path), study_template())


def _write_new(path: Path, text: str) -> Path:
    from heart2heart.utils import check_writable, write_text

    if path.exists():
        raise ExistsError("this file exists", where=path, remedy="Name another file")
    check_writable(path)
    write_text(path, text)
    return path
