"""Tables of predictions of any model: the template, the checks, and certified predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from heart2heart.errors import ConfigError, ExistsError
from heart2heart.evaluation.prediction_table import PredictionTable, check_table
from heart2heart.evaluation.table_predictions import NO_SPLIT, table_predictions, table_rows
from heart2heart.schema.prediction_table import MAX_CLASSES, OPTIONAL_COLUMNS, REQUIRED_COLUMNS, template
from heart2heart.schema.predictions import Predictions
from heart2heart.splits.manifest import SplitManifest
from heart2heart.splits.overlap import TrainingReference
from heart2heart.splits.validation import (
    certify_validation,
    with_certificate,
)
from heart2heart.utils import sha256_file, write_text


def check_prediction_table(path: str | Path) -> PredictionTable:
    """Check a table of predictions without writing anything.

    Returns:
        The table with its classes, faults and warnings; `require_valid` raises the faults.

    Raises:
        MissingInputError: no such file.
        EvaluationError: not a table, or too large to read.

    Examples:
        >>> from heart2heart.api import check_prediction_table, write_prediction_template
        >>> _ = write_prediction_template("filled.csv", ["normal", "pneumonia"])
        >>> table = check_prediction_table("filled.csv")
        >>> table.classes, str(table.faults[0])
        (('normal', 'pneumonia'), 'row 2, column case: this is an example of the template. Replace it by a case')
    """
    return check_table(Path(path))


def write_prediction_template(path: str | Path, classes: Sequence[str]) -> Path:
    """Write a table of predictions with one example of each class, to fill in.

    Args:
        path: CSV file that does not exist yet.
        classes: Names of the classes, at least two.

    Raises:
        ConfigError: fewer than two classes, or a name that is another column.
        ExistsError: the file exists.

    Examples:
        >>> from heart2heart.api import write_prediction_template
        >>> print(write_prediction_template("template.csv", ["normal", "pneumonia"]).read_text().splitlines()[0])
        case,patient,site,truth,clip,study,normal,pneumonia
    """
    file, names = Path(path), [name.strip() for name in classes]
    reserved = sorted({"", *REQUIRED_COLUMNS, *OPTIONAL_COLUMNS} & set(names))
    if reserved or len(set(names)) != len(names) or not 2 <= len(names) <= MAX_CLASSES:
        what = f"{', '.join(names)!r} are no names of classes"
        remedy = (
            f"Name 2 to {MAX_CLASSES} different classes; {', '.join([*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS])} are taken"
        )
        raise ConfigError(what, where="--classes", remedy=remedy)
    if file.exists():
        raise ExistsError("this file exists", where=file, remedy="Name another file")
    write_text(file, template(names))
    return file


def certified_table(
    path: Path, split: str | Path | None, *, task: str, name: str | None, synthetic: bool, command: str
) -> Predictions:
    r"""Read a table of predictions and certify it.

    Args:
        path: The table.
        split: A split that the model was trained on, with the same pseudonyms; None: not at hand.
        task: Noun of what the classes are.
        name: What a reader calls the model.
        synthetic: The cases are simulated.
        command: The command line, for the record.

    Raises:
        EvaluationError: the table has faults.

    Examples:
        >>> rows = "case,patient,site,truth,a,b\n1,p1,E,a,0.7,0.3\n2,p2,E,b,0.5,0.5\n"
        >>> _ = Path("certified.csv").write_text(rows)
        >>> options = {"task": "severity", "name": None, "synthetic": False, "command": "example"}
        >>> certified_table(Path("certified.csv"), None, **options).provenance.validation.training_data
        <TrainingData.NOT_SEEN: 'not_seen'>
    """
    table = check_table(path)
    table.require_valid()
    manifest = None if split is None else SplitManifest.load(split)
    digest = sha256_file(path)
    predictions = table_predictions(
        table,
        name=name or path.stem,
        task=task,
        command=command,
        file_sha256=digest,
        source_sites=() if manifest is None else manifest.source_sites,
        split_name=NO_SPLIT if manifest is None else manifest.name,
        synthetic=synthetic,
    )
    reference = TrainingReference(split=manifest, stated=True, adaptation_patients=None)
    certificate = certify_validation(
        predictions, table_rows(table), None, reference, sites=table.sites, model_sha256=digest
    )
    return with_certificate(predictions, certificate)
