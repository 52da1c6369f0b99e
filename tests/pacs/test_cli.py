"""The two verbs as a user meets them: from a PACS to a store, and one line for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from heart2heart.api.many_files import predict_many
from heart2heart.ingest.pipeline import ingest
from heart2heart.ingest.settings import IngestSettings
from heart2heart.store.frame_store import FrameStore
from heart2heart.testing.tiny import tiny_store
from heart2heart.training.train import train
from heart2heart.utils import write_text
from tests.command_line import Execute
from tests.pacs.conftest import PASSWORD, USER, Orthanc, free_port


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEART2HEART_DICOMWEB_USER", USER)
    monkeypatch.setenv("HEART2HEART_DICOMWEB_PASSWORD", PASSWORD)


def test_pull_and_ingest_give_the_same_store_as_the_files(orthanc: Orthanc, tmp_path: Path, execute: Execute) -> None:
    landing, clips = tmp_path / "landing", orthanc.files[0].parent
    query = tmp_path / "query.yaml"
    query.write_text("match: {PatientID: TEST-*}\n")
    done = execute("pull", orthanc.url, landing, "--query", query, "--key", tmp_path / "k")
    assert (done.returncode, done.stdout) == (0, "6 instances found: 6 fetched, 0 present before, 0 refused\n")
    assert done.stderr == ""
    settings, digests = IngestSettings(size=32), []
    for index, folder in enumerate((landing, clips)):
        store = tmp_path / f"store{index}"
        assert ingest([folder], site="a", store=store, key=tmp_path / "k", settings=settings).clips == 6
        digests.append(FrameStore.open(store).digest())
    assert digests[0] == digests[1]


def test_pull_reports_mistakes_in_one_line_without_identity(
    orthanc: Orthanc, tmp_path: Path, execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing = tmp_path / "landing"
    down = execute("pull", f"http://127.0.0.1:{free_port()}/dicom-web", landing)
    strange = execute("pull", f"{orthanc.root}/nothing", landing)
    monkeypatch.setenv("HEART2HEART_DICOMWEB_USER", "nobody")
    refused = execute("pull", orthanc.url, landing)
    for done, message in ((refused, "HTTP 401"), (down, "does not answer"), (strange, "HTTP 404")):
        assert done.returncode == 2
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
        assert not any(word in done.stderr for word in (PASSWORD, "nobody", "1.2.3"))
    open_door = execute("receive", landing, "--bind", "0.0.0.0")
    assert open_door.returncode == 2
    assert "anybody on the network could send" in open_door.stderr


def test_predict_many_answers_the_instances_of_a_server(orthanc: Orthanc, tmp_path: Path) -> None:
    tiny = tiny_store(tmp_path / "tiny", parts={"train": 1, "validation": 1})
    run = train(tiny.config(steps=1), tmp_path / "run")
    write_text(tmp_path / "credentials.yaml", f"user: {USER}\npassword: {PASSWORD}\n", mode=0o600)
    out = tmp_path / "answers.jsonl"
    server = {"spool": tmp_path / "spool", "credentials": tmp_path / "credentials.yaml"}
    assert predict_many(run, orthanc.url, out, dicomweb=server).statuses == {"answered": len(orthanc.files)}
    assert predict_many(run, orthanc.url, out, dicomweb=server).earlier == len(orthanc.files)
    text = out.read_text()
    assert not any(secret in text for secret in ("TEST-1", "1.2.3.9", str(tmp_path)))
