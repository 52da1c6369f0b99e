"""Components of the job, called as NVIDIA FLARE calls them: a failure leaves a site without its message."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.federated.sites import write_site
from tests.federated.test_job import require_nvflare


@pytest.fixture
def parts() -> Any:
    require_nvflare()
    from nvflare.apis.fl_constant import ReturnCode
    from nvflare.apis.fl_context import FLContext
    from nvflare.apis.signal import Signal

    from heart2heart.federated import components

    return SimpleNamespace(components=components, context=FLContext(), signal=Signal(), code=ReturnCode)


def test_execute_sends_counts_and_nothing_else(parts: Any, tmp_path: Path) -> None:
    executor = parts.components.CountsExecutor(str(write_site(tmp_path, "A", 9)))
    reply = executor.execute(parts.components.TASK, {}, parts.context, parts.signal)
    assert [key for key in reply if not key.startswith("__")] == ["counts"]
    assert "p1" not in reply["counts"]
    other = executor.execute("send_rows", {}, parts.context, parts.signal)
    assert other.get_return_code() == parts.code.TASK_UNKNOWN


def test_execute_sends_no_message_of_a_failure(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = write_site(tmp_path, "A", 9)
    (tmp_path / "A.csv").write_text(
        (tmp_path / "A.csv").read_text().replace("p1,", "SMITH^JOHN,") + "x,SMITH^JOHN,A,c,1,0\n"
    )
    reply = parts.components.CountsExecutor(str(settings)).execute(
        parts.components.TASK, {}, parts.context, parts.signal
    )
    assert reply.get_return_code() == parts.code.EXECUTION_EXCEPTION
    assert "SMITH" not in f"{dict(reply)}{caplog.text}"
    assert "EvaluationError" in caplog.text


def test_final_process_pools_only_when_every_site_answered(parts: Any, tmp_path: Path) -> None:
    processor = parts.components.CountsProcessor(str(tmp_path / "out"), 2)
    for site, period in (("A", 9), ("B", 8)):
        assert not processor.final_process(parts.context)
        executor = parts.components.CountsExecutor(str(write_site(tmp_path, site, period)))
        reply = executor.execute(parts.components.TASK, {}, parts.context, parts.signal)
        client = SimpleNamespace(name=site)
        assert processor.process_client_response(client, parts.components.TASK, reply, parts.context)
        assert not processor.process_client_response(client, parts.components.TASK, {}, parts.context)
    assert processor.final_process(parts.context)
    assert (tmp_path / "out" / "report.html").exists()
    processor.received["B"] = processor.received["A"]
    assert not processor.final_process(parts.context)
