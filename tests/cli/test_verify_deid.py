"""The verdict is printed first, and the exit code matches it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from heart2heart.cli import main

Output = pytest.CaptureFixture[str]


@pytest.mark.parametrize(("content", "verdict", "code"), [("nothing", "clean", 0), ("of Zqxplant", "found", 3)])
def test_verify_deid_ends_with_the_code_of_its_verdict(
    content: str, verdict: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    (tmp_path / "planted.csv").write_text("kind,value\nname,ZQXPLANT^VORNAME\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.log").write_text(content)
    _run(tmp_path, monkeypatch, code)
    assert capsys.readouterr().out.startswith(f"{verdict}: ")


def test_verify_deid_is_incomplete_while_pictures_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    (tmp_path / "planted.csv").write_text("kind,value\nname,ZQXPLANT^VORNAME\n")
    (tmp_path / "out").mkdir()
    np.save(tmp_path / "out" / "frames.npy", np.zeros((2, 32, 32), np.uint8))
    _run(tmp_path, monkeypatch, 4)
    output = capsys.readouterr().out
    assert output.startswith("incomplete: ")
    assert "needs --ocr" in output


def _run(folder: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    words = ["heart2heart", "verify-deid", str(folder / "out"), "--planted", str(folder / "planted.csv")]
    monkeypatch.setattr("sys.argv", words)
    monkeypatch.setattr("sys.excepthook", lambda *_: None)
    with pytest.raises(SystemExit) as stop:
        main()
    assert (stop.value.code or 0) == code
