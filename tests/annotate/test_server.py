"""The page's addresses over a real connection: what they give, and what they refuse."""

import json
import re
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from heart2heart.annotate.assignments import Assignments
from heart2heart.annotate.auth import Raters
from heart2heart.annotate.middleware import MAX_BODY_BYTES, SECURITY_HEADERS
from heart2heart.annotate.server import AnnotationServer
from heart2heart.annotate.settings import AnnotationSettings
from heart2heart.annotate.suggestions import Suggestion
from heart2heart.errors import ConfigError, LabelError, RemoteError
from heart2heart.schema.labels import SCHEMA_VERSION
from heart2heart.testing.stores import SIZE, random_store
from tests.annotate.support import AT, Client, clip_answer, make_assignments, served


@pytest.fixture(scope="module")
def assignments(tmp_path_factory: pytest.TempPathFactory) -> Assignments:
    folder = tmp_path_factory.mktemp("page")
    suggestions = {clip: Suggestion("A4C", 0.9, "r") for clip in make_assignments(folder).clip_order()}
    return make_assignments(folder, suggestions=suggestions)


@pytest.fixture(scope="module")
def port(assignments: Assignments) -> Iterator[int]:
    with served(assignments) as server:
        yield server.port


def test_server_serves_the_page_and_its_files(port: int) -> None:
    status, page, headers = Client(port).raw("/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    for name in re.findall(r'(?:src|href)="([^"]+)"', page.decode()):
        status, content, _ = Client(port).raw(f"/{name}")
        assert (status, bool(content)) == (200, True), name
    assert "http" not in page.decode().replace("http-equiv", "")
    for name in SECURITY_HEADERS:
        assert headers[name.lower()] == SECURITY_HEADERS[name]
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    "path", ["/../app.py", "/app.py", "/static/main.js", "/%2e%2e/serve.py", "/api/clips/..%2f..%2fetc/x"]
)
def test_server_refuses_paths_of_a_client(port: int, path: str) -> None:
    status, content, _ = Client(port).enter("a").raw(path)
    assert status == 404
    assert b"import" not in content


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example:80"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({}, 200),
    ],
)
def test_server_refuses_requests_of_other_pages(port: int, headers: dict[str, str], status: int) -> None:
    client = Client(port).enter("a")
    environment = {name.replace("-", "_"): text for name, text in headers.items()}
    actual, _, reply_headers = client.raw("/api/next-clips", {}, **environment)
    assert actual == status
    assert not [name for name in reply_headers if name.startswith("access-control")]


def test_server_needs_the_header_that_forms_cannot_send(port: int) -> None:
    client = Client(port).enter("a")
    client.headers = {}
    assert client.raw("/api/next-clips", {})[0] == 403
    assert client.raw("/api/session")[0] == 403
    assert client.raw("/")[0] == 200


