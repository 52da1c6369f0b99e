"""Prose: phrases that made sentences hard to read do not come back."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]

PHRASES = tuple((Path(__file__).parent / "hard_phrases.txt").read_text(encoding="utf-8").splitlines())
ENDINGS = {".py", ".md", ".j2", ".html", ".js"}


def _texts() -> list[Path]:
    """Return the files that are in the repository or may be added to it: none that git ignores."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    paths = (ROOT / name for name in names)
    return sorted(path for path in paths if path.suffix in ENDINGS and path.is_file() and path != Path(__file__))


def hard_phrases(text: str) -> list[str]:
    """Return the phrases of `PHRASES` in a text, in whatever case, also across the end of a line."""
    words = re.sub(r"[\s#*`\"']+", " ", text).casefold()
    return [phrase for phrase in PHRASES if re.search(rf"\b{phrase}\b", words)]


def test_hard_phrases_never_occur() -> None:
    lines = [
        f"{path.relative_to(ROOT)}: {phrase}"
        for path in _texts()
        for phrase in hard_phrases(path.read_text(encoding="utf-8"))
    ]
    assert not lines, "say it plainly: technical noun first, active voice:\n" + "\n".join(lines)


def test_hard_phrases_are_found_across_lines() -> None:
    for phrase in PHRASES:
        assert hard_phrases("# " + phrase.replace(" ", "\n# ")) == [phrase]
        assert hard_phrases(f"so {phrase.upper()}.") == [phrase]
    assert hard_phrases("this had; stand around") == []
