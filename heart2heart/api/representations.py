"""Representations: pretraining, vectors of frames, clips and studies, and search among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from heart2heart.api.audit import audited
from heart2heart.api.models import config_changes
from heart2heart.errors import ConfigError
from heart2heart.progress import Stage, silent_stage
from heart2heart.schema.enums import AuditAction

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from heart2heart.representation.config import PretrainConfig
    from heart2heart.representation.directory import PretrainDirectory
    from heart2heart.representation.similarity import Neighbour, SimilarPair
    from heart2heart.schema.embeddings import Embeddings


def load_pretrain_config(
    config: str | Path | PretrainConfig,
    *,
    stores: str | Path | Sequence[str | Path] | None = None,
    split: str | Path | None = None,
    overrides: Sequence[str] | Mapping[str, Any] = (),
) -> PretrainConfig:
    """Return the resolved configuration of a pretraining.

    Args:
        config: A YAML file, the name of a method such as `byol`, or a configuration.
        stores: Frame stores; override `data.stores`. Needed with the name of a method.
        split: Certified split; overrides `data.split`.
        overrides: Dotted keys and values: `["steps=200"]` or `{"steps": 200}`.

    Raises:
        MissingInputError: neither a file nor a method.
        ConfigError: an unknown key, a value of the wrong type, or no store.

    Examples:
        >>> from heart2heart.api import load_pretrain_config
        >>> load_pretrain_config("byol", stores="store", overrides={"steps": 20}).method.name
        'byol'
    """
    from heart2heart.errors import MissingInputError
    from heart2heart.representation.config import PretrainConfig
    from heart2heart.representation.methods import PRETRAIN_METHODS

    changes = config_changes(stores, split, overrides)
    if isinstance(config, PretrainConfig):
        return config.with_overrides(changes)
    if Path(config).is_file():
        return PretrainConfig.load(Path(config), changes)
    if str(config) not in PRETRAIN_METHODS:
        what = "no configuration file here, and no pretraining method of this name"
        raise MissingInputError(what, where=config, remedy=f"Methods: {', '.join(PRETRAIN_METHODS)}")
    if stores is None:
        raise ConfigError("no frame store is named", where="--store", remedy="Give at least one --store")
    base = {"data": {"stores": ["-"]}, "method": {"name": str(config)}}
    return PretrainConfig.parse(base, where="--").with_overrides(changes)


@audited(AuditAction.TRAIN, beside="out", reads=["stores"], writes=["out"])
def pretrain(
    config: str | Path | PretrainConfig,
    out: str | Path,
    *,
    stores: str | Path | Sequence[str | Path] | None = None,
    split: str | Path | None = None,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    stage: Stage = silent_stage,
) -> PretrainDirectory:
    """Pretrain an encoder on unlabeled frames, or continue a pretraining that was stopped.

    Args:
        config: A YAML file, the name of a method such as `byol`, or a configuration.
        out: Folder of the pretraining; `train` begins from it with `network.init`.
        stores: Frame stores; override `data.stores`.
        split: Certified split whose scored patients are left out; overrides `data.split`.
        overrides: Dotted keys and values.
        stage: Opens the progress.

    Raises:
        ConfigError: a setting, network or layer that does not exist.
        LeakageError: the split is not certified.
        RunError: another pretraining is in the folder, the frames make no pairs, or the representation collapsed.

    Examples:
        >>> from heart2heart.api import pretrain
        >>> changes = {"steps": 2, "pairs": 4, "network.options": {"depth": 10, "widen": 1}}
        >>> pretrained = pretrain("simclr", "pretrained", stores="store", split="split", overrides=changes)
        >>> pretrained.record.finished
        True
    """
    from heart2heart.representation.pretrain import pretrain

    settings, folder = load_pretrain_config(config, stores=stores, split=split, overrides=overrides), Path(out)
    with stage(f"pretrain {folder.name}", settings.steps) as progress:
        return pretrain(settings, folder, progress=progress)


@audited(AuditAction.PREDICT, beside="out", reads=["run", "store"], writes=["out"])
def embed(
    run: str | Path,
    store: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    levels: Sequence[str] = ("clip", "study"),
    layer: str | None = None,
    device: str = "cpu",
    precision: Literal["float32", "bfloat16"] = "float32",
    stage: Stage = silent_stage,
) -> dict[str, int]:
    """Write the vectors of all clips and studies of some stores, and of their frames where asked, to one Parquet file.

    Args:
        run: Folder of a finished run or pretraining.
        store: The stores.
        out: Parquet file; it appears when it is complete.
        levels: `frame`, `clip` (mean over its frames), `study` (mean over its clips).
        layer: Module whose output is taken; None takes the input of the network's head.
        device: Where the network runs, such as `cuda`.
        precision: `bfloat16` is faster where the processor has it, and rounds every number to three digits.
        stage: Opens the progress.

    Returns:
        Number of vectors by level.

    Raises:
        ConfigError: no such level or layer.
        RunError: frames of another geometry, or a run that is not finished.

    Examples:
        >>> from heart2heart.api import embed
        >>> sorted(embed("run", "store", "vectors.parquet"))
        ['clip', 'study']
    """
    from heart2heart.representation.embed import embed_frames
    from heart2heart.representation.loaded_encoder import LoadedEncoder
    from heart2heart.store.frame_store import FrameStores

    frames = FrameStores.open(store)
    encoder = LoadedEncoder.load(run, layer=layer, device=device, precision=precision)
    with stage(f"embed {Path(out).name}", len(frames.frames)) as progress:
        return embed_frames(encoder, frames, out, levels=levels, progress=progress)


def similar(
    clip: str | Path,
    embeddings: str | Path,
    *,
    count: int = 10,
    level: str = "clip",
    run: str | Path | None = None,
    other_patients: bool = False,
) -> list[Neighbour]:
    """Return the clips that look most like one clip, nearest first, by cosine similarity of centred vectors.

    Args:
        clip: A clip (or study, or frame) among the embeddings; or a DICOM file, with `run`.
        embeddings: File of `embed`.
        count: Most clips to return.
        level: `clip`, `study` or `frame`.
        run: The run or pretraining that made the embeddings, for a DICOM file.
        other_patients: Leave out clips of the same patient.

    Raises:
        UnknownNameError: no such clip.
        ConfigError: a file without `run`, or with another run than that of the embeddings.

    Examples:
        >>> from heart2heart.api import embed, similar
        >>> _ = embed("run", "store", "vectors.parquet")
        >>> len(similar("clip.dcm", "vectors.parquet", run="run", count=3))
        3
    """
    from heart2heart.representation.similarity import nearest
    from heart2heart.schema.embeddings import read_embeddings

    if count < 1:
        raise ConfigError(f"{count} clips cannot be shown", where="--nearest", remedy="Give 1 or more")
    table = read_embeddings(embeddings, level)
    if Path(clip).is_file():
        return nearest(table, _file_vector(Path(clip), table, run), count)
    row = table.position(str(clip))
    left_out = {str(clip)}
    if other_patients:
        patients = table.column("patient")
        left_out |= {name for name, patient in zip(table.names, patients, strict=True) if patient == patients[row]}
    return nearest(table, table.vectors[row], count, without=frozenset(left_out))


def _file_vector(clip: Path, table: Embeddings, run: str | Path | None) -> npt.NDArray[np.float32]:
    """Return the vector of a DICOM clip by the encoder that made the embeddings."""
    from heart2heart.deidentify.clip import load_clip
    from heart2heart.representation.loaded_encoder import LoadedEncoder

    if run is None:
        remedy = "Give --run, the run or pretraining that made the embeddings"
        raise ConfigError("the encoder of the embeddings is needed to embed a file", where="--run", remedy=remedy)
    encoder = LoadedEncoder.load(run, layer=table.facts.layer, precision=table.facts.precision)
    if encoder.weights_sha256 != table.facts.weights_sha256:
        what = "the embeddings are of another encoder than this one"
        raise ConfigError(what, where=run, remedy=f"Name the folder of {table.facts.encoder}, or embed anew")
    vector: npt.NDArray[np.float32] = encoder.embed(load_clip(clip, geometry=encoder.geometry).pixels).mean(0)
    return vector


def duplicates(embeddings: str | Path, *, threshold: float = 0.99, level: str = "clip") -> list[SimilarPair]:
    """Return the pairs of clips that look nearly the same, most similar first.

    Args:
        embeddings: File of `embed`.
        threshold: Smallest cosine similarity of the centred vectors.
        level: `clip`, `study` or `frame`.

    Examples:
        >>> from heart2heart.api import duplicates, embed
        >>> _ = embed("run", "store", "vectors.parquet")
        >>> all(pair.first.similarity >= 0.9 for pair in duplicates("vectors.parquet", threshold=0.9))
        True
    """
    from heart2heart.representation.similarity import nearly_equal
    from heart2heart.schema.embeddings import read_embeddings

    return nearly_equal(read_embeddings(embeddings, level), threshold)


def odd_clips(embeddings: str | Path, *, count: int = 10, level: str = "clip") -> list[Neighbour]:
    """Return the clips that look least like any others, oddest first, with their mean similarity to five neighbours.

    Args:
        embeddings: File of `embed`.
        count: Most clips to return.
        level: `clip`, `study` or `frame`.

    Examples:
        >>> from heart2heart.api import embed, odd_clips
        >>> _ = embed("run", "store", "vectors.parquet")
        >>> len(odd_clips("vectors.parquet", count=2))
        2
    """
    from heart2heart.representation.similarity import odd_ones
    from heart2heart.schema.embeddings import read_embeddings

    return odd_ones(read_embeddings(embeddings, level), count)
