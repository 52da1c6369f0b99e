"""Raters and their tokens: the file keeps hashes, others may not read it, and a removed or old token is refused."""

import json
from datetime import date
from pathlib import Path

import pytest

from heart2heart.annotate.auth import Authenticator, NotAuthenticatedError, Raters
from heart2heart.errors import ConfigError, ExistsError, MissingInputError, UnknownNameError

TODAY = date(2020, 1, 1)


def _file(tmp_path: Path) -> tuple[Path, str]:
    path = tmp_path / "raters.json"
    raters, token = Raters().with_added("Reader 1", adjudicator=False, days=30, today=TODAY)
    raters, _ = raters.with_added("Reader 2", adjudicator=True, days=30, today=TODAY)
    raters.write(path)
    return path, token


def test_raters_write_a_private_file_without_tokens(tmp_path: Path) -> None:
    path, token = _file(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert token not in path.read_text(encoding="utf-8")
    holder = Raters.read(path).find_by_token(token)
    assert holder is not None
    assert (holder.name, holder.adjudicator, holder.expires) == ("Reader 1", False, date(2020, 1, 31))


def test_raters_read_refuses_a_file_that_others_can_read(tmp_path: Path) -> None:
    path, _ = _file(tmp_path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match=r"others may read this file of raters.*chmod 600"):
        Raters.read(path)


@pytest.mark.parametrize("text", ["[]", '{"raters": [{"name": "x"}]}', '{"people": []}'])
def test_raters_read_refuses_another_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "raters.json"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    with pytest.raises(ConfigError):
        Raters.read(path)


def test_normalize_name(tmp_path: Path) -> None:
    raters = Raters.read(_file(tmp_path)[0])
    with pytest.raises(ExistsError, match="there is a rater of this name"):
        raters.with_added(" Reader  1 ", adjudicator=False, days=1, today=TODAY)
    for name in ("", "  ", "a\x00b", "x" * 61):
        with pytest.raises(ConfigError, match="printable"):
            raters.with_added(name, adjudicator=False, days=1, today=TODAY)
    with pytest.raises(UnknownNameError, match="Known: Reader 1, Reader 2"):
        raters.without("Reader 3")
    with pytest.raises(MissingInputError, match="heart2heart raters add"):
        Raters.read(tmp_path / "none.json")


def test_log_in_by_token(tmp_path: Path) -> None:
    path, token = _file(tmp_path)
    day = [TODAY]
    entrance = Authenticator(path, 8080, lambda: day[0])
    rater, secret = entrance.log_in({"secret": f" {token}\n"})
    assert (rater.name, secret) == ("Reader 1", token)
    assert entrance.rater({entrance.cookie: token}).name == "Reader 1"
    for cookies in ({}, {entrance.cookie: ""}, {entrance.cookie: token[:-1] + "!"}, {"other": token}):
        with pytest.raises(NotAuthenticatedError):
            entrance.rater(cookies)
    with pytest.raises(NotAuthenticatedError, match="Sign in with your token"):
        entrance.log_in({"secret": 7})
    day[0] = date(2020, 1, 31)
    assert entrance.rater({entrance.cookie: token}).name == "Reader 1"
    day[0] = date(2020, 2, 1)
    with pytest.raises(NotAuthenticatedError, match="this token has expired"):
        entrance.rater({entrance.cookie: token})


def test_authenticator_names_the_cookie_by_port() -> None:
    assert Authenticator(None, 8080).cookie != Authenticator(None, 8081).cookie


def test_rater_is_refused_once_removed(tmp_path: Path) -> None:
    path, token = _file(tmp_path)
    entrance = Authenticator(path, 8080, lambda: TODAY)
    entrance.log_in({"secret": token})
    Raters.read(path).without("Reader 1").write(path)
    with pytest.raises(NotAuthenticatedError, match="this token is not known"):
        entrance.rater({entrance.cookie: token})


def test_log_in_by_name_without_a_file_of_raters() -> None:
    entrance = Authenticator(None, 8080)
    rater, _ = entrance.log_in({"secret": "  Dr.  Reader "})
    assert (rater.name, rater.adjudicator) == ("Dr. Reader", True)
    assert entrance.rater({entrance.cookie: "%C3%89mile"}).name == "Émile"
    with pytest.raises(NotAuthenticatedError, match="printable"):
        entrance.log_in({"secret": "\x07"})


def test_raters_read_what_was_written(tmp_path: Path) -> None:
    path, _ = _file(tmp_path)
    assert {"name", "adjudicator", "token_sha256", "expires"} == set(json.loads(path.read_text())["raters"][0])