def test_server_refuses_large_and_broken_requests(port: int) -> None:
    client = Client(port).enter("a")
    assert client.raw("/api/next-clips", {"without": ["x" * MAX_BODY_BYTES]})[0] == 413
    assert client.refused("next-clips", [1])[0] == 400
    assert client.refused("next-clips", {"count": 10**9})[0] == 400
    assert client.refused("next-clips", {"path": "/etc"})[0] == 400
    status, content, _ = client.raw("/api/answers", {"clip": "x"})
    assert (status, b"etc" in content) == (400, False)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        host = f"Host: 127.0.0.1:{port}"
        head = f"POST /api/next-clips HTTP/1.1\r\n{host}\r\nX-Heart2Heart: 1\r\nCookie: {client.cookie}\r\n"
        raw.sendall(f"{head}Content-Length: 3\r\n\r\n{{'a".encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 400")


def test_server_sends_frames_and_thumbnails_of_the_store(port: int, assignments: Assignments) -> None:
    client = Client(port).enter("a")
    details = client.ask("next-clips", {"count": 1})["clips"][0]
    name = details["clip"]
    clip = assignments.catalog.find(name)
    _, raw, headers = client.raw(f"/api/clips/{name}/frames")
    assert headers["content-type"] == "application/octet-stream"
    assert np.array_equal(np.frombuffer(raw, np.uint8).reshape(-1, SIZE, SIZE), assignments.catalog.pixels(clip))
    assert details["frames"] == len(clip.rows)
    sheet = client.ask(f"clips/{name}/sheet")["clips"]
    assert [row["clip"] for row in sheet] == assignments.catalog.studies[clip.study]
    _, thumbs, _ = client.raw(f"/api/clips/{name}/thumbs")
    assert len(thumbs) == len(sheet) * SIZE * SIZE
    _, strips, _ = client.raw("/api/grid-frames", {"clips": [name, sheet[0]["clip"]]})
    assert len(strips) == 2 * 6 * SIZE * SIZE
    assert client.refused("grid-frames", {"clips": [name] * 31})[0] == 400
    assert client.refused("clips/unknown/frames")[0] == 404


def test_save_label_conflict_and_retraction(port: int, assignments: Assignments) -> None:
    one, two = Client(port).enter("one"), Client(port).enter("two")
    details = one.ask("next-clips", {"count": 1})["clips"][0]
    seen = two.ask(f"clips/{details['clip']}")
    saved = one.ask("answers", clip_answer(details, "A4C", 1))
    assert (saved["now"]["own_answer"], saved["now"]["seen"] > details["seen"]) == ("A4C", True)
    status, content, _ = two.raw("/api/answers", clip_answer(seen, "A2C", 2))
    assert status == 409
    assert json.loads(content)["now"]["answers"] == ["A4C"]
    back = {"answers": [{"clip": details["clip"], "event": saved["event"]}], "at": AT.format(3, 0)}
    assert two.refused("retractions", back)[0] == 400
    one.ask("retractions", back)
    assert one.ask(f"clips/{details['clip']}")["own_answer"] is None
    assert [event.kind for event in assignments.label_store.events() if event.clip == details["clip"]] == [
        "label",
        "retraction",
    ]


def test_grid_progress_and_agreement(port: int) -> None:
    client = Client(port).enter("grid")
    before = client.ask("grid")["counts"]["A4C"]
    grid = client.ask("grid", {"view": "A4C"})
    assert grid["clips"]
    client.ask("answers", clip_answer(grid["clips"][0], "A4C", 50, shown=True))
    assert client.ask("grid")["counts"]["A4C"] == before - 1
    assert client.ask("progress")["tables"][0]["title"] == "All clips"
    assert client.ask("agreement")["tables"][0]["columns"] == ["rater", "rater", "both read", "same", "share"]


def test_save_label_with_a_locked_or_missing_label_store(tmp_path: Path) -> None:
    assignments = make_assignments(tmp_path)
    with served(assignments) as server:
        client = Client(server.port).enter("a")
        details = client.ask("next-clips", {"count": 1})["clips"][0]
        other = sqlite3.connect(assignments.label_store.path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        status, error = client.refused("answers", clip_answer(details, "A4C"))
        assert (status, "another program locks this label store" in error) == (503, True)
        assert str(tmp_path) not in error
        other.execute("ROLLBACK")
        other.execute("PRAGMA user_version = 99")
        other.close()
        status, error = client.refused("answers", clip_answer(details, "A4C"))
        assert (status, "newer version" in error) == (503, True)
        with sqlite3.connect(assignments.label_store.path) as connection:
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.close()
        assert client.ask("answers", clip_answer(details, "A4C"))["now"]["own_answer"] == "A4C"
    with sqlite3.connect(assignments.label_store.path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(LabelError, match="newer version"):
        AnnotationServer(assignments)


def test_server_with_a_changed_store_and_a_missing_clip(tmp_path: Path) -> None:
    assignments = make_assignments(tmp_path)
    root = tmp_path / "store"
    with served(assignments) as server:
        client = Client(server.port).enter("a")
        clips = client.ask("next-clips", {"count": 10})["clips"]
        shutil.rmtree(root)
        assert client.refused("answers", clip_answer(clips[0], "A4C"))[0] == 410
        assert client.refused(f"clips/{clips[0]['clip']}/frames")[0] == 410
        random_store(root, sites=["A"], patients=1, seed=1)
        status, error = client.refused("answers", clip_answer(clips[0], "A4C"))
        assert (status, "frames of this clip changed" in error) == (409, True)
        status, error = client.refused("answers", clip_answer(clips[9], "A4C"))
        assert (status, "no longer" in error) == (404, True)
        now = client.ask(f"clips/{clips[0]['clip']}")
        saved = client.ask("answers", clip_answer(now, "A4C"))
        shutil.rmtree(root)
        random_store(root, sites=["B"], patients=1)
        again = client.ask("answers", clip_answer(now, "A4C"))  # because the first reply did not arrive
        assert again == {"event": saved["event"], "now": None}
        back = {"answers": [{"clip": now["clip"], "event": saved["event"]}], "at": AT.format(3, 0)}
        client.ask("retractions", back)
    assert [event.kind for event in assignments.label_store.events()] == ["label", "retraction"]
    assert {event.frame_hash for event in assignments.label_store.events()} == {now["frame_hash"]}


def test_server_with_tokens(tmp_path: Path) -> None:
    file = tmp_path / "raters.json"
    raters, reader = Raters().with_added("reader", adjudicator=False, days=9, today=date.today())
    raters, judge = raters.with_added("judge", adjudicator=True, days=9, today=date.today())
    raters, old = raters.with_added("old", adjudicator=True, days=-1, today=date.today())
    raters.write(file)
    with served(make_assignments(tmp_path, raters=file)) as server:
        client = Client(server.port)
        assert client.ask("session") == {"sign_in": "Sign in with your token", "credential": "token"}
        assert client.refused("next-clips", {}) == (401, "Sign in with your token")
        assert client.refused("sign-in", {"secret": "forged"})[0] == 401
        assert "expired" in client.refused("sign-in", {"secret": old})[1]
        client.cookie = f"heart2heart_curate_{server.port}=forged"
        assert client.refused("next-clips", {})[0] == 401
        status, _, headers = client.raw("/api/sign-in", {"secret": reader})
        assert status == 200
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(re.split("; ?", headers["set-cookie"]))
        client.enter(reader)
        assert client.ask("session")["name"] == "reader"
        refusal = "this page is for adjudicators, because it shows the answers of other readers"
        for page in ("review", "agreement"):
            assert client.refused(page) == (400, refusal)
        tables = client.ask("progress")["tables"]
        assert "Disagreements to decide" not in [row[0] for row in tables[0]["rows"]]
        assert "disagreements" not in tables[1]["columns"]
        details = client.ask("next-clips", {"count": 1})["clips"][0]
        assert client.refused("answers", clip_answer(details, "A4C", kind="adjudication"))[0] == 400
        assert Client(server.port).enter(judge).ask("review") == {"clips": []}
        raters.without("reader").write(file)
        assert client.refused("answers", clip_answer(details, "A4C"))[0] == 401


def test_server_refuses_an_address_in_use_and_a_bad_certificate(tmp_path: Path) -> None:
    assignments = make_assignments(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        busy = AnnotationSettings(port=listener.getsockname()[1])
        with pytest.raises(RemoteError, match="cannot listen at port"):
            AnnotationServer(Assignments(assignments.label_store, assignments.catalog, busy))
    (tmp_path / "c.pem").write_text("no certificate")
    wrong = AnnotationSettings(port=0, certificate=tmp_path / "c.pem", private_key=tmp_path / "c.pem")
    with pytest.raises(ConfigError, match="certificate or its key cannot be used"):
        AnnotationServer(Assignments(assignments.label_store, assignments.catalog, wrong))


def test_server_counts_no_clip_as_left_whose_answer_is_on_its_way(tmp_path: Path) -> None:
    with served(make_assignments(tmp_path)) as server:
        client = Client(server.port).enter("a")
        reply = client.ask("next-clips", {"count": 2})
        first, second = (details["clip"] for details in reply["clips"])
        assert client.ask("next-clips", {"unsaved": [first]})["left"] == reply["left"] - 1
        client.ask("answers", clip_answer(client.ask(f"clips/{first}"), "A4C"))
        assert client.ask("next-clips", {"unsaved": [first]})["left"] == reply["left"] - 1
        assert client.ask("next-clips", {"unsaved": [first, second]})["left"] == reply["left"] - 2
