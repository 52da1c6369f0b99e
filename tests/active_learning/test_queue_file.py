"""A queue from the command line, asked by the page over HTTP: the same clips, in that order, with their reasons."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
from typer.testing import CliRunner

from heart2heart.annotate.assignments import Assignments
from heart2heart.annotate.catalog import ClipCatalog
from heart2heart.annotate.settings import AnnotationSettings
from heart2heart.annotate.suggestions import read_queue, read_required_readings
from heart2heart.cli import app
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_store import LabelStore
from heart2heart.testing.stores import random_store
from tests.annotate.support import Client, clip_answer, served


def test_write_queue_gives_the_page_order_and_reasons(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", sites=["A"], patients=3)
    read, *_ = sorted(store.clips["clip"].to_pylist())
    labels, out = tmp_path / "labels.db", tmp_path / "queue.parquet"
    LabelStore(labels).append([LabelEvent(read, "", "A4C", "before", "", "test")])
    words = ["queue", store.root, "--labels", labels, "--budget", 6, "--by", "random", "--spread", "--out", out]
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    order = pq.read_table(out)["clip"].to_pylist()
    assert order != sorted(order)
    settings = AnnotationSettings.parse({"port": 0, "double": 0.0}, where="test")
    assignments = Assignments(
        LabelStore(labels, timeout=1), ClipCatalog([store.root], settings.modes), settings,
        queue=read_queue(out), readings=read_required_readings(out),
    )  # fmt: skip
    with served(assignments) as server:
        client = Client(server.port).enter("a")
        number = 0
        while clips := client.ask("next-clips", {"without": []})["clips"]:
            assert [details["clip"] for details in clips] == order[number : number + len(clips)]
            for details in clips:
                assert details["reason"] == "drawn at random"
                client.ask("answers", clip_answer(details, "PLAX", number))
                number += 1
    assert [event.clip for event in LabelStore(labels).events()] == [read, *order]
