"""Vectors of frames, clips and studies: the means, the file, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor, nn

from heart2heart.errors import ConfigError, MissingInputError, RunError, UnknownNameError
from heart2heart.representation.embed import embed_frames
from heart2heart.representation.loaded_encoder import LoadedEncoder
from heart2heart.representation.pretrain import pretrain
from heart2heart.schema.embeddings import read_embeddings
from heart2heart.store.frame_store import FrameStore, FrameStores
from heart2heart.store.geometry import Geometry
from heart2heart.testing.pretraining_checks import tiny_pretraining
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.networks.options import in_modules
from heart2heart.training.train import train
from heart2heart.training.validation import infer

LEVELS = ("frame", "clip", "study")


@pytest.fixture(scope="module")
def encoder(tiny: TinyStore, tmp_path_factory: pytest.TempPathFactory) -> LoadedEncoder:
    folder = tmp_path_factory.mktemp("embed") / "pretrained"
    pretrain(tiny_pretraining(tiny, steps=2), folder)
    return LoadedEncoder.load(folder)


@pytest.fixture(scope="module")
def file(encoder: LoadedEncoder, tiny: TinyStore) -> Path:
    out = encoder.path.parent / "vectors.parquet"
    counts = embed_frames(encoder, FrameStores.open([tiny.store]), out, levels=LEVELS)
    assert counts == {"frame": 299, "clip": 115, "study": 23}
    return out


def test_embed_frames_writes_the_vector_of_every_frame(encoder: LoadedEncoder, file: Path, tiny: TinyStore) -> None:
    frames = FrameStores.open([tiny.store])
    read = read_embeddings(file, "frame")
    rows = dict(zip(*(frames.frames[name].to_pylist() for name in ("frame", "row")), strict=True))
    for name in read.names[::60]:
        pixels = frames.read(np.array([rows[name]]))
        np.testing.assert_allclose(read.vectors[read.position(name)], encoder.embed(pixels)[0], atol=1e-5)
    assert (read.facts.encoder, read.facts.dimensions) == ("pretrained", 32)


def test_embed_frames_means_frames_to_clips_and_clips_to_studies(file: Path) -> None:
    frames, clips, studies = (read_embeddings(file, level) for level in LEVELS)
    of_clip, of_study = frames.column("clip"), clips.column("study")
    for row in (0, 50, 114):
        mean = frames.vectors[of_clip == clips.names[row]].mean(0)
        np.testing.assert_allclose(clips.vectors[row], mean, atol=1e-6)
        assert clips.table["frames"][row].as_py() == (of_clip == clips.names[row]).sum()
    for row in (0, 22):
        mean = clips.vectors[of_study == studies.names[row]].mean(0)
        np.testing.assert_allclose(studies.vectors[row], mean, atol=1e-6)
        assert studies.table["frames"][row].as_py() == 13  # four clips of three frames, one of one
        assert studies.table["clip"][row].as_py() is None


def test_loaded_encoder_of_a_run_gives_the_inputs_of_its_classifier(tiny: TinyStore, tmp_path: Path) -> None:
    run = train(tiny.config(steps=2), tmp_path / "run")
    pixels = FrameStores.open([tiny.store]).read(np.arange(5))
    inputs: list[Tensor] = []
    (last,) = [layer for layer in run.network.modules() if isinstance(layer, nn.Linear)]
    last.register_forward_hook(lambda layer, arguments, out: inputs.append(arguments[0]))
    infer(run.network, torch.from_numpy(pixels))
    np.testing.assert_allclose(LoadedEncoder.load(run.path).embed(pixels), inputs[0].numpy(), atol=1e-5)


def test_load_takes_the_weights_of_the_pretraining(encoder: LoadedEncoder) -> None:
    saved = torch.load(encoder.path / "checkpoints" / "best.pt", weights_only=True)["weights"]
    state = encoder.encoder.network.state_dict()
    assert set(saved) == {name for name in state if not in_modules(name, encoder.encoder.head)}
    assert all(torch.equal(state[name], value) for name, value in saved.items())


def test_embed_in_bfloat16_is_nearly_the_same(encoder: LoadedEncoder, tiny: TinyStore, tmp_path: Path) -> None:
    pixels = FrameStores.open([tiny.store]).read(np.arange(40))
    fast = LoadedEncoder.load(encoder.path, precision="bfloat16").embed(pixels)
    exact = encoder.embed(pixels)
    assert fast.dtype == np.float32
    assert not np.array_equal(fast, exact)
    assert float(np.abs(fast - exact).max()) < 0.03 * float(np.abs(exact).max())


def test_load_refuses_a_layer_that_does_not_exist_and_a_missing_run(encoder: LoadedEncoder, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no layer 'block9'"):
        LoadedEncoder.load(encoder.path, layer="block9")
    with pytest.raises(MissingInputError, match="training run"):
        LoadedEncoder.load(tmp_path)


def test_embed_frames_refuses_what_it_cannot_embed(encoder: LoadedEncoder, tiny: TinyStore, tmp_path: Path) -> None:
    frames = FrameStores.open([tiny.store])
    with pytest.raises(ConfigError, match="no level is called 'patient'"):
        embed_frames(encoder, frames, tmp_path / "v.parquet", levels=["patient"])
    FrameStore.create(tmp_path / "other", Geometry(size=32))
    with pytest.raises(RunError, match="this encoder takes frames of"):
        embed_frames(encoder, FrameStores.open([tmp_path / "other"]), tmp_path / "v.parquet")
    assert not (tmp_path / "v.parquet").exists()


def test_read_embeddings_refuses_other_files(file: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no file of embeddings"):
        read_embeddings(tmp_path / "none.parquet")
    pq.write_table(pa.table({"vector": [1.0]}), tmp_path / "other.parquet")
    with pytest.raises(RunError, match="no file of embeddings"):
        read_embeddings(tmp_path / "other.parquet")
    table = pq.read_table(file)
    pq.write_table(table.drop(["site"]), tmp_path / "columns.parquet")
    with pytest.raises(RunError, match="other columns"):
        read_embeddings(tmp_path / "columns.parquet")
    pq.write_table(table.slice(0, 2), tmp_path / "frames.parquet")
    with pytest.raises(MissingInputError, match="no vector of a study"):
        read_embeddings(tmp_path / "frames.parquet", "study")
    flat = np.full(2 * 32, np.nan, np.float32)
    broken = table.slice(0, 2).set_column(
        table.schema.get_field_index("vector"), table.schema.field("vector"),
        pa.FixedSizeListArray.from_arrays(pa.array(flat), 32),
    )  # fmt: skip
    pq.write_table(broken, tmp_path / "nan.parquet")
    with pytest.raises(RunError, match="not finite"):
        read_embeddings(tmp_path / "nan.parquet", "frame")
    (tmp_path / "cut.parquet").write_bytes(file.read_bytes()[:500])
    with pytest.raises(RunError, match="no file of embeddings"):
        read_embeddings(tmp_path / "cut.parquet")


def test_position_names_what_is_missing(file: Path) -> None:
    with pytest.raises(UnknownNameError, match="no clip 'c9' is among these 115 embeddings"):
        read_embeddings(file).position("c9")
