"""Seeds of the fuzz targets: small files that this module generates, and the inputs of earlier findings."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import simplejpeg
import yaml
from pydicom.encaps import generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from tests.dicom.build import dataset, encoded, region, speckle_frames
from tests.fuzz.targets import SIDE, SYNTAXES

FOUND = Path(__file__).parent / "found"
"""Folder with one folder a target: inputs that once broke it, each named by the first digits of its SHA-256."""


def seeds(target: str) -> list[bytes]:
    """Return the seeds of a target, the inputs of earlier findings last; the same on every machine."""
    generated = list(GENERATORS[target]())
    return generated + [path.read_bytes() for path in sorted((FOUND / target).glob("*"))]


def write_seeds(target: str, folder: Path) -> None:
    """Write the seeds of a target into a folder, each under the hash of its bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for data in seeds(target):
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def _dicom() -> Iterator[bytes]:
    pictures = np.ascontiguousarray(speckle_frames(2)[:, 20:52, 40:88])
    small = [region((0, 0, 47, 31))]
    for syntax in (
        ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, JPEGBaseline8Bit, RLELossless,
        JPEGLSLossless, JPEG2000Lossless,
    ):  # fmt: skip
        yield encoded(dataset(pictures, syntax, SequenceOfUltrasoundRegions=small, PatientName="TEST^FUZZ"))
    yield encoded(dataset(pictures[:1], SequenceOfUltrasoundRegions=small), preamble=False)
    gray = dataset(pictures, PhotometricInterpretation="PALETTE COLOR", SamplesPerPixel=1, PlanarConfiguration=None)
    gray.SequenceOfUltrasoundRegions = small
    gray.PixelData = pictures[..., 0].tobytes()
    for colour in ("Red", "Green", "Blue"):
        setattr(gray, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 8])
        setattr(gray, f"{colour}PaletteColorLookupTableData", bytes(range(256)))
    yield encoded(gray)
    for colour in ("Red", "Green", "Blue"):
        delattr(gray, f"{colour}PaletteColorLookupTableData")
        setattr(gray, f"Segmented{colour}PaletteColorLookupTableData", bytes([0, 2, 0, 9, 1, 254, 255, 0]))
    yield encoded(gray)
    deflated = dataset(pictures, SequenceOfUltrasoundRegions=small)
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    yield encoded(deflated)


def _decoders() -> Iterator[bytes]:
    names = list(SYNTAXES)
    colour = np.ascontiguousarray(speckle_frames(1)[:, 30 : 30 + SIDE, 56 : 56 + SIDE])
    for choice, picture in ((1, colour[0]), (17, colour[0]), (0, colour[0, ..., 0]), (16, colour[0, ..., 0])):
        yield bytes([names.index("native"), choice]) + picture.tobytes()
        yield bytes([names.index("big_endian"), choice]) + picture.tobytes()
        gray = picture if picture.ndim == 3 else picture[..., None]
        space = "RGB" if picture.ndim == 3 else "GRAY"
        jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(gray), quality=90, colorspace=space)
        yield bytes([names.index("jpeg"), choice]) + jpeg
        yield bytes([names.index("jpeg_extended"), choice]) + jpeg
        for name, syntax in (("rle", RLELossless), ("jpeg_ls", JPEGLSLossless), ("jpeg_2000", JPEG2000Lossless)):
            tags = {} if picture.ndim == 3 else {"SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2"}
            clip = dataset(colour, ExplicitVRLittleEndian, **tags)
            if picture.ndim == 2:
                del clip.PlanarConfiguration
            clip.PixelData = picture.tobytes()
            clip.compress(syntax, generate_instance_uid=False)
            yield bytes([names.index(name), choice]) + next(generate_frames(clip.PixelData, number_of_frames=1))


def _parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def _labels() -> Iterator[bytes]:
    yield b"clip,view\nc1,A4C\n"
    yield b"\xef\xbb\xbfclip;view;rater;time\nc1;PLAX;r1;2026-01-02T03:04:05+00:00\n"
    yield b"clip,frame,view\nc1,0,A2C\nc1,c1:0000,unusable\n"
    table = _parquet(pa.table({"clip": ["c1"], "view": ["A4C"], "rater": ["r1"]}))
    yield table
    yield table.replace(b"rater", b"r\xe9ter")  # the name of a column that is no UTF-8
    result = {"type": "choices", "from_name": "view", "to_name": "clip", "value": {"choices": ["A4C"]}}
    notes = [{"id": 1, "completed_by": 2, "created_at": "2026-01-02T03:04:05Z", "result": [result]}]
    yield json.dumps([{"id": 1, "data": {"clip": "c1"}, "annotations": notes}]).encode()


