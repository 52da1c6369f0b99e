"""Configuration: strict, frozen, overridable, never evaluated."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from heart2heart.config import Config
from heart2heart.errors import ConfigError, MissingInputError


class Inner(Config):
    lr: float = Field(0.1, gt=0)
    """Learning rate."""


class Outer(Config):
    steps: int
    """Steps."""
    optimiser: Inner = Inner()
    """Optimiser."""
    names: tuple[str, ...] = ()
    """Names."""


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_load_and_override(tmp_path: Path) -> None:
    path = _file(tmp_path, "steps: 3\n")
    loaded = Outer.load(path, ["optimiser.lr=0.5", "names=[a, b]"])
    assert loaded == Outer(steps=3, optimiser=Inner(lr=0.5), names=("a", "b"))
    with pytest.raises(ValidationError, match="frozen"):
        loaded.__setattr__("steps", 4)
    changed = loaded.with_overrides(["optimiser.lr=0.2", "steps=4"])
    assert (changed, loaded.steps) == (Outer(steps=4, optimiser=Inner(lr=0.2), names=("a", "b")), 3)
    with pytest.raises(ConfigError, match=r"optimiser\.warp: unknown key"):
        loaded.with_overrides(["optimiser.warp=1"])


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("steps: 3\nstep: 4\n", [], "step: unknown key"),
        ("steps: three\n", [], "steps: Input should be a valid integer"),
        ("optimiser: {lr: -1}\nsteps: 1\n", [], "optimiser.lr: Input should be greater than 0"),
        ("steps: 1\n", ["optimiser.momentum=1"], "optimiser.momentum: unknown key"),
        ("steps: 1\n", ["steps"], "not of the form key=value"),
        ("steps: 1\n", ["steps.a=1"], "has no keys of its own"),
        ("steps: 1\n", ["steps=[1"], "not readable YAML"),
        ("- 1\n", [], "must be a mapping"),
        ("a: [\n", [], "not readable YAML"),
        ("optimiser: {lr: .inf}\nsteps: 1\n", [], "finite"),
        ("steps: !!python/object/apply:os.getcwd []\n", [], "not readable YAML"),
    ],
)
def test_refusals(tmp_path: Path, text: str, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("[", r"\[")):
        Outer.load(_file(tmp_path, text), overrides)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no configuration file"):
        Outer.load(tmp_path / "none.yaml")


@given(
    st.integers(),
    st.floats(1e-9, 1e9, allow_nan=False),
    st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["C"])), max_size=3),
)
def test_save_and_load_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, steps: int, lr: float, names: list[str]
) -> None:
    path = tmp_path_factory.mktemp("config") / "c.yaml"
    before = Outer(steps=steps, optimiser=Inner(lr=lr), names=tuple(names))
    before.save(path)
    after = Outer.load(path)
    assert after == before
    assert after.digest() == before.digest()


def test_digest_depends_on_values_only(tmp_path: Path) -> None:
    by_file = Outer.load(_file(tmp_path, "steps: 3\noptimiser: {lr: 0.5}\n"))
    by_override = Outer.load(_file(tmp_path, "optimiser: {}\nsteps: 3\n"), ["optimiser.lr=0.5"])
    assert by_file.digest() == by_override.digest() != Outer(steps=3).digest()


def test_schema_describes_every_key() -> None:
    schema = Outer.model_json_schema()
    assert schema["properties"]["steps"]["description"] == "Steps."
    assert schema["additionalProperties"] is False
