"""Small DICOMweb servers of our own, faulty in one way each."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import parse_qs, urlsplit

from heart2heart.pacs.connection import Credentials
from heart2heart.pacs.dicomweb import DicomWebClient
from tests.pacs.conftest import PASSWORD, USER

KNOWN = Credentials.find(None, {"HEART2HEART_DICOMWEB_USER": USER, "HEART2HEART_DICOMWEB_PASSWORD": PASSWORD})


@contextmanager
def open_server(url: str, credentials: Credentials = KNOWN, attempts: int = 1) -> Iterator[DicomWebClient]:
    """Open a server and close it."""
    with closing(DicomWebClient(url, credentials=credentials, attempts=attempts, timeout=10)) as server:
        yield server


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
def serving(handler: type[http.server.BaseHTTPRequestHandler], security: ssl.SSLContext | None = None) -> Iterator[str]:
    """Run a small HTTP server and give its address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if security is not None:
            server.socket = security.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http{'s' if security else ''}://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def archive_of(instances: int, cap: int, broken: dict[str, int]) -> type[http.server.BaseHTTPRequestHandler]:
    """Return a handler of one study and series that gives at most `cap` results, and fails at some instances.

    Args:
        instances: Their number; their UIDs are 1.4.0, 1.4.1 ...
        cap: Most results of one answer.
        broken: HTTP status by UID; 0 closes the connection without a word.
    """
    names = {"studies": ("0020000D", ["1.2"]), "series": ("0020000E", ["1.3"])}
    names["instances"] = ("00080018", [f"1.4.{index}" for index in range(instances)])

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            segments = parts.path.strip("/").split("/")
            if segments[-1] in names:
                tag, uids = names[segments[-1]]
                start = int(parse_qs(parts.query).get("offset", ["0"])[0])
                page = [{tag: {"vr": "UI", "Value": [uid]}} for uid in uids[start : start + cap]]
                self._answer(200, "application/dicom+json", json.dumps(page).encode())
                return
            status = broken.get(segments[-1], 200)
            if status == 0:
                self.close_connection = True
                return
            body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + bytes(128) + b"DICM" + segments[-1].encode()
            self._answer(status, "multipart/related; boundary=b", body + b"\r\n--b--")

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
