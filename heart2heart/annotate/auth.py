"""Authenticates raters: by token where a raters file names them, by name where only this machine reaches the page."""

from __future__ import annotations

import hashlib
import secrets
import stat
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

from pydantic import field_validator

from heart2heart.config import Config
from heart2heart.errors import ConfigError, ExistsError, MissingInputError, UnknownNameError
from heart2heart.utils import read_json, write_text

_LONGEST_NAME = 60


class Rater(Config):
    """One person."""

    name: str
    """Name in the label store."""
    adjudicator: bool = False
    """Whether this rater may decide disagreements."""
    token_sha256: str = ""
    """Hash of the token; the token itself is shown once, when it is made."""
    expires: date
    """The last day on which the token is accepted."""

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        return normalize_name(value)


def normalize_name(text: str) -> str:
    """Return a rater's name without needless blanks.

    Raises:
        ValueError: empty, too long, or with characters that cannot be printed.
    """
    name = " ".join(text.split())
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise ValueError(f"a rater's name has 1 to {_LONGEST_NAME} printable characters")
    return name


class Raters(Config):
    """The file of raters."""

    raters: tuple[Rater, ...] = ()
    """In the order in which they were added."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file.

        Raises:
            MissingInputError: no such file.
            ConfigError: others may read the file, or it is not a file of raters.
        """
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigError("others may read this file of raters", where=path, remedy=f"Run: chmod 600 {path}")
        try:
            content = read_json(path, what="file of raters")
        except MissingInputError:
            remedy = f"Make it: heart2heart raters add NAME --raters {path}"
            raise MissingInputError("no file of raters here", where=path, remedy=remedy) from None
        if not isinstance(content, dict):
            raise ConfigError("this is not a file of raters", where=path)
        return cls.parse(content, where=path)

    def write(self, path: Path) -> None:
        """Write the file with mode 0600, whole or not at all."""
        write_text(path, self.model_dump_json(indent=2) + "\n", mode=0o600)

    def with_added(self, name: str, *, adjudicator: bool, days: int, today: date) -> tuple[Self, str]:
        """Return the file with one more rater, and that rater's token.

        Raises:
            ExistsError: there is a rater of this name.
            ConfigError: the name is empty, too long or not printable.
        """
        token = secrets.token_urlsafe(32)
        content = {"name": name, "adjudicator": adjudicator, "token_sha256": _hash(token),
                 "expires": today + timedelta(days=days)}  # fmt: skip
        rater = Rater.parse(content, where="rater")
        if any(known.name == rater.name for known in self.raters):
            remedy = "Remove the rater first to give a new token; the labels stay"
            raise ExistsError("there is a rater of this name", where=rater.name, remedy=remedy)
        return self.model_copy(update={"raters": (*self.raters, rater)}), token

    def without(self, name: str) -> Self:
        """Return the file without a rater, whose token is then refused.

        Raises:
            UnknownNameError: there is no rater of this name.
        """
        if all(known.name != name for known in self.raters):
            raise UnknownNameError.among("rater", name, [known.name for known in self.raters])
        return self.model_copy(update={"raters": tuple(known for known in self.raters if known.name != name)})

    def find_by_token(self, token: str) -> Rater | None:
        """Return the rater with `token`, also an expired one; None for an unknown token.

        Hashes are compared in constant time, so that the time of the reply reveals nothing about a token.
        """
        token_hash = _hash(token)
        return next((known for known in self.raters if secrets.compare_digest(known.token_sha256, token_hash)), None)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class NotAuthenticatedError(ConfigError):
    """The request is of no known rater: its token is missing, unknown, removed or expired."""


def today_utc() -> date:
    """Return the present day in UTC, by which tokens expire."""
    return datetime.now(UTC).date()


class Authenticator:
    """Authenticates the raters of the page.

    Args:
        raters: File of raters; read again with each request, so that a removed rater is refused at once. None: a rater
            signs in by name, and may adjudicate.
        port: Port of the page.
        today: Returns the present day.
    """

    def __init__(self, raters: Path | None, port: int, today: Callable[[], date] = today_utc) -> None:
        self._path, self._today = raters, today
        self.cookie = f"heart2heart_curate_{port}"  # cookies are per host: two pages of one machine share them
        if raters is not None:
            Raters.read(raters)  # refuses a bad file at the start

    def log_in(self, content: Mapping[str, Any]) -> tuple[Rater, str]:
        """Return the rater who signs in, and the value of the cookie.

        Args:
            content: `{"secret": ...}`: the token, or the name where no token is needed.

        Raises:
            NotAuthenticatedError: no known rater.
        """
        secret = content.get("secret")
        if not isinstance(secret, str):
            raise NotAuthenticatedError(f"Sign in with your {self.credential}")
        return self._rater_of(secret.strip()), secret.strip()

    def rater(self, cookies: Mapping[str, str]) -> Rater:
        """Return the rater with these cookies.

        Raises:
            NotAuthenticatedError: no known rater.
        """
        if self.cookie not in cookies:
            raise NotAuthenticatedError(f"Sign in with your {self.credential}")
        return self._rater_of(unquote(cookies[self.cookie]))

    @property
    def credential(self) -> str:
        """Credential of a rater: `name` or `token`."""
        return "name" if self._path is None else "token"

    def _rater_of(self, secret: str) -> Rater:
        if self._path is None:
            try:
                return Rater(name=normalize_name(secret), adjudicator=True, expires=date.max)
            except ValueError:
                raise NotAuthenticatedError("a name has 1 to 60 printable characters") from None
        rater = Raters.read(self._path).find_by_token(secret)
        if rater is None:
            raise NotAuthenticatedError("this token is not known", remedy="Ask the person who runs this page for one")
        if rater.expires < self._today():
            raise NotAuthenticatedError(
                "this token has expired", remedy="Ask the person who runs this page for a new one"
            )
        return rater
