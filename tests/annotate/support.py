"""A page over a small SYNTHETIC store, and a client of it without a browser."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, TypeVar

from heart2heart.annotate.assignments import Assignments
from heart2heart.annotate.catalog import ClipCatalog
from heart2heart.annotate.page_server import PageServer
from heart2heart.annotate.server import AnnotationServer
from heart2heart.annotate.settings import AnnotationSettings
from heart2heart.annotate.suggestions import Suggestion
from heart2heart.labels.label_store import LabelStore
from heart2heart.testing.stores import random_store

Server = TypeVar("Server", bound=PageServer)
AT = "2020-01-01T00:00:{:02d}.{:03d}Z"


def make_assignments(
    folder: Path,
    *,
    patients: int = 2,
    suggestions: Mapping[str, Suggestion] | None = None,
    queue: Mapping[str, str] | None = None,
    readings: Mapping[str, int] | None = None,
    **settings: Any,
) -> Assignments:
    """Return assignments over a store of `patients` studies of five clips; by default no clip is read twice."""
    root = folder / "store"
    if not root.exists():
        random_store(root, sites=["A"], patients=patients)
    parsed = AnnotationSettings.parse({"port": 0, "double": 0.0} | settings, where="test")
    label_store = LabelStore(folder / "labels.db", timeout=0.2)
    label_store.append([])
    return Assignments(
        label_store, ClipCatalog([root], parsed.modes), parsed, suggestions=suggestions, queue=queue, readings=readings
    )


def clip_answer(details: Mapping[str, Any], word: str, number: int = 0, **more: Any) -> dict[str, Any]:
    """Return the answer to a clip as the page sends it."""
    plain = word in ("unsure", "unusable")
    return {
        "clip": details["clip"], "answer": word if plain else "view", "view": "" if plain else word,
        "at": AT.format(number // 1000, number % 1000), "seconds": 1.5, "frame_hash": details["frame_hash"],
        "seen": details["seen"],
    } | more  # fmt: skip


@dataclass
class Client:
    """One browser's worth of cookies."""

    port: int
    cookie: str = ""
    headers: dict[str, str] = field(default_factory=lambda: {"X-Heart2Heart": "1"})

    def raw(self, path: str, body: Any = None, **headers: str) -> tuple[int, bytes, dict[str, str]]:
        """Send one request; return status, body and headers."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        request_headers = (
            self.headers | {"Cookie": self.cookie} | {name.replace("_", "-"): text for name, text in headers.items()}
        )
        content = None if body is None else json.dumps(body).encode()
        try:
            connection.request("GET" if body is None else "POST", path, content, request_headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), {name.lower(): text for name, text in answer.getheaders()}
        finally:
            connection.close()

    def ask(self, path: str, body: Any = None) -> Any:
        """Return the JSON of an answer that must be no refusal."""
        status, content, _ = self.raw(f"/api/{path}", body)
        assert status == 200, content
        return json.loads(content)

    def refused(self, path: str, body: Any = None) -> tuple[int, str]:
        """Return status and message of a refusal."""
        status, content, _ = self.raw(f"/api/{path}", body)
        assert status != 200
        return status, json.loads(content)["error"]

    def enter(self, secret: str) -> Client:
        """Take the cookie of a rater."""
        status, content, headers = self.raw("/api/sign-in", {"secret": secret})
        assert status == 200, content
        self.cookie = headers["set-cookie"].split(";")[0]
        return self


@contextmanager
def served(assignments: Assignments) -> Iterator[AnnotationServer]:
    """Serve a page in a thread."""
    with running_server(AnnotationServer(assignments)) as server:
        yield server


@contextmanager
def running_server(server: Server) -> Iterator[Server]:
    """Run a server in a thread until the block ends."""
    listening = threading.Event()
    thread = threading.Thread(target=server.run, args=(lambda _: listening.set(),))
    thread.start()
    try:
        assert listening.wait(20)
        yield server
    finally:
        server.stop()
        thread.join(20)
        assert not thread.is_alive()
