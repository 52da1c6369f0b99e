"""Verbs of representations: pretrain, embed, similar, fewshot."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from heart2heart.cli.data import StoreOption


class LevelChoice(StrEnum):
    """What one vector stands for."""

    FRAME = "frame"
    CLIP = "clip"
    STUDY = "study"


EmbeddingsOption = Annotated[Path, typer.Option("--in", help="File that `embed` wrote.")]


def register(app: typer.Typer) -> None:
    """Add this module's verbs to `app`."""
    for verb in (pretrain, embed, similar, fewshot):
        app.command(verb.__name__)(verb)


def pretrain(
    config: Annotated[str, typer.Argument(help="YAML file, or a method: simclr, moco, byol, barlow_twins.")],
    out: Annotated[Path, typer.Option(help="Folder of the pretraining; a stopped one continues.")],
    override: Annotated[list[str] | None, typer.Argument(help="Overrides such as positives=frames.")] = None,
    store: Annotated[list[Path] | None, typer.Option(help="Frame store; repeatable. Overrides data.stores.")] = None,
    split: Annotated[
        Path | None, typer.Option(help="Certified split whose scored patients are left out. Overrides data.split.")
    ] = None,
) -> None:
    """Pretrain an encoder on unlabeled frames, or continue a stopped pretraining; `train network.init=OUT` follows.

    Example: heart2heart pretrain barlow_twins --store store --split split --out pretrained steps=2000
    """
    from heart2heart.api import pretrain
    from heart2heart.progress import progress_bar

    done = pretrain(config, out, stores=store or None, split=split, overrides=override or (), stage=progress_bar)
    record = done.record
    for note in record.notes:
        print(f"note: {note}")
    print(f"{record.method} on {record.frames} frames of {record.patients} patients")
    if record.collapse is not None:
        print(record.collapse.sentence())
    print(f"{out}: {record.steps} steps in {record.seconds:.0f} s; train with network.init={out}")


def embed(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run or pretraining.")],
    store: StoreOption,
    out: Annotated[Path, typer.Option(help="Parquet file.")],
    level: Annotated[
        list[LevelChoice] | None, typer.Option(help="frame, clip or study; repeatable. Default: clip and study.")
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="Module whose output is taken. Default: the input of the network's head.")
    ] = None,
    device: Annotated[str, typer.Option(help="Where the network runs, such as cuda.")] = "cpu",
    fast: Annotated[bool, typer.Option("--fast", help="Compute in bfloat16: faster, rounded to three digits.")] = False,
) -> None:
    """Write a vector for every clip and study (mean over their frames and clips), and for every frame where asked.

    Example: heart2heart embed pretrained --store store --out vectors.parquet
    """
    from heart2heart.api import embed
    from heart2heart.progress import progress_bar

    levels = [each.value for each in level or (LevelChoice.CLIP, LevelChoice.STUDY)]
    counts = embed(
        run, store, out, levels=levels, layer=layer, device=device, precision="bfloat16" if fast else "float32",
        stage=progress_bar,
    )  # fmt: skip
    print(f"{out}: " + ", ".join(f"{count} {name} vectors" for name, count in counts.items()))


