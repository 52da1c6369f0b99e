"""Configuration: strict, frozen, overridable, never evaluated."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from heart2heart import config
from heart2heart.config import Config, config_names, configs_folder, describe_config, find_config
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
        ("steps: 2026-99-99\n", [], "not readable YAML"),
        ("a: &a [1]\nb: &b [*a, *b]\n", [], "not readable YAML"),
        ("steps: !!int ''\n", [], "not readable YAML"),
        ("steps: !!timestamp x\n", [], "not readable YAML"),
        ("[" * 600, [], "not readable YAML"),
        ("steps: 1\n", ["steps=2026-99-99"], "not readable YAML"),
    ],
    ids=lambda value: str(value)[:30].strip(),
)
def test_load_refuses_bad_content(tmp_path: Path, text: str, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("[", r"\[")):
        Outer.load(_file(tmp_path, text), overrides)


@pytest.mark.parametrize(
    "text", ["[" * 60_000, "- " * 60_000, "{a: " * 60_000, "? " * 60_000], ids=["list", "items", "map", "key"]
)
def test_load_yaml_refuses_deep_nesting(text: str) -> None:
    """The loader of libyaml would end the process: its stack overflows."""
    with pytest.raises(config.YAML_ERRORS):
        config.load_yaml(text)


def test_load_yaml_reads_a_small_text_as_a_large_one() -> None:
    for path in sorted(configs_folder().rglob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        assert config.load_yaml(text) == yaml.safe_load(text)
        assert config.load_yaml("#" + "-" * 3000 + "\n" + text) == yaml.safe_load(text)


def test_load_names_a_missing_file(tmp_path: Path) -> None:
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


def test_config_schema_describes_every_key() -> None:
    schema = Outer.model_json_schema()
    assert schema["properties"]["steps"]["description"] == "Steps."
    assert schema["additionalProperties"] is False


def test_config_names_are_all_studies_of_the_repository() -> None:
    root = Path(__file__).parents[1] / "configs"
    files = {path.relative_to(root).as_posix() for path in root.rglob("*.yaml")} - {"heart2heart/folds.yaml"}
    assert {f"{name}.yaml" for name in config_names()} == files
    assert {"demo/labels_only", "demo/fixmatch", "demo/fixmatch_fix_a_step"} <= set(config_names())


@pytest.mark.parametrize("name", ["demo/fixmatch", "demo/fixmatch.yaml", Path("demo/fixmatch")])
def test_find_config_by_name(name: str | Path) -> None:
    assert find_config(name) == configs_folder() / "demo" / "fixmatch.yaml"


def test_find_config_takes_an_existing_file_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "fixmatch.yaml").write_text("steps: 1\n")
    assert find_config("demo/fixmatch.yaml").read_text() == "steps: 1\n"
    assert find_config("demo/fixmatch").parent == configs_folder() / "demo"


@pytest.mark.parametrize("name", ["demo/none", "fixmatch", "../demo/fixmatch", "heart2heart/folds"])
def test_find_config_lists_the_names_when_there_is_none(name: str) -> None:
    with pytest.raises(MissingInputError, match=r"Packaged names: .*demo/labels_only") as caught:
        find_config(name)
    assert caught.value.where == Path(name)


def test_configs_folder_of_a_wheel_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "heart2heart"
    monkeypatch.setattr(config, "files", lambda name: tmp_path / name)
    with pytest.raises(MissingInputError, match="missing from this installation"):
        configs_folder()
    for folder in (tmp_path / "configs", package / "configs"):
        (folder / "demo").mkdir(parents=True)
        assert configs_folder() == folder


def test_describe_config_is_one_clause_of_every_configuration() -> None:
    assert describe_config("demo/fixmatch") == "FixMatch without Fix-A-Step"
    assert describe_config("cifar10/uasd").endswith("Oliver et al. (NeurIPS 2018)")
    assert all(describe_config(name) for name in config_names())
