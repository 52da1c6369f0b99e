"""Packaged configurations, and every configuration class for the reference."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from heart2heart.config import Config
from heart2heart.errors import ExistsError


def copy_config(name: str, out: str | Path | None = None) -> str:
    """Return the text of a packaged configuration, and write it to a new file if one is named.

    Args:
        name: Name such as `demo/fixmatch`.
        out: File to write.

    Raises:
        MissingInputError: no such configuration.
        ExistsError: the file exists.

    Examples:
        >>> from heart2heart.api import copy_config
        >>> "name: fixmatch" in copy_config("demo/fixmatch", "my_study.yaml")
        True
    """
    from heart2heart.config import find_config
    from heart2heart.utils import write_text

    text = find_config(name).read_text(encoding="utf-8")
    if out is not None:
        target = Path(out)
        if target.exists():
            raise ExistsError("this file exists and is not overwritten", where=target, remedy="Give --out another name")
        write_text(target, text)
    return text


def training_schema() -> dict[str, Any]:
    """Return the JSON schema of a training configuration, with the settings of every method and network, for editors.

    Examples:
        >>> from heart2heart.api import training_schema
        >>> training_schema()["properties"]["steps"]["default"]
        25000
    """
    from heart2heart.training.config import TrainConfig

    return TrainConfig.model_json_schema()


def configuration_sections() -> tuple[tuple[str, str, type[Config]], ...]:
    """Return title, explanation and class of each configuration.

    Examples:
        >>> from heart2heart.api import configuration_sections
        >>> [title for title, _, _ in configuration_sections()][0]
        'Training'
    """
    from heart2heart.active_learning.queue import QueueSettings
    from heart2heart.annotate.settings import AnnotationSettings
    from heart2heart.ingest.settings import IngestSettings, Limits
    from heart2heart.pacs.connection import Credentials
    from heart2heart.pacs.destination import DestinationSettings
    from heart2heart.pacs.dicomweb import PacsQuery
    from heart2heart.pacs.storage_scp import ReceiveSettings
    from heart2heart.schema.split import SplitSettings
    from heart2heart.service.settings import ServiceSettings
    from heart2heart.synthetic.config import HospitalConfig
    from heart2heart.training.config import TrainConfig

    train = (
        "`heart2heart train` takes one YAML file and any number of dotted overrides (`optimiser.lr=0.01`). Every\n"
        "resolved value is written to `config.yaml` in the run's folder."
    )
    return (
        ("Training", train, TrainConfig),
        *_methods(),
        *_networks(),
        *_representations(),
        ("Ingest", "Options of `heart2heart ingest`, and `IngestSettings` in Python.", IngestSettings),
        (
            "Limits of one file",
            "`--file-seconds` and `--file-memory` of `heart2heart ingest`, and `Limits` in Python.",
            Limits,
        ),
        (
            "Query of a PACS",
            "The file of `heart2heart pull --query`, and `Query` in Python. See [From a PACS](../pacs.md).",
            PacsQuery,
        ),
        ("Receiver", "Options of `heart2heart receive`, and `ReceiveSettings` in Python.", ReceiveSettings),
        (
            "Archive that gets answers",
            "Options of `heart2heart answers`, and `DestinationSettings` in Python.",
            DestinationSettings,
        ),
        ("Service", "The file of `heart2heart serve`, and `ServiceSettings` in Python.", ServiceSettings),
        ("Page of labels", "Options of `heart2heart curate`, and `AnnotationSettings` in Python.", AnnotationSettings),
        ("Queue of clips to label", "Options of `heart2heart queue`, and `QueueSettings` in Python.", QueueSettings),
        (
            "Credentials of a DICOMweb server",
            "The file of `heart2heart pull --credentials`, which must have mode 0600, and `Credentials` in Python.",
            Credentials,
        ),
        ("Split", "Options of `heart2heart split`, and `SplitSettings` in Python.", SplitSettings),
        (
            "Synthetic hospitals",
            "`HospitalConfig` in Python; `heart2heart simulate` uses four presets.",
            HospitalConfig,
        ),
    )


def _methods() -> Iterator[tuple[str, str, type[Config]]]:
    """Yield a section for each method that has settings."""
    from heart2heart.training.algorithms import ALGORITHMS

    for name, kind in ALGORITHMS.items():
        if kind.model_fields:
            page = (inspect.getdoc(sys.modules[kind.__module__]) or "").splitlines()[0]
            yield f"Method {name}", f"{page} Given under `method.params`.", kind


def _representations() -> Iterator[tuple[str, str, type[Config]]]:
    """Yield the sections of pretraining, of its methods, and of classification from a few labels."""
    from heart2heart.representation.config import PretrainConfig
    from heart2heart.representation.few_shot import FewShotSettings
    from heart2heart.representation.fine_tuning import FineTuneSettings
    from heart2heart.representation.methods import PRETRAIN_METHODS

    text = "The file of `heart2heart pretrain`, and `PretrainConfig` in Python. See [Pretrain](../how-to/pretrain.md)."
    yield "Pretraining", text, PretrainConfig
    for name, kind in PRETRAIN_METHODS.items():
        page = (inspect.getdoc(sys.modules[kind.__module__]) or "").splitlines()[0]
        yield f"Pretraining method {name}", f"{page} Given under `method.params`.", kind
    yield "Few-shot classification", "`--setting` of `heart2heart fewshot`, and `FewShotSettings`.", FewShotSettings
    text = "What `heart2heart fewshot --fine-tune` does, and `FineTuneSettings` in Python."
    yield "Fine-tuning on a few labels", text, FineTuneSettings


def _networks() -> Iterator[tuple[str, str, type[Config]]]:
    """Yield a section for each group of networks that take the same options."""
    from heart2heart.training.networks.build import NETWORKS

    groups: dict[tuple[object, ...], list[str]] = {}
    for name, kind in NETWORKS.items():
        options = tuple((key, repr(field.default), field.description) for key, field in kind.model_fields.items())
        groups.setdefault(options, []).append(name)
    for names in groups.values():
        doc = (inspect.getdoc(NETWORKS[names[0]]) or "").splitlines()[0].removeprefix(f"{names[0]}: ")
        yield f"Network {', '.join(names)}", f"{doc} Given under `network.options`.", NETWORKS[names[0]]
