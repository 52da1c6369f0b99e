"""A hostile DICOMweb server: redirects, endless and exploding bodies, endless lists, slow drips and unusable UIDs."""

from __future__ import annotations

import gzip
import http.server
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from heart2heart.errors import RemoteError
from heart2heart.pacs import search
from heart2heart.pacs.connection import Credentials
from heart2heart.pacs.dicomweb import DicomWebClient, PacsQuery
from heart2heart.pacs.retrieve import RetrieveSummary, retrieve
from heart2heart.pacs.search import InstanceReference
from heart2heart.pacs.spool import Spool
from tests.pacs.web import serving

PART = "multipart/related; boundary=b"
JSON = "application/dicom+json"
TOKEN = Credentials.find(None, {"HEART2HEART_DICOMWEB_TOKEN": "secret-token"})
Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


def send(handler: http.server.BaseHTTPRequestHandler, body: bytes, kind: str = JSON, **headers: str) -> None:
    """Send one whole answer."""
    handler.send_response(200)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def instance_body(uid: str) -> bytes:
    """Return an instance as a server sends it."""
    content = bytes(128) + b"DICM" + uid.encode()
    return b"--b\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n--b--"


def results_page(tag: str, uids: list[object]) -> bytes:
    """Return a page of results."""
    return json.dumps([{tag: {"vr": "UI", "Value": [uid]}} for uid in uids]).encode()


def hospital(
    answers: dict[str, Answer], studies: tuple[object, ...] = ("1.2",)
) -> type[http.server.BaseHTTPRequestHandler]:
    """Return a handler with one series of three instances in each study, and special answers by last path segment."""
    instances = [f"1.4.{index}" for index in range(3)]

    class Handler(http.server.BaseHTTPRequestHandler):
        seen: ClassVar[list[str]] = []

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            segments = parts.path.strip("/").split("/")
            self.seen.append(self.headers.get("Authorization", ""))
            is_later_page = parse_qs(parts.query).get("offset", ["0"])[0] != "0"
            for key in (parts.path.strip("/"), segments[-1]):
                if key in answers:
                    answers[key](self)
                    return
            if segments[-1] == "studies":
                send(self, results_page("0020000D", [] if is_later_page else list(studies)))
            elif segments[-1] == "series":
                send(self, results_page("0020000E", [] if is_later_page else [f"{segments[-2]}.1"]))
            elif segments[-1] == "instances":
                uids = [f"{segments[-2]}.{uid}" for uid in instances]
                send(self, results_page("00080018", [] if is_later_page else list(uids)))
            else:
                send(self, instance_body(segments[-1]), PART)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def client(url: str, **limits: float) -> Iterator[DicomWebClient]:
    """Open a client that sends a token."""
    options = {"attempts": 1, "timeout": 10} | limits
    with closing(DicomWebClient(url, credentials=TOKEN, **options)) as opened:  # type: ignore[arg-type]
        yield opened


def pull(url: str, folder: Path, **limits: float) -> RetrieveSummary:
    """Pull everything into a spool folder."""
    with client(url, **limits) as server, Spool.open(folder, folder.with_suffix(".key")) as opened:
        return retrieve(server, server.search(PacsQuery()), opened)


def redirect(target: str) -> Answer:
    """Return an answer that redirects."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", target)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def test_search_follows_no_redirect_to_another_origin(tmp_path: Path) -> None:
    other = hospital({})
    with serving(other) as elsewhere:
        port = elsewhere.rsplit(":", 1)[1]
        for target in (f"{elsewhere}/studies", f"http://localhost:{port}/studies", f"//127.0.0.1:{port}/x", "ftp://x/"):
            with serving(hospital({"studies": redirect(target)})) as url, client(url) as server:
                with pytest.raises(RemoteError, match="redirects to another address") as error:
                    server.search(PacsQuery())
                assert port not in str(error.value)
    assert other.seen == []  # type: ignore[attr-defined]


def test_fetch_follows_no_redirect_to_another_origin(tmp_path: Path) -> None:
    other = hospital({})
    with serving(other) as elsewhere, serving(hospital({"1.2.1.1.4.0": redirect(f"{elsewhere}/x")})) as url:
        done = pull(url, tmp_path / "l")
    assert (done.fetched, done.refused) == (2, 1)
    assert other.seen == []  # type: ignore[attr-defined]


def test_search_follows_a_redirect_of_the_same_origin(tmp_path: Path) -> None:
    moved = hospital({"old/studies": redirect("/new/studies?limit=500&offset=0"), "loop/studies": redirect("studies")})
    with serving(moved) as url:
        with client(f"{url}/old") as server:
            assert len(server.search(PacsQuery())) == 3
        with client(f"{url}/loop") as server, pytest.raises(RemoteError):
            server.search(PacsQuery())


def endless(kind: str, head: bytes) -> Answer:
    """Return an answer whose body never ends."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.end_headers()
        handler.close_connection = True
        try:
            handler.wfile.write(head)
            while True:
                handler.wfile.write(bytes(2**16))
        except OSError:
            return

    return answer


