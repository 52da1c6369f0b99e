"""The page over TLS, with a certificate that openssl made: what goes over the wire, and what is refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
from datetime import date
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path

import pytest

from heart2heart.annotate.auth import Raters
from heart2heart.testing.stores import random_store
from tests.annotate.support import Client, make_assignments, served

NAME = "echo-labels.example"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a self-signed certificate of `ACCESS_CHECK` and its key."""
    if shutil.which("openssl") is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have openssl: the page has not been served over TLS")
        pytest.skip("openssl is not installed: the page has not been served over TLS")
    folder = tmp_path_factory.mktemp("tls")
    page, key = folder / "page.pem", folder / "page.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", str(key), "-out", str(page)],
        check=True, capture_output=True,
    )  # fmt: skip
    return page, key


class _Named(HTTPSConnection):
    """A connection to this machine that expects the certificate of `ACCESS_CHECK`."""

    def __init__(self, port: int, trusted: ssl.SSLContext) -> None:
        super().__init__("127.0.0.1", port, timeout=20)
        self._trusted = trusted

    def connect(self) -> None:
        """Connect as a browser would that looked `ACCESS_CHECK` up."""
        HTTPConnection.connect(self)
        self.sock = self._trusted.wrap_socket(self.sock, server_hostname=NAME)


def _ask(
    port: int, trusted: ssl.SSLContext, path: str, body: object = None, **headers: str
) -> tuple[int, str, dict[str, str]]:
    connection = _Named(port, trusted)
    request_headers = {"Host": f"{NAME}:{port}", "X-Heart2Heart": "1"} | headers
    try:
        content = None if body is None else json.dumps(body)
        connection.request("GET" if body is None else "POST", path, content, request_headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), {name.lower(): text for name, text in answer.getheaders()}
    finally:
        connection.close()


def test_curate_beyond_loopback_over_tls(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    page, key = certificate
    raters, token = Raters().with_added("reader", adjudicator=False, days=9, today=date.today())
    raters.write(tmp_path / "raters.json")
    assignments = make_assignments(
        tmp_path, bind="0.0.0.0", names=(NAME,), raters=tmp_path / "raters.json", certificate=page, private_key=key
    )
    trusted = ssl.create_default_context(cafile=page)
    with served(assignments) as server:
        port = server.port
        assert server.address == f"https://{NAME}:{port}/"
        status, _, headers = _ask(port, trusted, "/api/sign-in", {"secret": token})
        assert status == 200
        cookie, *marks = re.split("; ?", headers["set-cookie"])
        assert {"Secure", "HttpOnly", "SameSite=strict"} <= set(marks)
        assert cookie == f"heart2heart_curate_{port}={token}"
        status, text, _ = _ask(port, trusted, "/api/session", Cookie=cookie)
        assert (status, json.loads(text)["name"]) == (200, "reader")
        assert _ask(port, trusted, "/api/session", Cookie=cookie, Origin=f"https://{NAME}:{port}")[0] == 200
        assert _ask(port, trusted, "/api/session", Cookie=cookie, Origin=f"http://{NAME}:{port}")[0] == 403
        assert _ask(port, trusted, "/", Host=f"127.0.0.1:{port}")[0] == 421
        with pytest.raises(ssl.SSLCertVerificationError):  # who does not know the certificate is warned
            _ask(port, ssl.create_default_context(), "/")
        with pytest.raises((HTTPException, OSError)):  # nothing is told without encryption
            Client(port).raw("/")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--bind", "0.0.0.0"], "each rater needs a token: give --raters"),
        (["--bind", "0.0.0.0", "--raters", "raters.json"], "give --certificate, or --allow-http"),
    ],
)
def test_curate_is_refused_beyond_loopback_without_tokens_or_encryption(
    tmp_path: Path, words: list[str], message: str
) -> None:
    random_store(tmp_path / "store", sites=["A"], patients=1)
    Raters().write(tmp_path / "raters.json")
    command = [sys.executable, "-m", "heart2heart", "curate", "store", "--labels", "labels.db", "--port", "0", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "labels.db").exists()