def _predictions() -> Iterator[bytes]:
    yield b"case,patient,site,truth,A4C,PLAX\nc1,p1,E,A4C,0.9,0.1\nc2,p2,E,,0.2,0.8\n"
    yield b"file,frame,view,A4C,PLAX\na.dcm,,A4C,0.900000,0.100000\na.dcm,0,A4C,0.9,0.1\n"
    yield b"clip,truth\nc1,A4C\n"
    columns = {"case": ["c1"], "patient": ["p1"], "site": ["E"], "truth": ["A4C"], "A4C": [0.9], "PLAX": [0.1]}
    yield _parquet(pa.table(columns))


def _multipart() -> Iterator[bytes]:
    body = b"--mark\r\nContent-Type: application/dicom\r\n\r\nDICM content\r\n--mark--\r\n"
    for size in (1, 7, 255):
        yield bytes([size]) + body
    yield b"\x05" + body.replace(b"--mark--", b"--mark\r\n\r\nmore\r\n--mark--")


def _verify_deid() -> Iterator[bytes]:
    import gzip
    import zipfile

    yield next(_dicom())
    text = b'{"name": "SCHMIDTKE^ERNA", "born": "13.08.1947", "u": "\\u0053CHMIDTKE", "b": "U0NITUlEVEtFXkVSTkE="}'
    yield text
    yield gzip.compress(text, mtime=0)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as pack:
        pack.writestr(zipfile.ZipInfo("inner.txt"), text)
    yield out.getvalue()
    yield _parquet(pa.table({"patient": ["p1"], "note": ["SCHMIDTKE"]}))
    npy = io.BytesIO()
    np.save(npy, np.zeros((2, 4, 4), np.uint8))
    yield npy.getvalue()
    yield b"<html><body>Erna &#83;chmidtke %53CHMIDTKE</body></html>"
    yield b"%PDF-1.4\n1 0 obj\n<< /Length 20 >>\nstream\nBT (Schmidtke) Tj ET\nendstream\nendobj\n%%EOF\n"
    yield simplejpeg.encode_jpeg(np.zeros((8, 8, 1), np.uint8), colorspace="GRAY")


def _config() -> Iterator[bytes]:
    from heart2heart.config import configs_folder

    for path in sorted(configs_folder().rglob("*.yaml"))[:6]:
        yield path.read_bytes()
    aliases = "".join(f"k{i}: &k{i} [{', '.join([f'*k{i - 1}'] * 9)}]\n" for i in range(1, 20))
    yield b"k0: &k0 [lol]\n" + aliases.encode()
    yield b"k0: &k0 [lol]\n" + aliases.encode() + b"network: {name: efficientnet, options: {x: *k19}}\n"
    yield b"network: &k {options: *k}\n"
    yield b"steps: 2026-99-99\nseed: !!int ''\n"
    yield yaml.safe_dump({"source": ["A"], "folds": 3, "fold": 1, "label_budget": 9}).encode()


def _records() -> Iterator[bytes]:
    yield json.dumps({"schema": 1, "format": "heart2heart frame store", "geometry": {"name": "tmed2"}}).encode()
    yield json.dumps({"schema": 1, "name": "s", "classes": ["A4C"], "sha256": "0" * 64}).encode()
    yield json.dumps({"schema_version": 1, "smallest_cell": 5, "site": "E", "sha256": "0" * 64}).encode()
    yield json.dumps({"schema_version": 1, "split_sha256": "0" * 64, "checks": [], "pairs": []}).encode()
    yield json.dumps({"raters": [{"name": "r", "sha256": "0" * 64, "until": "2030-01-01"}]}).encode()
    yield b'{"kind": "start", "schema_version": 1, "previous": "", "sha256": "0"}\n'
    yield b'{"schema_version": 1, "value": NaN, "sha256": "0"}'


GENERATORS = {
    "dicom": _dicom,
    "clean_copy": _dicom,
    "decoders": _decoders,
    "labels": _labels,
    "predictions": _predictions,
    "multipart": _multipart,
    "verify_deid": _verify_deid,
    "config": _config,
    "records": _records,
}
"""Target -> what generates its seeds."""