def test_fetch_ends_a_body_without_end_and_keeps_nothing_of_it(tmp_path: Path) -> None:
    body = instance_body("x").removesuffix(b"\r\n--b--")
    with serving(hospital({"1.2.1.1.4.1": endless(PART, body)})) as url:
        done = pull(url, tmp_path / "l", instance_bytes=2**20)
    assert (done.fetched, done.refused) == (2, 1)
    assert len(list((tmp_path / "l").iterdir())) == 2


def test_search_ends_a_page_without_end(tmp_path: Path) -> None:
    with (
        serving(hospital({"studies": endless(JSON, b"[")})) as url,
        client(url) as server,
        pytest.raises(RemoteError, match="too large"),
    ):
        server.search(PacsQuery())


def drip(head: bytes) -> Answer:
    """Return an answer that sends a byte now and then."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        try:
            handler.wfile.write(head)
            for _ in range(300):
                handler.wfile.write(b"x")
                time.sleep(0.1)
        except OSError:
            return

    return answer


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/dicom\r\n"


@pytest.mark.parametrize("head", [OK + b"\r\n", OK + b"X-Header: ", OK + b"Transfer-Encoding: chunked\r\n\r\nff\r\n"])
def test_fetch_ends_an_instance_that_drips(tmp_path: Path, head: bytes) -> None:
    with serving(hospital({"1.2.1.1.4.1": drip(head)})) as url:
        done = pull(url, tmp_path / "l", item_seconds=1.0)
    assert (done.fetched, done.refused) == (2, 1)


def bomb(size: int) -> Answer:
    """Return a packed answer that unpacks to much more."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        send(handler, gzip.compress(b"[" + b" " * size), JSON, Content_Encoding="gzip")

    return answer


def test_pull_loses_one_item_to_a_gzip_bomb(tmp_path: Path) -> None:
    bombs = {"1.2.1.1.4.1": bomb(2**26), "studies/1.3/series": bomb(2**26)}
    with serving(hospital(bombs, studies=("1.2", "1.3", "1.5"))) as url:
        done = pull(url, tmp_path / "l")
    assert (done.fetched, done.refused) == (5, 2)


def test_pull_reads_packed_answers(tmp_path: Path) -> None:
    def packed(handler: http.server.BaseHTTPRequestHandler) -> None:
        send(handler, gzip.compress(instance_body("1.2.1.1.4.1")), PART, Content_Encoding="gzip")

    def cut(handler: http.server.BaseHTTPRequestHandler) -> None:
        send(handler, gzip.compress(instance_body("1.2.1.1.4.2"))[:60], PART, Content_Encoding="gzip")

    with serving(hospital({"1.2.1.1.4.1": packed, "1.2.1.1.4.2": cut})) as url:
        done = pull(url, tmp_path / "l")
    assert (done.fetched, done.refused) == (2, 1)


@pytest.mark.parametrize("bad", ["", "..", "1.2/../../admin", "1.2?x", "1" * 200, 7, None, ["1.2"], "1.2\r\nX: y"])
def test_pull_loses_one_item_to_a_uid_that_cannot_be_used(tmp_path: Path, bad: object) -> None:
    with serving(hospital({}, studies=("1.2", bad, "1.5"))) as url:
        done = pull(url, tmp_path / "l")
    assert (done.fetched, done.refused) == (6, 1)


@pytest.mark.parametrize("body", [b"[" * 100_000, b"[" + b"9" * 10_000 + b"]", b"\xff\xfe", b'{"a": 1}'])
def test_pull_loses_one_item_to_an_answer_that_is_no_list(tmp_path: Path, body: bytes) -> None:
    answers: dict[str, Answer] = {"studies/1.3/series": lambda handler: send(handler, body)}
    with serving(hospital(answers, studies=("1.2", "1.3", "1.5"))) as url:
        done = pull(url, tmp_path / "l")
    assert (done.fetched, done.refused) == (6, 1)


def test_search_ends_pages_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MAX_PAGES", 20)
    numbers = iter(range(10**9))

    def page(handler: http.server.BaseHTTPRequestHandler) -> None:
        send(handler, results_page("00080018", [f"1.9.{next(numbers)}"]))

    with (
        serving(hospital({"instances": page})) as url,
        client(url) as server,
        pytest.raises(RemoteError, match="lists more than") as error,
    ):
        server.search(PacsQuery())
    assert "--dates" in str(error.value)


def test_fetch_refuses_a_reference_without_a_uid(tmp_path: Path) -> None:
    with client("http://127.0.0.1:9") as server, (tmp_path / "x").open("w+b") as handle:
        assert not server.fetch(InstanceReference("1.2", "", ""), handle)
