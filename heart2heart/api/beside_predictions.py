"""Files beside `predictions.parquet` that only the report reads: agreement of readers, and what the model looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from heart2heart.schema.predictions import Predictions
    from heart2heart.schema.reader_agreement import ReaderAgreement
    from heart2heart.schema.saliency import Saliency
    from heart2heart.store.frame_store import Frames
    from heart2heart.training.predict_rows import Classifier


def write_readers(predictions: Predictions, labels: str | Path, folder: Path, sha256: str) -> ReaderAgreement:
    """Compare the readers of a label store with each other and with the model, and write `readers.json`.

    Args:
        predictions: Predictions with the names of clips.
        labels: Label store.
        folder: Folder of the predictions file.
        sha256: Hash of the predictions in that file.

    Examples:
        >>> from heart2heart.schema.predictions import Predictions
        >>> predictions = Predictions.read(Path("evaluation/predictions.parquet"))
        >>> write_readers(predictions, "labels.db", Path("."), "0").rows
        ()
    """
    from heart2heart.api.readers import compare_readers

    agreement = compare_readers(predictions, labels, sha256=sha256)
    agreement.write(folder)
    return agreement


def write_saliency(
    models: Sequence[Classifier], predictions: Predictions, stores: Frames, folder: Path, sha256: str
) -> Saliency:
    """Compute what the last method looked at in the pictures of the predictions, and write `saliency.parquet`.

    Args:
        models: The models that were evaluated.
        predictions: Their predictions, with the names of frames.
        stores: The stores with the frames.
        folder: Folder of the predictions file.
        sha256: Hash of the predictions in that file.

    Examples:
        >>> import heart2heart as h2h
        >>> from heart2heart.schema.predictions import Predictions
        >>> from heart2heart.store.frame_store import FrameStores
        >>> predictions, stores = Predictions.read(Path("evaluation/predictions.parquet")), FrameStores.open("store")
        >>> models = [h2h.load_model("run")]
        >>> len(write_saliency(models, predictions, stores, Path("."), "0").maps) > 0
        True
    """
    from heart2heart.evaluation.run_groups import group_runs
    from heart2heart.schema.saliency import Saliency, SaliencyInfo
    from heart2heart.training.saliency import METHOD, saliency_maps

    run = group_runs(predictions.provenance.runs)[-1].names[0]
    maps = saliency_maps(models, predictions, stores, run)
    saliency = Saliency(SaliencyInfo(predictions_sha256=sha256, method=METHOD), maps)
    saliency.write(folder)
    return saliency


def read_beside(
    predictions: Predictions, source: str | Path, sha256: str, labels: str | Path | None = None
) -> tuple[ReaderAgreement | None, Saliency | None]:
    """Return the agreement of readers and the saliency maps that belong to predictions; None where there are none.

    Args:
        predictions: The predictions.
        source: Their file or folder.
        sha256: Their hash.
        labels: Label store to compare anew; None reads `readers.json`.

    Examples:
        >>> from heart2heart.schema.predictions import Predictions
        >>> predictions = Predictions.read(Path("evaluation/predictions.parquet"))
        >>> read_beside(predictions, "evaluation", "0")
        (None, None)
    """
    from heart2heart.api.readers import compare_readers
    from heart2heart.schema.reader_agreement import read_readers
    from heart2heart.schema.saliency import Saliency

    folder = Path(source) if Path(source).is_dir() else Path(source).parent
    readers = compare_readers(predictions, labels, sha256=sha256) if labels else read_readers(folder, sha256)
    return readers, Saliency.read(folder, sha256)
