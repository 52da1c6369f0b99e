"""Names, numbers and dates planted in every place a file has, searched for in every byte that an ingest leaves."""

import re
import subprocess
import sys
import traceback
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pydicom import Dataset

from heart2heart.deidentify.clip import load_clip
from heart2heart.dicom.header_values import silence_warnings
from heart2heart.errors import DicomError
from heart2heart.ingest.ledger import Ledger
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.geometry import Geometry
from tests.dicom.build import dataset, encoded, region, speckle_frames

MARK = "ZQXPLANT"
DATES = ("19431122", "20011223")
UID = "1.2.826.0.1.77777.424242"
TEXT_TAGS = (
    "PatientName", "PatientID", "IssuerOfPatientID", "OtherPatientNames", "PatientComments", "PatientAddress",
    "InstitutionName", "InstitutionAddress", "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName",
    "StudyDescription", "SeriesDescription", "ProtocolName", "StudyID", "AccessionNumber", "StationName",
    "DeviceSerialNumber", "SoftwareVersions", "ViewName", "StageName", "ImageComments", "RequestingPhysician",
    "MedicalRecordLocator", "EthnicGroup", "Occupation", "AdditionalPatientHistory", "DerivationDescription",
    "TransducerData", "PatientSex", "LossyImageCompressionMethod", "BurnedInAnnotation",
)  # fmt: skip

RUN = """
import logging, sys
from pathlib import Path
logging.basicConfig(level=logging.DEBUG)
from heart2heart.ingest import ingest, status_table
from tests.ingest.archive_kit import SMALL
root, store = Path(sys.argv[1]), Path(sys.argv[2])
print(status_table(ingest([root], site="a", store=store, key=store.with_suffix(".key"), settings=SMALL)))
"""


def planted(number: int) -> Dataset:
    """Return a clip with a mark, a date or a UID in every identifying tag, nested and private ones included."""
    header = dataset(speckle_frames(4, seed=number))
    with silence_warnings():
        for name in TEXT_TAGS:
            setattr(header, name, f"{MARK}{number}")
        for name in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
            setattr(header, name, DATES[1])
        header.PatientBirthDate = DATES[0]
        for index, name in enumerate(("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "DeviceUID")):
            setattr(header, name, f"{UID}.{number}.{index}")
        header.PatientAge = "097Y"
        header.Manufacturer = f"Dr. {MARK}'s Clinic"
        header.ManufacturerModelName = f"({MARK})"
        header.private_block(0x0029, f"{MARK} CREATOR", create=True).add_new(1, "LO", f"{MARK}{number}")
        item = region()
        item.private_block(0x0029, f"{MARK} CREATOR", create=True).add_new(1, "LO", MARK)
        code = Dataset()
        code.CodeValue, code.CodeMeaning, code.CodingSchemeDesignator = MARK, MARK, MARK
        header.SequenceOfUltrasoundRegions, header.ViewCodeSequence = [item], [code]
    return header


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write planted clips that are accepted, and planted files of many other ends, under planted paths."""
    root = tmp_path_factory.mktemp("planted") / "in" / f"{MARK}^FOLDER"
    root.mkdir(parents=True)
    with silence_warnings():
        whole = [encoded(planted(index)) for index in range(3)]
        for index, raw in enumerate(whole):
            (root / f"{MARK} {index}.dcm").write_bytes(raw)
        (root / f"{MARK} cut.dcm").write_bytes(whole[0][:-100_000])
        (root / f"{MARK} short.dcm").write_bytes(whole[0][: len(whole[0]) // 2])
        (root / f"{MARK} no preamble.dcm").write_bytes(whole[1][132:])
        (root / f"{MARK} copy.dcm").write_bytes(whole[2])
        (root / f"{MARK}.txt").write_text(MARK)
        for name, change in (
            ("rows", {"Rows": 0}),
            ("bounds", {"NumberOfFrames": 99_999_999}),
            ("capture", {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}),
            ("syntax", {"PhotometricInterpretation": MARK}),
            ("value", {"FrameTime": MARK, "CineRate": MARK}),
        ):
            header = planted(9)
            for tag, value in change.items():
                header.add_new(tag, "CS", value) if isinstance(value, str) else setattr(header, tag, value)
            (root / f"{MARK} {name}.dcm").write_bytes(encoded(header))
        flipped = bytearray(whole[0])
        flipped[200:1200:7] = bytes(len(flipped[200:1200:7]))
        (root / f"{MARK} damaged.dcm").write_bytes(bytes(flipped))
    return root


def every_byte(root: Path) -> bytes:
    """Return every byte below `root`, names of files included, and every value of its compressed tables."""
    parts = []
    for path in sorted(root.rglob("*")):
        parts.append(str(path.relative_to(root)).encode())
        if path.is_file():
            parts.append(path.read_bytes())
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            parts.append(str((table.to_pylist(), table.schema.metadata)).encode())
    return b"\n".join(parts)


def test_ingest_writes_nothing_planted(archive: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(archive), str(store)], capture_output=True, text=True, check=True
    )
    assert Ledger(store).counts()["a"]["accepted"] >= 5
    assert len(Ledger(store).counts()["a"]) >= 5
    left = every_byte(store) + done.stdout.encode() + done.stderr.encode()
    for secret in (MARK, UID, *DATES, "1943-11-22", "2001-12-23", "1943, 11", "2001, 12, 23", str(archive)):
        for form in (secret.encode(), secret.lower().encode(), secret.encode("utf-16-le")):
            assert form not in left, f"{secret} got through"
    key = (tmp_path / "store.key").read_text().strip()
    assert key.encode() not in left
    assert bytes.fromhex(key) not in left
    clips = FrameStore.open(store).clips
    assert set(clips["age"].to_pylist()) <= {90, None}
    assert set(clips["sex"].to_pylist()) == {None}
    labels = set(clips["maker"].to_pylist()) | set(clips["model"].to_pylist())
    assert all(re.fullmatch(r"unknown (maker|model) [0-9a-f]{4}", label) for label in labels)


def test_load_clip_quotes_nothing_planted_in_its_errors(archive: Path) -> None:
    refused = ("txt", "rows", "bounds", "capture", "syntax")
    for path in sorted(path for path in archive.iterdir() if any(word in path.name for word in refused)):
        with pytest.raises(DicomError) as raised:
            load_clip(path, geometry=Geometry("tmed2", 32), rule="even:1")
        text = "".join(traceback.format_exception(raised.value, limit=0)) + repr(raised.value)
        assert MARK not in text
        assert UID not in text
        assert not any(day in text for day in DATES)
