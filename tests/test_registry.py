"""Parts by name: built-in, registered, and of plugins, some of which are broken."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from heart2heart.errors import PluginError, UnknownNameError
from heart2heart.registry import Registry

GROUP = "heart2heart.test_sizes"


def make_registry() -> Registry[int]:
    return Registry("size", GROUP, {"small": 1}, "an int", lambda part: isinstance(part, int))


def add_plugin(folder: Path, distribution: str, entry_points: str, module: str = "") -> None:
    """Write a distribution as pip would install it: a module and its metadata."""
    (folder / f"{distribution}.py").write_text(module)
    metadata = folder / f"{distribution}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\n{entry_points}\n")


def test_register_adds_a_part_and_replaces_it() -> None:
    sizes = make_registry()
    assert sizes.register("large", 3) == 3
    sizes.register("large", 4)
    assert dict(sizes) == {"small": 1, "large": 4}
    assert len(sizes) == 2
    assert sizes.register("huge")(9) == 9
    assert "huge" in sizes
    assert "tiny" not in sizes


def test_register_refuses_a_taken_name_and_another_kind() -> None:
    with pytest.raises(PluginError, match="'small' exists already"):
        make_registry().register("small", 2)
    bad: Registry[object] = Registry("size", GROUP, {}, "an int", lambda part: isinstance(part, int))
    with pytest.raises(PluginError, match="is not an int"):
        bad.register("text", "3")


def test_registered_lasts_for_a_block() -> None:
    sizes = make_registry()
    with sizes.registered("large", 3):
        assert sizes["large"] == 3
    with pytest.raises(UnknownNameError, match=r"unknown size 'large'. Known: small"):
        sizes["large"]


def test_registry_imports_a_plugin_when_its_name_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_plugin(tmp_path, "sizes_plugin", "large = sizes_plugin:LARGE", "LARGE = 3")
    monkeypatch.syspath_prepend(str(tmp_path))
    sizes = make_registry()
    assert sizes["small"] == 1
    assert sizes.names() == ["small", "large"]
    assert "sizes_plugin" not in sys.modules
    assert sizes["large"] == 3
    assert "sizes_plugin" in sys.modules
    assert dict(sizes) == {"small": 1, "large": 3}
    assert sizes.problems() == {}
    with pytest.raises(PluginError, match="'large' exists already"):
        sizes.register("large", 4)


def test_registry_names_what_is_broken_and_keeps_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (
        "gone = broken_plugin:GONE\ntext = broken_plugin:TEXT\nsmall = broken_plugin:SMALL\ngood = broken_plugin:GOOD"
    )
    add_plugin(tmp_path, "broken_plugin", lines, "TEXT, SMALL, GOOD = 'x', 7, 5")
    add_plugin(tmp_path, "raising_plugin", "never = raising_plugin:X", "raise OSError('no licence')")
    add_plugin(tmp_path, "twin_plugin", "good = twin_plugin:GOOD\nbest = twin_plugin:GOOD", "GOOD = 6")
    monkeypatch.syspath_prepend(str(tmp_path))
    sizes = make_registry()
    assert dict(sizes) == {"small": 1, "best": 6}
    expected = {
        "gone": r"'gone' cannot be imported \(AttributeError.*:GONE of broken_plugin.*uninstall broken_plugin",
        "text": "'text' is not an int: broken_plugin:TEXT of broken_plugin",
        "small": "'small' has the name of a part of heart2heart",
        "never": r"'never' cannot be imported \(OSError: no licence\)",
        "good": "'good' is defined by several distributions: .* of broken_plugin, twin_plugin",
    }
    problems = sizes.problems()
    assert problems.keys() == expected.keys()
    for name, message in expected.items():
        assert re.search(message, problems[name])
        if name != "small":
            assert name in sizes
            with pytest.raises(PluginError, match=message):
                sizes[name]
    with pytest.raises(UnknownNameError, match="best, gone, good, never, small, text"):
        sizes["other"]
