"""Certificates for the tests, made with openssl."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.pacs.conftest import needs

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key (PEM)."""

    path: Path
    key: Path


def make_authority(folder: Path, name: str) -> Certificate:
    """Make a certificate authority."""
    certificate = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    _openssl("req", "-x509", *_KEY, "-keyout", certificate.key, "-out", certificate.path, "-subj", f"/CN={name}",
             "-addext", "basicConstraints=critical,CA:TRUE")  # fmt: skip
    return certificate


def make_certificate(folder: Path, name: str, authority: Certificate) -> Certificate:
    """Make a certificate that an authority signs."""
    certificate, request = Certificate(folder / f"{name}.pem", folder / f"{name}.key"), folder / f"{name}.csr"
    _openssl("req", *_KEY, "-keyout", certificate.key, "-out", request, "-subj", "/CN=127.0.0.1")
    _openssl("x509", "-req", "-in", request, "-CA", authority.path, "-CAkey", authority.key, "-CAcreateserial",
             "-out", certificate.path)  # fmt: skip
    return certificate


def _openssl(*arguments: str | Path) -> None:
    subprocess.run((needs("openssl"), *map(str, arguments)), check=True, capture_output=True)
