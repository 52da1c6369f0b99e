"""Many raters at once, and a server that is killed in the middle: no answer that was told as saved is lost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

import pytest

from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_store import LabelStore
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.testing.stores import random_store
from tests.annotate.support import Client, clip_answer, make_assignments, served

RATERS = 20


def _label_all(port: int, rater: str, words: tuple[str, ...] = SCORED_VIEWS) -> dict[str, str]:
    """Label until nothing is left; return the word by event that the server told as saved."""
    client = Client(port).enter(rater)
    saved: dict[str, str] = {}
    while clips := client.ask("next-clips", {"count": 4})["clips"]:
        for details in clips:
            word = words[len(saved) % len(words)]
            answer = clip_answer(details, word, len(saved))
            status, content, _ = client.raw("/api/answers", answer)
            while status == 503:  # another program locked the label store for long: sent again, as the page does
                status, content, _ = client.raw("/api/answers", answer)
            assert status in (200, 409), content
            if status == 200:
                saved[details["clip"]] = word
    return saved


@pytest.mark.parametrize("double", [0.0, 1.0])
def test_curate_loses_nothing_with_twenty_raters(tmp_path: Path, double: float) -> None:
    assignments = make_assignments(tmp_path, patients=10, double=double)
    with served(assignments) as server, ThreadPoolExecutor(RATERS) as pool:
        saved_by_rater = list(pool.map(lambda index: _label_all(server.port, f"rater {index}"), range(RATERS)))
    kept = {(event.rater, event.clip): event.view for event in assignments.label_store.events()}
    assert kept == {
        (f"rater {index}", clip): word for index, saved in enumerate(saved_by_rater) for clip, word in saved.items()
    }
    required = 2 if double else 1
    assert len(assignments.label_store.events()) == required * len(assignments.clip_order())
    assert {len(assignments.state(clip).readings) for clip in assignments.clip_order()} == {required}


@contextmanager
def running(folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """Serve `folder/store` by the command line until the block ends; then kill it."""
    command = [sys.executable, "-m", "heart2heart", "curate", str(folder / "store"), "--labels",
               str(folder / "labels.db"), "--port", str(port), "--double", "0"]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        if line.startswith("A stale lock of this label store was replaced: "):  # of a server that was killed
            line = process.stderr.readline()
        assert line == f"Label at http://127.0.0.1:{port}/\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def free_port() -> int:
    """Return a port that nobody listens at just now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_curate_loses_nothing_when_killed_while_it_saves(tmp_path: Path) -> None:
    random_store(tmp_path / "store", sites=["A"], patients=12, frames_each=1)
    port, saved, sent = free_port(), [], []

    def label(process: subprocess.Popen[str], rater: str) -> None:
        client = Client(port).enter(rater)
        while True:
            for details in client.ask("next-clips", {"count": 10})["clips"]:
                answer = clip_answer(details, "A4C", int(rater))
                sent.append((rater, answer))
                client.ask("answers", answer)
                saved.append(answer["clip"])
                if len(saved) >= 15:
                    os.kill(process.pid, signal.SIGKILL)

    def until_killed(process: subprocess.Popen[str], rater: str) -> None:
        with pytest.raises((OSError, HTTPException, AssertionError)):
            label(process, rater)

    with running(tmp_path, port) as process, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda rater: until_killed(process, rater), map(str, range(4))))
    assert len(saved) >= 15
    kept = [event.clip for event in LabelStore(tmp_path / "labels.db").events()]
    assert set(saved) <= set(kept)
    assert len(kept) == len(set(kept))
    with running(tmp_path, port) as process:
        clients = {rater: Client(port).enter(rater) for rater in map(str, range(4))}
        for rater, answer in sent:  # all again, as the page does with those of which no answer came
            assert clients[rater].ask("answers", answer)["now"]["own_answer"] == "A4C"
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM)
    events = LabelStore(tmp_path / "labels.db").events()
    assert sorted(event.clip for event in events) == sorted(answer["clip"] for _, answer in sent)


def test_curate_reads_a_label_store_that_grows(tmp_path: Path) -> None:
    """An import into the same label store while raters label: each sees the other's events, none is lost."""
    assignments = make_assignments(tmp_path, patients=4)
    stop = threading.Event()

    def imports() -> int:
        number = 0
        while not stop.is_set():
            number += LabelStore(assignments.label_store.path).append(
                [LabelEvent("other", "", "PLAX", "csv", str(number), "csv:x")]
            )
            time.sleep(0.005)
        return number

    with served(assignments) as server, ThreadPoolExecutor(1) as pool:
        imported = pool.submit(imports)
        saved = _label_all(server.port, "a")
        stop.set()
        assert imported.result() > 0
    events = assignments.label_store.events()
    assert sum(event.rater == "csv" for event in events) == imported.result()
    assert {event.clip: event.view for event in events if event.rater == "a"} == saved
