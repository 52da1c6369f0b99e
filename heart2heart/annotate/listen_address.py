"""Where a page or service listens: loopback unless told, and beyond it never without a token and encryption."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class ListenAddress(Protocol):
    """The settings of an address, as every page and service has them."""

    @property
    def bind(self) -> str:
        """Address to listen at."""

    @property
    def names(self) -> tuple[str, ...]:
        """Host names by which callers may name it, beside its address."""

    @property
    def certificate(self) -> Path | None:
        """TLS certificate (PEM)."""

    @property
    def private_key(self) -> Path | None:
        """Private key of the certificate (PEM)."""

    @property
    def allow_http(self) -> bool:
        """Whether everything may go unencrypted over a network."""


@dataclass(frozen=True)
class ListenFaults:
    """What is wrong with an address beyond loopback, in the words of its settings.

    Attributes:
        token: There is no token.
        encryption: There is neither a certificate nor the permission to go without.
        names: It listens at every address, and no host name is known.
    """

    token: str
    encryption: str
    names: str


def parse_bind(value: str) -> str:
    """Return an address to listen at in its usual form.

    Raises:
        ValueError: no address.

    Examples:
        >>> parse_bind("localhost")
        '127.0.0.1'
    """
    return "127.0.0.1" if value == "localhost" else str(ipaddress.ip_address(value))


def is_loopback_bind(bind: str) -> bool:
    """Return whether an address can be reached from this machine alone.

    Examples:
        >>> is_loopback_bind("::1"), is_loopback_bind("0.0.0.0")
        (True, False)
    """
    return ipaddress.ip_address(bind).is_loopback


def check_address(address: ListenAddress, *, has_token: bool, faults: ListenFaults) -> None:
    """Refuse an address that would open a door.

    Args:
        address: The address.
        has_token: Whether callers need a token.
        faults: The messages.

    Raises:
        ValueError: a certificate without its key, or beyond loopback no token, no encryption, or no host name.
    """
    if (address.certificate is None) != (address.private_key is None):
        raise ValueError("give a certificate and its private key together")
    if is_loopback_bind(address.bind):
        return
    if not has_token:
        raise ValueError(faults.token)
    if address.certificate is None and not address.allow_http:
        raise ValueError(faults.encryption)
    if ipaddress.ip_address(address.bind).is_unspecified and not address.names:
        raise ValueError(faults.names)


def url_scheme(address: ListenAddress) -> str:
    """Return `https` with a certificate, else `http`."""
    return "http" if address.certificate is None else "https"


def accepted_hosts(address: ListenAddress, port: int) -> frozenset[str]:
    """Return the accepted values of the Host header, for the port that is listened at."""
    bind = address.bind
    names = {f"[{bind}]" if ":" in bind else bind, *(name.lower() for name in address.names)}
    if is_loopback_bind(bind):
        names |= {"localhost", "127.0.0.1", "[::1]"}
    usual = 443 if url_scheme(address) == "https" else 80
    return frozenset({f"{name}:{port}" for name in names} | (names if port == usual else set()))
