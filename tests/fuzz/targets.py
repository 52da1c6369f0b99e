"""Fuzz targets: each gives bytes to one reader, and only the errors that this reader promises may come out.

Any other exception, a hang, or memory beyond the limit of the run is a finding.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from heart2heart.dicom.codecs import pinned_decoder
from heart2heart.dicom.header_values import silence_warnings
from heart2heart.dicom.image_pixel import ImagePixel
from heart2heart.dicom.jpeg import JPEG_EXTENDED
from heart2heart.errors import Heart2HeartError
from heart2heart.schema.store import CLIPS, FRAMES, build_table
from heart2heart.store.geometry import Geometry

Target = Callable[[bytes], None]

FOLDER = Path(tempfile.gettempdir()) / f"heart2heart-fuzz-{os.getpid()}"
"""Folder of the input that is being read."""

SYNTAXES = {
    "native": "1.2.840.10008.1.2.1",
    "big_endian": "1.2.840.10008.1.2.2",
    "jpeg": "1.2.840.10008.1.2.4.50",
    "jpeg_extended": JPEG_EXTENDED,
    "jpeg_lossless": "1.2.840.10008.1.2.4.70",
    "jpeg_ls": "1.2.840.10008.1.2.4.80",
    "jpeg_2000": "1.2.840.10008.1.2.4.90",
    "rle": "1.2.840.10008.1.2.5",
}
"""Name of a decoder -> a transfer syntax that it decodes."""

SIDE = 32
"""Height and width of the picture that a frame of the target `decoders` must hold, pixels."""


def _file(data: bytes, name: str) -> Path:
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    path = FOLDER / name
    path.write_bytes(data)
    return path


def dicom(data: bytes) -> None:
    """Read a whole file as `ingest` and `predict` do."""
    from heart2heart.deidentify.clip import load_clip
    from heart2heart.deidentify.pseudonyms import Key, Pseudonymizer

    pseudonymizer = Pseudonymizer(Key(bytes(32)))
    load_clip(_file(data, "clip.dcm"), geometry=Geometry(size=8), rule="even:2", pseudonymizer=pseudonymizer, site="A")


def clean_copy(data: bytes) -> None:
    """Write a clean copy of a file as `deidentify` does."""
    from heart2heart.deidentify.clean_copy import clean_copy as copy
    from heart2heart.deidentify.pseudonyms import Key, Pseudonymizer

    copy(_file(data, "source.dcm"), pseudonymizer=Pseudonymizer(Key(bytes(32))), site="A")


def decoders(data: bytes) -> None:
    """Decode one frame. The first byte selects the decoder, the second the picture: colour, bits, reduction."""
    if len(data) < 2:
        return
    name = list(SYNTAXES)[data[0] % len(SYNTAXES)]
    choice = data[1]
    colour, deep = bool(choice & 1), bool(choice & 2) and name not in ("jpeg", "jpeg_extended")
    bits = 16 if deep else 8
    image_pixel = ImagePixel(
        SIDE, SIDE, 3 if colour else 1, bits, 12 if deep else 8, bool(choice & 4), "RGB" if colour else "MONOCHROME2",
        int(bool(choice & 8)), 1,
    )  # fmt: skip
    with silence_warnings():
        pinned_decoder(SYNTAXES[name]).decode(
            data[2:], image_pixel, gray=bool(choice & 16), shrink=(1, 2, 4, 8)[choice >> 6]
        )


@lru_cache
def _clips() -> pa.Table:
    """Return one clip of one frame, for labels to name."""
    clip = {field.name: _value(field) for field in CLIPS} | {"clip": "c1", "box": None, "spacing_mm": None}
    return build_table([clip], CLIPS)


def _value(field: pa.Field) -> object:
    if field.name == "flags":
        return []
    if field.nullable:
        return None
    return "c1" if field.type == pa.string() else False if field.type == pa.bool_() else 1


class _Stores:
    """One clip without pixels, as far as reading labels needs it."""

    clips = property(lambda self: _clips())

    @property
    def frames(self) -> pa.Table:
        """Return the one frame."""
        row = {field.name: _value(field) for field in FRAMES} | {"frame": "c1:0000", "clip": "c1", "dhash": 1}
        return build_table([row], FRAMES)


def labels(data: bytes) -> None:
    """Import a file of labels whose format is detected: CSV, Parquet or Label Studio."""
    from typing import Any, cast

    from heart2heart.labels.importing import import_labels
    from heart2heart.labels.label_store import LabelStore

    FOLDER.mkdir(mode=0o700, exist_ok=True)
    book = FOLDER / "labels.db"
    book.unlink(missing_ok=True)
    suffix = ".parquet" if data[:4] == b"PAR1" else ".csv"
    import_labels(_file(data, f"labels{suffix}"), LabelStore(book), cast(Any, _Stores()))


def predictions(data: bytes) -> None:
    """Read a table of predictions, CSV or Parquet, or the predictions of this package."""
    from heart2heart.api.cases import read_cases

    read_cases(_file(data, "table.parquet" if data[:4] == b"PAR1" else "table.csv"), site=None)


def multipart(data: bytes) -> None:
    """Extract the part of a DICOMweb response that arrives in pieces; the first byte is the size of a piece."""
    from heart2heart.pacs.multipart import BrokenResponseError, copy_part

    size, body = max(1, data[0] if data else 1), data[1:]
    pieces = (body[start : start + size] for start in range(0, len(body), size))
    out = io.BytesIO()
    try:
        copy_part('multipart/related; type="application/dicom"; boundary=mark', pieces, out)
    except BrokenResponseError:
        return
    assert out.getvalue() in body


def verify_deid(data: bytes) -> None:
    """Search a file as `verify-deid` does, whatever it holds."""
    from heart2heart.verify.identities import Identities
    from heart2heart.verify.search_file import FileSearcher, SearchTask

    identities = Identities()
    identities.add("name", "SCHMIDTKE^ERNA")
    identities.add("date", "1947-08-13")
    FileSearcher(identities, read_pictures=False).search(SearchTask(_file(data, "output"), "output", 1))


def config(data: bytes) -> None:
    """Read the YAML of a training, and of the settings of a split."""
    from heart2heart.schema.split import SplitSettings
    from heart2heart.training.config import TrainConfig

    path = _file(data, "config.yaml")
    for kind in (TrainConfig, SplitSettings):
        try:
            kind.load(path)
        except Heart2HeartError:
            continue


def records(data: bytes) -> None:
    """Read every JSON file of this package that may come from elsewhere."""
    from heart2heart.annotate.auth import Raters
    from heart2heart.schema.counts import read_counts
    from heart2heart.schema.decision import read_decision
    from heart2heart.schema.margin import read_margin
    from heart2heart.schema.metrics_files import read_folds, read_metrics
    from heart2heart.schema.monitor import read_journal
    from heart2heart.schema.reviewed_pairs import ReviewedPairs, SuspectedPairs
    from heart2heart.schema.split import Certificate
    from heart2heart.splits.manifest import SplitManifest
    from heart2heart.store.frame_store import FrameStore

    path = _file(data, "record.json")
    path.chmod(0o600)
    readers: tuple[Callable[[Path], object], ...] = (
        Raters.read, read_counts, read_decision, read_margin, read_folds, read_metrics, read_journal,
        SuspectedPairs.read, ReviewedPairs.read, Certificate.read,
    )  # fmt: skip
    folder_readers: tuple[tuple[str, Callable[[Path], object]], ...] = (
        ("split.json", SplitManifest.load),
        ("store.json", FrameStore.open),
    )
    for read in readers:
        try:
            read(path)
        except Heart2HeartError:
            continue
    for name, read in folder_readers:
        path.replace(FOLDER / name)
        try:
            read(FOLDER)
        except Heart2HeartError:
            continue
        finally:
            path = (FOLDER / name).replace(FOLDER / "record.json")


TARGETS: dict[str, Target] = {
    target.__name__: target
    for target in (dicom, clean_copy, decoders, labels, predictions, multipart, verify_deid, config, records)
}
"""Name -> target."""


def run_target(name: str, data: bytes) -> None:
    """Give `data` to a target; the errors of this package are what a reader promises."""
    try:
        TARGETS[name](data)
    except Heart2HeartError:
        return
