"""Forms in which the identities of one small archive may leave: each writes one file."""

from __future__ import annotations

import base64
import bz2
import datetime
import gzip
import hashlib
import html
import io
import json
import lzma
import struct
import tarfile
import unicodedata
import urllib.parse
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, PngImagePlugin
from pydicom import Dataset, dcmread

from tests.dicom.build import speckle_frames, write

FAMILY, GIVEN = "Grünbichler", "Hannelore"
SHORT_FAMILY = "Wenk"
JAPANESE = "Yamamoto^Tarou=山本^太郎=やまもと^たろう"
NUMBER, CODE = "0004711471", "KH-88123-77"
UID = "1.2.826.0.1.77777.424242"
BORN = "1947-08-13"
WARD, PRIVATE = "Kowalczykova", "Brandtmeyer"

Content = bytes | Callable[[Path], object]


def write_archive(folder: Path) -> Path:
    """Write the DICOM files that hold the identities; one of them in a zip file within a zip file."""
    first = write(
        folder / "one.dcm", speckle_frames(2), PatientName=f"{FAMILY}^{GIVEN}", PatientID=NUMBER,
        PatientBirthDate=BORN.replace("-", ""), SOPInstanceUID=UID, AccessionNumber=CODE,
        SpecificCharacterSet="ISO_IR 100", StudyDescription=f"Echo for {WARD}, ward 7",
    )  # fmt: skip
    dataset = dcmread(first)
    dataset.private_block(0x0019, "ACME", create=True).add_new(0x10, "LO", f"seen by {PRIVATE} at noon")
    dataset.save_as(first)
    write(folder / "two.dcm", speckle_frames(2), PatientName=f"{SHORT_FAMILY}^Ida", PatientID="TEST-2")
    third = write(folder / "three.dcm", speckle_frames(2), PatientID="TEST-3")
    japanese = dcmread(third)
    japanese.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    japanese.PatientName = JAPANESE
    japanese.save_as(third)
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as packed:
        packed.write(third, "three.dcm")
    with zipfile.ZipFile(folder / "more.zip", "w") as outer:
        outer.writestr("inner.zip", inner.getvalue())
    third.unlink()
    return folder


