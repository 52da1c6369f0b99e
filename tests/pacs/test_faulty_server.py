"""DICOMweb servers that are faulty: what can be had is fetched, what cannot is counted or said."""

from __future__ import annotations

import ssl
import subprocess
from contextlib import closing
from pathlib import Path

import certifi
import pytest

from heart2heart.errors import RemoteError
from heart2heart.pacs.dicomweb import DicomWebClient, PacsQuery
from heart2heart.pacs.retrieve import retrieve
from heart2heart.pacs.search import InstanceReference
from heart2heart.pacs.spool import Spool
from tests.pacs.conftest import needs
from tests.pacs.web import archive_of, faulty, open_server, serving


def test_retrieve_leaves_no_file_of_an_answer_that_breaks_off(tmp_path: Path) -> None:
    whole = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + bytes(128) + b"DICM" + bytes(5000) + b"\r\n--b--"
    kind = 'multipart/related; type="application/dicom"; boundary=b'
    cases = [
        (whole, None, 1),
        (whole[:-4], None, 0),
        (whole, len(whole) + 100, 0),
        (whole.replace(b"DICM", b"HTML"), None, 0),
    ]
    for index, (body, declared, written) in enumerate(cases):
        spool = tmp_path / str(index)
        with (
            serving(faulty(body, kind, declared)) as url,
            open_server(url, attempts=2) as server,
            Spool.open(spool, tmp_path / "k") as folder,
        ):
            done = retrieve(server, [InstanceReference("1.2", "1.3", "1.4")], folder)
        assert (done.fetched, done.refused) == (written, 1 - written), index
        assert len(list(spool.iterdir())) == written


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'[{"0020000D": {}}]', b"7"])
def test_search_refuses_answers_of_another_protocol(body: bytes) -> None:
    with (
        serving(faulty(body, "application/json")) as url,
        open_server(url) as server,
        pytest.raises(RemoteError, match="not answer as DICOMweb"),
    ):
        server.search(PacsQuery())


def test_search_of_a_server_with_few_results_an_answer_asks_until_nothing_new_comes() -> None:
    with serving(archive_of(57, 10, {})) as url, open_server(url) as server:
        assert len(server.search(PacsQuery())) == 57


@pytest.mark.parametrize("status", [0, 403, 404, 406, 410, 500, 503])
def test_retrieve_goes_on_after_an_error_at_one_instance(tmp_path: Path, status: int) -> None:
    with (
        serving(archive_of(5, 500, {"1.4.1": status, "1.4.4": status})) as url,
        open_server(url) as server,
        Spool.open(tmp_path / "l", tmp_path / "k") as folder,
    ):
        done = retrieve(server, server.search(PacsQuery()), folder)
    assert (done.fetched, done.refused) == (3, 2)
    assert len(list((tmp_path / "l").iterdir())) == 3


def test_retrieve_ends_when_the_server_goes_away(tmp_path: Path) -> None:
    with (
        serving(archive_of(5, 500, {"1.4.2": 0, "1.4.3": 0})) as url,
        open_server(url) as server,
        Spool.open(tmp_path / "l", tmp_path / "k") as folder,
        pytest.raises(RemoteError, match="does not answer, or closed the connection"),
    ):
        retrieve(server, server.search(PacsQuery()), folder)
    assert len(list((tmp_path / "l").iterdir())) == 2


def test_search_accepts_the_authority_of_the_hospital(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())  # as many a hospital's machine has it
    certificate, secret = tmp_path / "ca.pem", tmp_path / "secret.pem"
    line = (needs("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    names = (
        "-subj",
        "/CN=test",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-addext",
        "basicConstraints=critical,CA:TRUE",
    )
    subprocess.run((*line, "-keyout", str(secret), "-out", str(certificate), *names), check=True, capture_output=True)
    security = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    security.load_cert_chain(certificate, secret)
    with serving(archive_of(3, 500, {}), security) as url:
        with open_server(url) as server, pytest.raises(RemoteError, match="not trusted"):
            server.search(PacsQuery())
        with closing(DicomWebClient(url, authority=certificate, attempts=1, timeout=10)) as server:
            assert len(server.search(PacsQuery())) == 3
