"""DICOMweb against a real Orthanc: the same bytes, resumed, and clear words when the server will not."""

from __future__ import annotations

import hashlib
import http.server
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from heart2heart.errors import RemoteError
from heart2heart.reach import Credentials, Instance, Landing, Query, Server, pull
from tests.reach.conftest import PASSWORD, USER, Orthanc, free_port

KNOWN = Credentials.find(None, {"HEART2HEART_DICOMWEB_USER": USER, "HEART2HEART_DICOMWEB_PASSWORD": PASSWORD})


def hashes(folder: Path) -> list[str]:
    """Return the sorted hashes of the files in a folder."""
    return sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir())


@contextmanager
def open_server(url: str, credentials: Credentials = KNOWN, attempts: int = 1) -> Iterator[Server]:
    """Open a server and close it."""
    with closing(Server(url, credentials=credentials, attempts=attempts, timeout=10)) as server:
        yield server


def test_every_instance_comes_as_it_is_stored(orthanc: Orthanc, tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    with open_server(orthanc.url) as server, Landing.open(landing, tmp_path / "k") as folder:
        done = pull(server, server.search(Query()), folder)
        again = pull(server, server.search(Query()), folder)
    assert (done.fetched, done.present, done.refused) == (6, 0, 0)
    assert (again.fetched, again.present, again.refused) == (0, 6, 0)
    assert hashes(landing) == hashes(orthanc.files[0].parent)
    assert stat.S_IMODE(landing.stat().st_mode) == 0o700
    for path in landing.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "1.2.3" not in path.name


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (Query(dates="20200101"), 2),
        (Query(dates="20200102-20200103"), 4),
        (Query(match={"PatientID": "TEST-1"}), 2),
        (Query(modality="MR"), 0),
    ],
)
def test_queries(orthanc: Orthanc, query: Query, found: int) -> None:
    with open_server(orthanc.url) as server:
        assert len(server.search(query)) == found


class Interrupted:
    """Progress that stops the pull in its midst."""

    def update(self, done: int, note: str = "") -> None:
        """Stop after two."""
        if done == 2:
            raise KeyboardInterrupt


def test_interrupted_and_resumed_gives_the_same_files(orthanc: Orthanc, tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    with open_server(orthanc.url) as server:
        instances = server.search(Query())
        with pytest.raises(KeyboardInterrupt), Landing.open(landing, tmp_path / "k") as folder:
            pull(server, instances, folder, progress=Interrupted())
        left = next(landing.iterdir())
        (landing / f".{left.name}.0123abcd.tmp").write_bytes(b"half")  # what a kill -9 leaves behind
        assert len(list(landing.iterdir())) == 3
        with Landing.open(landing, tmp_path / "k") as folder:
            done = pull(server, instances, folder)
    assert (done.fetched, done.present) == (4, 2)
    assert hashes(landing) == hashes(orthanc.files[0].parent)


def test_an_instance_that_is_gone_is_counted(orthanc: Orthanc, tmp_path: Path) -> None:
    gone = Instance("1.2.3.7.0", "1.2.3.7.0.1", "1.2.3.9.77")
    with open_server(orthanc.url) as server, Landing.open(tmp_path / "l", tmp_path / "k") as folder:
        done = pull(server, [gone], folder)
    assert (done.fetched, done.refused) == (0, 1)
    assert list((tmp_path / "l").iterdir()) == []


def test_wrong_credentials_and_wrong_addresses(orthanc: Orthanc) -> None:
    wrong = Credentials.parse({"user": USER, "password": "wrong"}, where="test")
    for credentials in (wrong, Credentials()):
        with open_server(orthanc.url, credentials) as server, pytest.raises(RemoteError, match="HTTP 401"):
            server.search(Query())
    with open_server(f"{orthanc.root}/nothing") as server, pytest.raises(RemoteError, match="HTTP 404"):
        server.search(Query())
    with open_server(f"{orthanc.root}/app") as server, pytest.raises(RemoteError, match="HTTP"):
        server.search(Query())


def test_a_server_that_is_down() -> None:
    with open_server(f"http://127.0.0.1:{free_port()}/x") as server, pytest.raises(RemoteError, match="not answer"):
        server.search(Query())


def faulty(answer: bytes, kind: str, declared: int | None = None) -> type[http.server.BaseHTTPRequestHandler]:
    """Return a handler that gives one answer to everything."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(answer) if declared is None else declared))
            self.end_headers()
            self.wfile.write(answer)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def serving(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    """Run a small HTTP server and give its address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_an_answer_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    whole = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + bytes(128) + b"DICM" + bytes(5000) + b"\r\n--b--"
    kind = 'multipart/related; type="application/dicom"; boundary=b'
    cases = [
        (whole, None, 1),
        (whole[:-4], None, 0),
        (whole, len(whole) + 100, 0),
        (whole.replace(b"DICM", b"HTML"), None, 0),
    ]
    for number, (body, declared, written) in enumerate(cases):
        place = tmp_path / str(number)
        with (
            serving(faulty(body, kind, declared)) as url,
            open_server(url, attempts=2) as server,
            Landing.open(place, tmp_path / "k") as folder,
        ):
            done = pull(server, [Instance("1.2", "1.3", "1.4")], folder)
        assert (done.fetched, done.refused) == (written, 1 - written), number
        assert len(list(place.iterdir())) == written


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'[{"0020000D": {}}]', b"7"])
def test_a_server_that_speaks_something_else(body: bytes) -> None:
    with (
        serving(faulty(body, "application/json")) as url,
        open_server(url) as server,
        pytest.raises(RemoteError, match="not answer as DICOMweb"),
    ):
        server.search(Query())
