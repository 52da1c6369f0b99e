"""The top-level package: what it loads, what it offers, and the example of every docstring, run on a small study."""

import ast
import doctest
import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from torch.utils.data import DataLoader

import heart2heart as h2h
from heart2heart import api
from heart2heart.api import evaluate_splits
from heart2heart.errors import ConfigError, UnknownNameError
from tests.datasets import miniature
from tests.golden_hospital import write_hospital
from tests.test_walls import HEAVY, PACKAGE

DOCUMENTED = (
    "heart2heart",
    *(f"heart2heart.api.{path.stem}" for path in sorted((PACKAGE / "api").glob("[a-z]*.py"))),
    "heart2heart.deidentify.clip",
    *(
        f"heart2heart.{package}.{path.stem}"
        for package in ("evaluation", "reporting")
        for path in sorted((PACKAGE / package).glob("[a-z]*.py"))
    ),
    "heart2heart.labels.label_store",
    "heart2heart.schema.metrics",
    "heart2heart.splits.manifest",
    "heart2heart.store.frame_tables",
    "heart2heart.training.run",
)
"""Modules whose examples are run."""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run what a notebook would: DICOM of two hospitals to a store, labels, two splits, runs and scores."""
    folder, before = tmp_path_factory.mktemp("study"), os.umask(0o022)  # a notebook's, not the command line's
    for site, name in (("A", "hospital"), ("B", "hospital_b")):
        write_hospital(folder / name, site)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copy("hospital.csv", "labels.csv")
        shutil.copy("hospital/study0/IM0.dcm", "clip.dcm")
        # A key that never changes: with another one, other patients are in the parts of the split.
        Path("store.key").touch(mode=0o600)
        Path("store.key").write_text("5a" * 32 + "\n", encoding="ascii")
        h2h.ingest_files("hospital", site="A", store="store", size=32, frames="even:2", workers=1)
        h2h.ingest_files("hospital_b", site="B", store="store", size=32, frames="even:2", workers=1)
        h2h.import_labels("labels.csv", "labels.db", "store", key="store.key", vocabulary="tmed2")
        h2h.import_labels("hospital_b.csv", "labels.db", "store", key="store.key", vocabulary="clinical")
        h2h.make_split("store", "labels.db", "split", source=["A"])
        h2h.train("demo/labels_only", "run", stores="store", split="split", overrides={"steps": 4})
        h2h.evaluate("run", "store", "evaluation", replicates=200)
        h2h.make_split("store", "labels.db", "split_b", source=["B"])
        h2h.train("demo/labels_only", "run_b", stores="store", split="split_b", overrides={"steps": 2})
        h2h.evaluate("run_b", "store", "evaluation_b", replicates=200)
        evaluate_splits([f"{name}/predictions.parquet" for name in ("evaluation", "evaluation_b")], replicates=200)
        miniature.unity(folder / "unity")
        miniature.pictures(folder / "pictures")
    os.umask(before)
    return folder


@pytest.fixture
def here(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the study and work in the copy."""
    shutil.copytree(study, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


WRITTEN = ("store", "store.key", "labels.db", "split", "run", "evaluation")
"""What the study writes, each for its owner alone, also where the umask lets others read."""


@pytest.mark.parametrize("name", WRITTEN)
def test_study_is_written_for_its_owner_alone(study: Path, name: str) -> None:
    paths = [study / name, *(study / name).rglob("*")]
    assert {
        path.relative_to(study).as_posix(): oct(path.stat().st_mode) for path in paths if path.stat().st_mode & 0o077
    } == {}


def _modules_after(code: str) -> set[str]:
    line = f"{code}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
    return set(json.loads(out.stdout))


def test_import_loads_nothing_heavy() -> None:
    loaded = _modules_after("import heart2heart")
    assert not {name.split(".")[0] for name in loaded} & {*HEAVY, "numpy", "pyarrow", "pydicom", "pydantic", "scipy"}
    assert {name for name in loaded if name.startswith("heart2heart.")} == set()


def test_open_store_and_load_clip_load_no_torch() -> None:
    loaded = _modules_after("import heart2heart as h2h\nh2h.open_store\nh2h.load_clip\nh2h.train\nh2h.LabelStore")
    assert not {name.split(".")[0] for name in loaded} & HEAVY


def test_stub_names_what_the_package_offers() -> None:
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    named = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert named | {"__version__"} == set(h2h.__all__) == set(dir(h2h))


def test_types_of_the_api_name_everything_it_exports() -> None:
    tree = ast.parse((PACKAGE / "api" / "__init__.py").read_text(encoding="utf-8"))
    (typed,) = [node for node in tree.body if isinstance(node, ast.If)]
    named = {alias.name for node in typed.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert named == set(api.__all__)


@pytest.mark.parametrize("name", [*h2h.__all__, *dir(api)])
def test_getattr_finds_every_name(name: str) -> None:
    assert getattr(h2h if name in h2h.__all__ else api, name) is not None


@pytest.mark.parametrize("module", [h2h, api])
def test_getattr_refuses_other_names(module: ModuleType) -> None:
    with pytest.raises(AttributeError, match="no attribute 'open_sesame'"):
        _ = module.open_sesame


def test_every_function_of_the_package_has_an_example() -> None:
    functions = {name: getattr(h2h, name) for name in h2h.__all__ if callable(getattr(h2h, name))}
    assert [name for name, function in functions.items() if ">>>" not in (function.__doc__ or "")] == ["LabelStore"]


def _is_overload(node: ast.FunctionDef) -> bool:
    return any(isinstance(each, ast.Name) and each.id == "overload" for each in node.decorator_list)


@pytest.mark.parametrize("path", sorted((PACKAGE / "api").glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_every_function_of_the_api_has_an_example(path: Path) -> None:
    functions = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)]
    public = [node for node in functions if not (node.name.startswith("_") or _is_overload(node))]
    assert public
    assert [node.name for node in public if ">>>" not in (ast.get_docstring(node) or "")] == []


@pytest.mark.parametrize("name", DOCUMENTED)
def test_docstring_examples_run(name: str, here: Path) -> None:
    results = doctest.testmod(importlib.import_module(name), verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.failed == 0


def test_store_dataset_feeds_a_data_loader(here: Path) -> None:
    store, split = h2h.open_store(["store"]), h2h.load_split("split")
    dataset: Any = split.dataset(store, "train")
    pixels, targets = next(iter(DataLoader(dataset, batch_size=4)))
    assert (tuple(pixels.shape), str(pixels.dtype)) == ((4, 32, 32), "torch.uint8")
    assert set(targets.tolist()) <= {0, 1, 2, 3}
    views = dict.fromkeys(store.frames["frame"].to_pylist()[:3], "PLAX") | {"unknown": "A4C"}
    assert store.dataset(views).targets.tolist() == [0, 0, 0]
    assert store.dataset(views, classes=("A4C",))[0][1] == -1


def test_to_frame_refuses_another_table(here: Path) -> None:
    store = h2h.open_store("store")
    assert list(store.to_frame("frames").columns) == store.frames.column_names
    unknown: Any = "patients"
    with pytest.raises(UnknownNameError, match="clips"):
        store.to_frame(unknown)


def test_to_frame_names_the_remedy_without_pandas(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match=r"heart2heart\[pandas\]"):
        h2h.open_store("store").to_frame()


def test_probabilities_agree_for_arrays_clips_stores_and_files(here: Path) -> None:
    model = h2h.load_model("run")
    clip = h2h.load_clip("clip.dcm", geometry=model.geometry, frames="even:2")
    by_clip = model.probabilities(clip)
    np.testing.assert_allclose(by_clip.sum(axis=1), 1)
    np.testing.assert_array_equal(by_clip, model.probabilities(clip.pixels))
    (prediction,) = h2h.predict_files(model, "clip.dcm", rule="even:2")
    np.testing.assert_allclose([frame.probabilities for frame in prediction.frames], by_clip)
    store = h2h.open_store("store")
    pixels = store.read(store.frames["row"].to_numpy())
    np.testing.assert_allclose(model.probabilities(store), model.probabilities(pixels))
    assert list(prediction.to_frame().columns) == ["frame", "view", *model.classes]


def _shown(here: Path) -> dict[str, Any]:
    return {
        "store": h2h.open_store("store"),
        "stores": h2h.open_store(["store"]),
        "clip": h2h.load_clip("clip.dcm", size=32),
        "labels": h2h.LabelStore("labels.db"),
        "no labels": h2h.LabelStore("none.db"),
        "split": h2h.load_split("split"),
        "model": h2h.load_model("run"),
        "prediction": h2h.predict_files("run", "clip.dcm")[0],
        "metrics": h2h.read_metrics("evaluation/metrics.json"),
        "report": h2h.report("evaluation", replicates=200),
    }


def test_repr_is_short_and_html_is_whole(here: Path) -> None:
    for name, value in _shown(here).items():
        assert len(repr(value)) < 200, name
        assert "\n" not in repr(value), name
        html = value._repr_html_()
        assert html.count("<div") == html.count("</div"), name
        for secret in ("A-0", "B-0", "1.2.3.65", "rater0", str(here)):  # patients, UIDs, raters, folders
            assert secret not in repr(value) + html, (name, secret)


def test_html_shows_pictures_that_play(here: Path) -> None:
    from base64 import b64decode
    from io import BytesIO

    from PIL import Image

    for value, frames in ((h2h.load_clip("clip.dcm", size=32), 4), (h2h.open_store("store"), 1)):
        data = value._repr_html_().split("data:image/png;base64,")[1].split('"')[0]
        with Image.open(BytesIO(b64decode(data))) as picture:
            assert getattr(picture, "n_frames", 1) == frames


def test_html_escapes_text() -> None:
    from heart2heart.notebook import html_card, html_table

    shown = html_card("<b>", html_table(["<i>"], [["<script>"], [None], [0.12345]]))
    assert "<b>" not in shown
    assert "<script>" not in shown
    assert "0.123" in shown


ALLOWED = {"api", "cli", "config", "csv_files", "errors", "progress", "utils"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "cli").glob("*.py")), ids=lambda path: path.stem)
def test_command_line_calls_api_alone(path: Path) -> None:
    used = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("heart2heart"):
            parts = (node.module or "").split(".")
            used |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names} - {"__version__"}
        elif isinstance(node, ast.Import):
            used |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("heart2heart.")}
    assert used <= ALLOWED