def similar(
    embeddings: EmbeddingsOption,
    clip: Annotated[str | None, typer.Argument(help="A clip among the embeddings, or a DICOM file with --run.")] = None,
    nearest: Annotated[int, typer.Option(help="Clips to show.")] = 10,
    run: Annotated[Path | None, typer.Option(help="The encoder of the embeddings, for a DICOM file.")] = None,
    other_patients: Annotated[bool, typer.Option("--other-patients", help="Leave the clip's own patient out.")] = False,
    duplicates: Annotated[
        float | None, typer.Option(help="Show pairs from this similarity on, such as 0.99, instead.")
    ] = None,
    odd: Annotated[int | None, typer.Option(help="Show this many clips that look like no other, instead.")] = None,
    level: Annotated[LevelChoice, typer.Option(help="frame, clip or study.")] = LevelChoice.CLIP,
) -> None:
    """Find the clips that look like one clip; pairs that are nearly the same (--duplicates); odd ones (--odd).

    Example: heart2heart similar 0f3a52 --in vectors.parquet --nearest 5
    """
    from heart2heart.api import duplicates as find_duplicates
    from heart2heart.api import odd_clips
    from heart2heart.api import similar as find_similar
    from heart2heart.cli.output import text_table
    from heart2heart.errors import ConfigError

    if (clip is not None) + (duplicates is not None) + (odd is not None) != 1:
        remedy = "Example: heart2heart similar CLIP --in vectors.parquet"
        raise ConfigError("give one of: a clip, --duplicates, --odd", remedy=remedy)
    if duplicates is not None:
        pairs = find_duplicates(embeddings, threshold=duplicates, level=level.value)
        rows = [
            (pair.first.name, pair.second.name, pair.first.site, pair.second.site,
             "same patient" if pair.same_patient else "two patients", pair.first.similarity)
            for pair in pairs
        ]  # fmt: skip
        print(text_table(("first", "second", "hospital", "hospital", "of", "similarity"), rows))
        return
    if odd is not None:
        near = odd_clips(embeddings, count=odd, level=level.value)
    else:
        near = find_similar(
            str(clip), embeddings, count=nearest, level=level.value, run=run, other_patients=other_patients
        )
    print(
        text_table((level.value, "hospital", "similarity"), [(each.name, each.site, each.similarity) for each in near])
    )


def fewshot(
    embeddings: Annotated[Path, typer.Argument(help="File that `embed` wrote.")],
    labels: Annotated[Path, typer.Option(help="Label store, or a table with the columns clip and truth.")],
    out: Annotated[Path | None, typer.Option(help="CSV file with the view of every clip without a label.")] = None,
    site: Annotated[str | None, typer.Option(help="Hospital; default: all.")] = None,
    view: Annotated[
        list[str] | None, typer.Option(help="View to tell apart; repeatable. Default: all labeled.")
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option(help="Setting such as method=class_means or marginal_weight=0.5; repeatable.")
    ] = None,
    shots: Annotated[
        str | None, typer.Option(help="Labels a class such as 1,3,5: score every method over draws of them, instead.")
    ] = None,
    draws: Annotated[int, typer.Option(help="Draws of labels for --shots.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
    fine_tune: Annotated[
        Path | None, typer.Option(help="Run or pretraining to fine-tune on the same labels, for --shots.")
    ] = None,
    store: Annotated[list[Path] | None, typer.Option(help="Stores with the frames, for --fine-tune.")] = None,
) -> None:
    """Classify clips from 1 to 5 labels a view on their embeddings; with --shots, measure how well that goes.

    Example: heart2heart fewshot vectors.parquet --labels few.csv --site B --out views.csv
    """
    from heart2heart.api import few_shot, few_shot_trial, read_shots, summarise_trial
    from heart2heart.cli.output import text_table
    from heart2heart.config import read_overrides
    from heart2heart.errors import ConfigError

    settings = read_overrides(setting or ())
    if (out is None) == (shots is None):
        raise ConfigError("give either --out or --shots", remedy="Example: --out views.csv")
    if out is not None:
        answers = few_shot(embeddings, labels, out, site=site, views=view or (), settings=settings)
        print(text_table(("view", "clips"), list(answers.counts.items())))
        print(f"{out}: {answers.clips} clips from {answers.labels} labels")
        return
    scores = few_shot_trial(
        embeddings, labels, shots=read_shots(str(shots)), draws=draws, site=site, views=view or (), seed=seed,
        settings=settings, fine_tune=fine_tune, stores=store or (),
    )  # fmt: skip
    header = ("labels a view", "method", "balanced accuracy, mean", "lowest", "highest", "draws")
    print(text_table(header, summarise_trial(scores)))
