"""Connects to other machines: credentials, loopback addresses, and the optional network libraries.

Credentials come from a file of mode 0600 or from the environment, never from the command line.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import stat
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import SecretStr, model_validator

from heart2heart.config import Config
from heart2heart.errors import ConfigError

if TYPE_CHECKING:
    from requests import PreparedRequest
    from requests.auth import AuthBase

_NETWORK_LOGGERS = ("dicomweb_client", "retrying", "urllib3", "pynetdicom", "pydicom")


def is_loopback(host: str) -> bool:
    """Return whether `host`, an address or `localhost`, is this machine and reachable from it alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def require_extra(package: str) -> Iterator[None]:
    """Raise an error with the remedy if `package`, imported in this block, is not installed.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        remedy = "Run: pip install 'heart2heart[network]'"
        raise ConfigError(f"{package} is not installed", remedy=remedy) from error


@contextmanager
def silence_network_logs() -> Iterator[None]:
    """Silence the network libraries, whose log lines, warnings and tracebacks quote UIDs and tags of patients.

    Warnings and threads belong to the whole process. An error that ends a thread of a library ends it without a word.
    """
    loggers = [logging.getLogger(name) for name in _NETWORK_LOGGERS]
    before = [(logger.disabled, logger.propagate, logger.level) for logger in loggers]
    for logger in loggers:
        logger.propagate = False
        logger.setLevel(logging.CRITICAL + 1)
    excepthook = threading.excepthook

    def of_other_threads(error: threading.ExceptHookArgs) -> None:
        if not type(error.thread).__module__.startswith("pynetdicom"):
            excepthook(error)

    threading.excepthook = of_other_threads
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        threading.excepthook = excepthook
        for logger, (disabled, propagate, level) in zip(loggers, before, strict=True):
            logger.disabled, logger.propagate = disabled, propagate
            logger.setLevel(level)


_VARIABLES = {
    "user": "HEART2HEART_DICOMWEB_USER",
    "password": "HEART2HEART_DICOMWEB_PASSWORD",
    "token": "HEART2HEART_DICOMWEB_TOKEN",
}


class Credentials(Config):
    """A user with a password, or a bearer token, or nothing; none of the secrets shows in `repr` or in errors."""

    user: SecretStr | None = None
    """Name for HTTP basic authentication."""
    password: SecretStr | None = None
    """Password of that user."""
    token: SecretStr | None = None
    """Bearer token (OAuth 2), in the place of user and password."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.user is None) != (self.password is None) or (self.user is not None and self.token is not None):
            raise ValueError("give user and password, or a token")
        return self

    @classmethod
    def find(cls, path: Path | None, environment: Mapping[str, str] = os.environ) -> Self:
        """Read a YAML file with the keys of this class, or else the variables `HEART2HEART_DICOMWEB_USER`, ...

        Raises:
            ConfigError: others may read the file, or it holds something else.
            MissingInputError: no such file.
        """
        if path is None:
            values = {key: environment[name] for key, name in _VARIABLES.items() if environment.get(name)}
            return cls.parse(values, where="environment")
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            remedy = f"Run: chmod 600 {path}"
            raise ConfigError("others may read this file of credentials", where=path, remedy=remedy)
        return cls.load(path)

    def auth(self) -> AuthBase | None:
        """Return the authentication that `requests` adds to each request."""
        from requests.auth import AuthBase, HTTPBasicAuth

        if self.user is not None and self.password is not None:
            # As UTF-8 bytes (RFC 7617): requests itself would encode text as Latin-1.
            name, password = self.user.get_secret_value().encode(), self.password.get_secret_value().encode()
            return HTTPBasicAuth(name, password)
        if self.token is None:
            return None
        secret = self.token.get_secret_value()

        class Bearer(AuthBase):
            def __call__(self, request: PreparedRequest) -> PreparedRequest:
                request.headers["Authorization"] = f"Bearer {secret}"
                return request

        return Bearer()
