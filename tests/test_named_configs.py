"""Configurations by name, in a checkout and as a wheel lays them out."""

from pathlib import Path

import pytest

from heart2heart import named_configs
from heart2heart.errors import MissingInputError
from heart2heart.named_configs import config_names, configs_folder, describe_config, find_config


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
    monkeypatch.setattr(named_configs, "files", lambda name: tmp_path / name)
    with pytest.raises(MissingInputError, match="missing from this installation"):
        configs_folder()
    for folder in (tmp_path / "configs", package / "configs"):
        (folder / "demo").mkdir(parents=True)
        assert configs_folder() == folder


def test_describe_config_is_one_clause_of_every_configuration() -> None:
    assert describe_config("demo/fixmatch") == "FixMatch without Fix-A-Step"
    assert describe_config("cifar10/uasd").endswith("Oliver et al. (NeurIPS 2018)")
    assert all(describe_config(name) for name in config_names())
