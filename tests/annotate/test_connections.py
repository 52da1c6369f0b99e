"""Requests that never end, and too many connections: the page stays open for raters."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from heart2heart.annotate.assignments import Assignments
from heart2heart.annotate.connections import MAX_CONNECTIONS
from heart2heart.annotate.server import AnnotationServer
from tests.annotate.support import Client, clip_answer, make_assignments, served

HALF = b"POST /api/answers HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
BODY = HALF + b"X-Heart2Heart: 1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"


@pytest.fixture(scope="module")
def assignments(tmp_path_factory: pytest.TempPathFactory) -> Assignments:
    return make_assignments(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def port(assignments: Assignments) -> Iterator[int]:
    with served(assignments) as server:
        yield server.port


HALF_SENT = 1050
"""Requests that once kept every rater out."""


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let the test hold more open connections than many systems allow at first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_connections_of_requests_that_never_end_keep_no_rater_out(port: int) -> None:
    assert HALF_SENT > 2 * MAX_CONNECTIONS
    with ExitStack() as stack:
        silent = []
        for index in range(HALF_SENT):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            connection.sendall((b"", HALF % port, BODY % port)[index % 3])
            silent.append(connection)
        assert Client(port).enter("a").ask("next-clips", {"count": 1})["clips"]
        with suppress(ConnectionResetError):
            assert silent[0].recv(1) == b""


@pytest.mark.parametrize("sent", [b"", HALF, BODY])
def test_timed_protocol_closes_a_request_that_does_not_end(
    tmp_path: Path, sent: bytes, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assignments = make_assignments(tmp_path)  # of its own: a label store has one page at a time
    monkeypatch.setattr(AnnotationServer, "request_seconds", 0.3)
    with (
        served(assignments) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection,
    ):
        if sent:
            connection.sendall(sent % server.port)
        with suppress(ConnectionResetError):
            assert connection.recv(1) == b""
        assert Client(server.port).enter("a").ask("next-clips", {"count": 1})["clips"]
    assert "Traceback" not in capfd.readouterr().err


def test_server_refuses_headers_that_are_too_long(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(HALF % port + b"X-Long: " + b"x" * 2**16)
        assert connection.recv(100).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("body", ["[" * 60_000, '{"a":' * 20_000, "9" * 10_000])
def test_server_refuses_a_deep_body_before_sign_in_without_a_traceback(
    port: int, body: str, capfd: pytest.CaptureFixture[str]
) -> None:
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    head = f"POST /api/sign-in HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Heart2Heart: 1\r\nConnection: close\r\n"
    with connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        status = connection.recv(1000)
    assert status.startswith(b"HTTP/1.1 400")
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "change",
    [
        {"at": "9999-99-99T00:00:00.000Z"}, {"at": "2026-02-30T00:00:00.000Z"}, {"at": "0001-01-01T00:00:00.000Z"},
        {"seconds": 1e300}, {"seconds": float("inf")}, {"seconds": float("nan")}, {"seen": 10**300},
        {"confidence": 1e300},
    ],
)  # fmt: skip
def test_server_stores_no_impossible_date_or_number(
    port: int, assignments: Assignments, change: dict[str, object]
) -> None:
    client = Client(port).enter("a")
    (details,) = client.ask("next-clips", {"count": 1})["clips"]
    before = len(assignments.label_store.events())
    status, _, _ = client.raw("/api/answers", clip_answer(details, "A4C") | change)
    assert status == 400
    assert len(assignments.label_store.events()) == before


def test_server_keeps_labels_that_their_owner_alone_can_read(tmp_path: Path) -> None:
    label_store = make_assignments(tmp_path).label_store
    assert label_store.path.stat().st_mode & 0o777 == 0o600