def _zip(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.txt", data)
    return buffer.getvalue()


def _tar(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        member = tarfile.TarInfo("a.txt")
        member.size = len(data)
        packed.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _pdf(text: bytes) -> bytes:
    stream = zlib.compress(b"BT /F1 12 Tf 72 720 Td " + text + b" ET")
    head = b"%%PDF-1.4\n4 0 obj << /Length %d /Filter /FlateDecode >> stream\n" % len(stream)
    return head + stream + b"\nendstream endobj\n%%EOF"


def _png(*, zipped: bool, international: bool = False) -> bytes:
    info, buffer = PngImagePlugin.PngInfo(), io.BytesIO()
    if international:
        info.add_itxt("Comment", f"{GIVEN} {FAMILY}", zip=zipped)
    else:
        info.add_text("Comment", f"{GIVEN} {FAMILY}", zip=zipped)
    Image.new("L", (8, 8)).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def _jpeg(*, exif: bool) -> bytes:
    buffer, image = io.BytesIO(), Image.new("L", (8, 8))
    tags = image.getexif()
    if exif:
        tags[0x9C9D] = f"{GIVEN} {FAMILY}".encode("utf-16-le")  # XPAuthor
    image.save(buffer, "JPEG", exif=tags, comment=b"" if exif else f"{SHORT_FAMILY}^Ida".encode())
    return buffer.getvalue()


def _parquet(**columns: object) -> Callable[[Path], object]:
    return lambda path: pq.write_table(pa.table(columns), path, compression="zstd")


def _arrow(**columns: object) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        table = pa.table(columns)
        with pa.ipc.new_file(str(path), table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
            writer.write_table(table)

    return write


def _dicom(change: Callable[[Dataset], object]) -> Callable[[Path], object]:
    def plant(path: Path) -> None:
        dataset = dcmread(write(path, speckle_frames(2)))
        change(dataset)
        dataset.save_as(path)

    return plant


def _private(dataset: Dataset) -> None:
    block = dataset.private_block(0x0019, "ACME", create=True)
    block.add_new(0x10, "UN", b"ward 7, " + FAMILY.encode("latin-1") + b", bed 2 ")


def _npy(values: object) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(values))
    return buffer.getvalue()


def _json(value: object) -> bytes:
    return json.dumps({"value": value}).encode()


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


NAME = f"{FAMILY}^{GIVEN}"
COMPOSED = f"{GIVEN} {FAMILY}"
DECOMPOSED = unicodedata.normalize("NFD", FAMILY)

FORMS: dict[str, tuple[str, Content, str]] = {
    "name, as in the header": ("a.txt", f"read {NAME} twice".encode(), "name"),
    "name, Latin-1": ("a.txt", f"read {NAME} twice".encode("latin-1"), "name"),
    "name, reversed": ("a.txt", f"patient: {COMPOSED}".encode(), "name"),
    "name, with a comma": ("a.txt", f"{FAMILY}, {GIVEN}".encode(), "name"),
    "name, in capitals": ("a.txt", FAMILY.upper().encode(), "name"),
    "name, in small letters": ("a.txt", FAMILY.lower().encode(), "name"),
    "family name within a word": ("a.txt", f"x{FAMILY}x".encode(), "name"),
    "family name and initial": ("a.txt", f"{FAMILY}, H.".encode(), "name"),
    "initial and family name": ("a.txt", f"H. {FAMILY}".encode(), "name"),
    "given name alone": ("a.txt", f"for {GIVEN}".encode(), "name"),
    "GRUENBICHLER": ("a.txt", b"for GRUENBICHLER", "name"),
    "Gruenbichler": ("a.txt", b"for Gruenbichler", "name"),
    "Grunbichler": ("a.txt", b"for Grunbichler", "name"),
    "umlaut, decomposed": ("a.txt", f"for {DECOMPOSED}".encode(), "name"),
    "umlaut, percent code": ("a.txt", f"?q={urllib.parse.quote(FAMILY)}".encode(), "name"),
    "umlaut, percent code of Latin-1": (
        "a.txt",
        f"?q={urllib.parse.quote(FAMILY, encoding='latin-1')}".encode(),
        "name",
    ),
    "umlaut, decomposed, percent code": ("a.txt", f"?q={urllib.parse.quote(DECOMPOSED)}".encode(), "name"),
    "umlaut, quoted-printable": ("a.txt", b"=?utf-8?q?Gr=C3=BCnbichler?=", "name"),
    "umlaut, HTML reference": ("a.html", html.escape(FAMILY).replace("ü", "&uuml;").encode(), "name"),
    "umlaut, JSON escape": ("a.json", _json(FAMILY), "name"),
    "umlaut, Python escape": ("a.log", b"read Gr\\xfcnbichler", "name"),
    "umlaut, code page 437": ("a.txt", FAMILY.encode("cp437"), "name"),
    "four-letter family name": ("a.txt", f"for {SHORT_FAMILY}.".encode(), "name"),
    "four-letter family name, capitals": ("a.csv", f"1;{SHORT_FAMILY.upper()};2".encode(), "name"),
    "four-letter family name, UTF-16": ("a.txt", f"for {SHORT_FAMILY}.".encode("utf-16"), "name"),
    "Japanese family name, UTF-8": ("a.txt", "患者 山本".encode(), "name"),
    "Japanese name without a sign": ("a.txt", "山本太郎".encode(), "name"),
    "Japanese name, Shift JIS": ("a.txt", "患者 山本".encode("shift_jis"), "name"),
    "Japanese name, EUC": ("a.txt", "患者 山本".encode("euc_jp"), "name"),
    "Japanese name, ISO 2022 IR 87": ("a.txt", "患者 山本".encode("iso2022_jp"), "name"),
    "Japanese name, UTF-16": ("a.txt", "患者 山本太郎".encode("utf-16"), "name"),
    "Japanese name, hiragana": ("a.txt", "やまもと".encode(), "name"),
    "Japanese name, katakana": ("a.txt", "ヤマモト".encode(), "name"),
    "Japanese name, half-width katakana": ("a.txt", "ﾔﾏﾓﾄ".encode("shift_jis"), "name"),
    "Japanese name, Latin letters": ("a.txt", b"YAMAMOTO, T", "name"),
    "Japanese name, JSON escape": ("a.json", _json("山本"), "name"),
    "number, as in the header": ("a.txt", f"id {NUMBER}".encode(), "id"),
    "number without leading zeros": ("a.txt", b"id 4711471", "id"),
    "number with further zeros": ("a.txt", b"id 000004711471", "id"),
    "number in a column of integers": ("a.parquet", _parquet(patient=[4711471, 2]), "id"),
    "number in a column of an Arrow file": ("a.arrow", _arrow(patient=[4711471, 2]), "id"),
    "number in a column of floats": ("a.parquet", _parquet(patient=[4711471.0, None]), "id"),
    "number in an array of integers": ("a.npy", _npy([4711471, 5]), "id"),
    "number in JSON": ("a.json", _json(4711471), "id"),
    "number in a UID": ("a.txt", b"1.2.840.4711471.5", "id"),
    "number with separators": ("a.txt", b"4,711,471", "id"),
    "code without its signs": ("a.txt", b"accession KH8812377", "id"),
    "plain hash": ("a.json", _json(hashlib.sha256(NUMBER.encode()).hexdigest()), "id, as a plain hash"),
    "UID": ("a.html", f"<p>{UID}.7.1</p>".encode(), "uid"),
    "hexadecimal": ("a.json", _json(NAME.encode().hex()), "name"),
    "hexadecimal within more": ("a.json", _json(f"read {FAMILY} twice".encode().hex()), "name"),
    "hexadecimal, spaced": ("a.txt", f"for {SHORT_FAMILY}^Ida".encode().hex(" ").encode(), "name"),
    "base64": ("a.txt", _b64(f"for {FAMILY} and more").encode(), "name"),
    "base64 in JSON": ("a.json", _json(_b64(f"the patient {FAMILY}")), "name"),
    "base64 of a number in JSON": ("a.json", _json(_b64(NUMBER)), "id"),
    "base64, shifted, in JSON": ("a.json", _json("k" + _b64(f"the patient {FAMILY}")), "name"),
    "base64 for addresses": ("a.json", _json(base64.urlsafe_b64encode(f"??>> {FAMILY}".encode()).decode()), "name"),
    "base64 in lines": ("a.txt", base64.encodebytes((b"-" * 52) + FAMILY.encode() + b"-" * 40), "name"),
    "picture in a page": ("a.html", f'<img src="data:image/png;base64,{_b64(NUMBER)}">'.encode(), "id"),
    "UTF-16, little": ("a.txt", NAME.encode("utf-16-le"), "name"),
    "UTF-16, big": ("a.txt", NAME.encode("utf-16-be"), "name"),
    "UTF-32, little": ("a.txt", NAME.encode("utf-32-le"), "name"),
    "UTF-32, big": ("a.txt", NAME.encode("utf-32-be"), "name"),
    "array of text": ("a.npy", _npy(["x", FAMILY]), "name"),
    "gzip": ("a.gz", gzip.compress(NAME.encode()), "name"),
    "xz": ("a.xz", lzma.compress(NAME.encode()), "name"),
    "bz2": ("a.bz2", bz2.compress(NAME.encode()), "name"),
    "zlib": ("a.bin", zlib.compress(NAME.encode()), "name"),
    "zip": ("a.zip", _zip(NAME.encode()), "name"),
    "zip within gzip": ("a.gz", gzip.compress(_zip(NAME.encode())), "name"),
    "tar, gzip": ("a.tgz", _tar(NAME.encode()), "name"),
    "zstd": ("a.zst", bytes(pa.compress(NAME.encode() * 9, "zstd", asbytes=True)), "name"),
    "PDF stream": ("a.pdf", _pdf(b"(for Gruenbichler) Tj"), "name"),
    "PDF stream, kerned": ("a.pdf", _pdf(b"[(Gru) -20 (enbich) 3 (ler)] TJ"), "name"),
    "PNG, tEXt": ("a.png", _png(zipped=False), "name"),
    "PNG, zTXt": ("a.png", _png(zipped=True), "name"),
    "PNG, iTXt": ("a.png", _png(zipped=True, international=True), "name"),
    "JPEG, EXIF": ("a.jpg", _jpeg(exif=True), "name"),
    "JPEG, comment": ("a.jpg", _jpeg(exif=False), "name"),
    "private tag": ("a.dcm", _dicom(_private), "name"),
    "description": (
        "a.dcm",
        _dicom(lambda dataset: setattr(dataset, "SeriesDescription", f"for {SHORT_FAMILY}, bed 2")),
        "name",
    ),
    "name from a description": ("a.txt", f"for {WARD}".encode(), "text"),
    "name from a private tag": ("a.txt", f"for {PRIVATE}".encode(), "text"),
    "date, ISO": ("a.txt", BORN.encode(), "date"),
    "date, ISO with a time": ("a.json", _json(f"{BORN}T00:00:00"), "date"),
    "date, DICOM": ("a.txt", b"born 19470813", "date"),
    "date, 13.08.1947": ("a.txt", b"geb. 13.08.1947", "date"),
    "date, 13.8.1947": ("a.txt", b"geb. 13.8.1947", "date"),
    "date, 13.08.47": ("a.txt", b"geb. 13.08.47", "date"),
    "date, 13. August 1947": ("a.txt", b"geb. 13. August 1947", "date"),
    "date, August 13, 1947": ("a.txt", b"born August 13, 1947.", "date"),
    "date, 08/13/1947": ("a.txt", b"born 08/13/1947", "date"),
    "date, 08/13/47": ("a.txt", b"born 08/13/47", "date"),
    "date, 13-Aug-1947": ("a.txt", b"born 13-Aug-1947", "date"),
    "date, 昭和22年8月13日": ("a.txt", "昭和22年8月13日".encode(), "date"),
    "date, seconds": ("a.json", _json(-706492800), "date"),
    "date, Parquet": ("a.parquet", _parquet(born=[datetime.date.fromisoformat(BORN)]), "date"),
    "six digits, 470813": ("a.txt", b"born 470813", "date"),
    "name, sounds alike": ("a.txt", b"for Grynbichlar", "name"),
    "name, letters apart": ("a.txt", b"G r u e n b i c h l e r", "name"),
    "name, letters moved by 13": ("a.txt", b"Tehraovpuyre", "name"),
    "number, little-endian bytes": ("a.bin", b"\0" * 9 + struct.pack("<I", 4711471) + b"\0" * 9, "id"),
}
"""Form -> file name, content, kind of finding."""

NOT_FOUND = frozenset(
    {
        "six digits, 470813", "name, sounds alike", "name, letters apart", "name, letters moved by 13",
        "number, little-endian bytes",
    }
)  # fmt: skip
"""Forms that the search does not find; SECURITY.md names them."""


def plant(folder: Path, form: str) -> Path:
    """Write one form into a new folder."""
    name, content, _ = FORMS[form]
    folder.mkdir()
    if isinstance(content, bytes):
        (folder / name).write_bytes(content)
    else:
        content(folder / name)
    return folder
