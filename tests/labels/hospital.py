"""A hospital of two studies with two SYNTHETIC clips each: DICOM files, the store that came of them, and the key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage

from heart2heart.deidentify.pseudonyms import Key, Pseudonymizer
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.geometry import Geometry

NAME = "Invented^Planted"


@dataclass(frozen=True)
class Hospital:
    """What a test needs of it: clip `c0` to `c3`, in files 0.dcm to 3.dcm with SOP Instance UIDs 1.2.99.0 to .3."""

    files: Path
    store: FrameStore
    key: Path


def make_hospital(root: Path, codes: dict[int, tuple[str, str]] | None = None) -> Hospital:
    """Write it.

    Args:
        root: Folder.
        codes: View code and scheme by clip, for View Code Sequence.
    """
    key = root / "a.key"
    pseudonyms = Pseudonymizer(Key.open(key))
    (root / "files").mkdir()
    store = FrameStore.create(root / "store", Geometry("tmed2", 16))
    with store.writer() as writer:
        for clip_index in range(4):
            header = Dataset()
            header.file_meta = FileMetaDataset()
            header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            header.SOPClassUID, header.SOPInstanceUID = UltrasoundMultiFrameImageStorage, f"1.2.99.{clip_index}"
            header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
            header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
            header.SyntheticData, header.Modality = "YES", "US"
            header.PatientName, header.PatientID = NAME, f"PLANTED{clip_index // 2}"
            header.StudyInstanceUID, header.SeriesInstanceUID = f"1.2.98.{clip_index // 2}", f"1.2.97.{clip_index // 2}"
            header.StudyDate = "20200102"
            if codes and clip_index in codes:
                item = Dataset()
                item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = *codes[clip_index], "a view"
                header.ViewCodeSequence = [item]
            path = root / "files" / f"{clip_index}.dcm"
            header.save_as(path, enforce_file_format=True)
            row = {
                "clip": f"c{clip_index}", "site": "A", "patient": f"p{clip_index // 2}", "study": f"s{clip_index // 2}",
                "instance": pseudonyms.uid(f"1.2.99.{clip_index}"), "content": pseudonyms.content(path),
                "source": "dicom", "synthetic": True, "mode": "b_mode", "rows": 1, "columns": 1, "n_source": 2,
                "quality": 0.5, "flags": [],
            }  # fmt: skip
            frames = [{"index": index, "quality": 0.5, "dhash": index} for index in range(2)]
            writer.add(row, np.full((2, 16, 16), clip_index, np.uint8), frames)
    return Hospital(root / "files", FrameStore.open(store.root), key)
