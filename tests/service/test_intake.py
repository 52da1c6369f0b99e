"""What arrives while other threads finish clips."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from heart2heart.service.intake import Intake
from heart2heart.service.queue import AnsweredRow
from tests.prediction.samples import answer
from tests.service.support import make_clip, open_service, settings_of


class Folder:
    """A folder that starts a thread when it is listed, and lists what was there before, half a second later."""

    def __init__(self, path: Path, thread: threading.Thread) -> None:
        self._path, self._thread = path, thread

    def iterdir(self) -> Iterator[Path]:
        """List the files."""
        files = list(self._path.iterdir())
        self._thread.start()
        self._thread.join(0.5)
        return iter(files)


def test_scan_takes_no_file_for_another_copy_that_is_removed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_service(settings_of(tmp_path / "service")) as service:
        intake: Intake = service.intake
        service.spool.store("1.2.1", make_clip(tmp_path, 1).read_bytes())
        assert intake.scan() == 1
        (name,) = service.queue.waiting(10)
        content = answer(name).model_copy(update={"sha256": "0" * 64})
        row = AnsweredRow(name, content.sha256, None, None, {"one": content}, None, needs_report=False)
        service.queue.record([row])
        remover = threading.Thread(target=intake.remove, args=([name],))
        folder = service.spool.folder
        monkeypatch.setattr(service.spool, "folder", Folder(folder, remover))
        assert intake.scan() == 0  # the remover waits for its end: else the file is gone while it is compared
        monkeypatch.setattr(service.spool, "folder", folder)
        remover.join(10)
        assert not remover.is_alive()
        assert (list(folder.iterdir()), service.queue.counts()) == ([], {})
        assert intake.scan() == 0


def test_scan_finds_every_clip_while_others_are_finished(tmp_path: Path) -> None:
    contents = [make_clip(tmp_path, index).read_bytes() for index in range(40)]
    with open_service(settings_of(tmp_path / "service")) as service:
        stop, errors = threading.Event(), list[BaseException]()

        def scan() -> None:
            try:
                while not stop.is_set():
                    service.intake.scan()
            except Exception as error:  # noqa: BLE001
                errors.append(error)

        scanner = threading.Thread(target=scan)
        scanner.start()
        try:
            for index, content in enumerate(contents):
                service.spool.store(f"1.2.{index}", content)
                for name in service.queue.waiting(4):
                    clip_answer = answer(name).model_copy(update={"sha256": "0" * 64})
                    service.queue.record(
                        [
                            AnsweredRow(
                                name, clip_answer.sha256, None, None, {"one": clip_answer}, None, needs_report=False
                            )
                        ]
                    )
                    service.intake.remove([name])
        finally:
            stop.set()
            scanner.join(30)
        assert errors == []
        service.intake.scan()
        states = service.queue.states()
        assert len(states) == len(contents)
        assert len(list(service.spool.folder.iterdir())) == len(service.queue.waiting(100))
        assert service.queue.counts() == {}
