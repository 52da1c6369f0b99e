"""Who comes in: by token where raters have one, by name where only this machine can reach the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from heart2heart.curate.page.raters import Rater, Raters, plain_name
from heart2heart.errors import ConfigError


class NotEnteredError(ConfigError):
    """The request is of nobody that may label: no token, a forged one, one that was taken away or has expired."""


def today_utc() -> date:
    """Return the day by which tokens expire."""
    return datetime.now(UTC).date()


class Entrance:
    """Knows the raters.

    Args:
        raters: File of raters; read again with each request, so that a rater who is removed is out at once. None: a
            rater gives a name, and may adjudicate.
        port: Where the page listens.
        today: Gives the day.
    """

    def __init__(self, raters: Path | None, port: int, today: Callable[[], date] = today_utc) -> None:
        self._path, self._today = raters, today
        self.cookie = f"heart2heart_curate_{port}"  # cookies are per host: two pages of one machine share them
        if raters is not None:
            Raters.read(raters)  # tells a bad file at the start

    def admit(self, content: Mapping[str, Any]) -> tuple[Rater, str]:
        """Return who enters, and what the cookie is to hold.

        Args:
            content: `{"secret": ...}`, the token, or the name where none is needed.

        Raises:
            NotEnteredError: nobody that may label.
        """
        secret = content.get("secret")
        if not isinstance(secret, str):
            raise NotEnteredError(f"Enter with your {self.by}")
        return self._who(secret.strip()), secret.strip()

    def rater(self, cookies: Mapping[str, str]) -> Rater:
        """Return who sent these cookies.

        Raises:
            NotEnteredError: nobody that may label.
        """
        if self.cookie not in cookies:
            raise NotEnteredError(f"Enter with your {self.by}")
        return self._who(unquote(cookies[self.cookie]))

    @property
    def by(self) -> str:
        """What a rater enters with: `name` or `token`."""
        return "name" if self._path is None else "token"

    def _who(self, secret: str) -> Rater:
        if self._path is None:
            try:
                return Rater(name=plain_name(secret), adjudicator=True, expires=date.max)
            except ValueError:
                raise NotEnteredError("a name has 1 to 60 printable characters") from None
        rater = Raters.read(self._path).holder(secret)
        if rater is None:
            raise NotEnteredError("this token is not known", remedy="Ask who runs this page for one")
        if rater.expires < self._today():
            raise NotEnteredError("this token has expired", remedy="Ask who runs this page for a new one")
        return rater
