"""Errors: text, standard kind, exit code, and the way home from a worker process."""

import copy
from pathlib import Path

import pytest

from heart2heart import errors
from heart2heart.errors import DicomError, Heart2HeartError, InternalError, MissingInputError, UnknownNameError
from heart2heart.schema.status import StatusCode

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Heart2HeartError)]


def test_errors_say_what_where_and_remedy() -> None:
    error = MissingInputError("no store here", where=Path("a/b"), remedy="Make one")
    assert str(error) == "no store here: a/b. Make one"
    assert isinstance(error, FileNotFoundError)
    assert str(MissingInputError("gone")) == "gone"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in (Heart2HeartError, DicomError)])
def test_errors_are_standard_errors_and_can_be_pickled(kind: type[Heart2HeartError]) -> None:
    error = kind("what", where="place", remedy="Do that")
    # `copy` goes by the same reduce protocol that carries a worker's error to its parent.
    back = copy.copy(error)
    assert type(back) is kind
    assert str(back) == str(error)
    assert any(base.__module__ == "builtins" and base not in (Exception, object, BaseException) for base in kind.mro())


def test_dicom_error_keeps_its_code() -> None:
    back = copy.copy(DicomError("cut short", code=StatusCode.FAILED_TRUNCATED))
    assert (back.code, str(back)) == ("failed:truncated", "cut short")


def test_errors_have_exit_codes() -> None:
    assert MissingInputError("x").exit_code == 2
    assert InternalError("x").exit_code == 1


def test_unknown_name_error_lists_the_known() -> None:
    assert str(UnknownNameError.among("view", "X", ["b", "a"])) == "unknown view 'X'. Known: a, b"
