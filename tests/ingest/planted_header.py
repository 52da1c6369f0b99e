"""Identities planted in every place of a DICOM file, found by walking the data dictionary rather than by a list."""

from __future__ import annotations

from pydicom import Dataset
from pydicom._dicom_dict import DicomDictionary
from pydicom.encaps import encapsulate, generate_frames
from pydicom.tag import Tag
from pydicom.uid import JPEGBaseline8Bit

from tests.dicom.build import dataset, encoded, region, speckle_frames

MARK = "ZQXPLANT"
DAY, TIME = "19431122", "131415.987654"
UID = "1.2.826.0.1.77777.424242"
BY_VR = {
    **dict.fromkeys(("PN", "LO", "SH", "LT", "ST", "UT", "UC", "UR", "CS", "AE"), MARK),
    "DA": DAY, "DT": f"{DAY}{TIME}", "TM": TIME, "UI": UID, "AS": "097Y",
}  # fmt: skip
NEEDED = {"SpecificCharacterSet", "SOPClassUID", "Modality", "PhotometricInterpretation"}
"""What a file must state truly to be taken for ultrasound at all."""
_NOT_IN_A_DATASET = (0x0000, 0x0002, 0x0004)
_BINARY = MARK.encode() * 4


def plant_everywhere(number: int, *, jpeg: bool) -> bytes:
    """Return a file in which every text element of the dictionary, and every place beside them, holds an identity.

    Args:
        number: Makes the pictures differ.
        jpeg: Whether the pictures are JPEG, with a comment and an application segment in every frame.
    """
    header = dataset(speckle_frames(4, seed=number), *([JPEGBaseline8Bit] if jpeg else []))
    elements = {entry[4]: (Tag(tag), entry[0]) for tag, entry in DicomDictionary.items()}
    free = {n: pair for n, pair in elements.items() if pair[0].group not in _NOT_IN_A_DATASET and n not in NEEDED}
    for tag, vr in free.values():
        if vr in BY_VR:
            header.add_new(tag, vr, BY_VR[vr])
    for name, (tag, vr) in free.items():
        if vr == "SQ" and name != "SequenceOfUltrasoundRegions":
            header.add_new(tag, "SQ", [_nested()])
    item = region()
    _private(item)
    item.PatientName = MARK
    header.SequenceOfUltrasoundRegions = [item]
    _private(header)
    for group in (0x5000, 0x6000, 0x601E):
        for element, vr in ((0x0022, "LO"), (0x1500, "LO"), (0x2500, "LO")):
            header.add_new(Tag(group, element), vr, MARK)
        header.add_new(Tag(group, 0x3000), "OW", _BINARY)
    header.EncapsulatedDocument, header.ICCProfile = _BINARY, _BINARY
    header.DataSetTrailingPadding = _BINARY
    meta = header.file_meta
    meta.SourceApplicationEntityTitle = meta.SendingApplicationEntityTitle = MARK
    meta.ReceivingApplicationEntityTitle = MARK
    meta.add_new(Tag(0x0002, 0x0100), "UI", UID)
    meta.PrivateInformation = _BINARY
    if jpeg:
        frames = [_with_segments(frame) for frame in generate_frames(header.PixelData, number_of_frames=4)]
        header.PixelData = encapsulate(frames)
        header["PixelData"].is_undefined_length = True
    header.preamble = (_BINARY * 4)[:128]
    return encoded(header) + _BINARY


def _nested() -> Dataset:
    inner, outer = Dataset(), Dataset()
    inner.PatientName, inner.StudyInstanceUID, inner.PatientBirthDate = MARK, UID, DAY
    outer.RequestAttributesSequence, outer.TextValue = [inner], MARK
    return outer


def _private(target: Dataset) -> None:
    block = target.private_block(0x0029, f"{MARK} CREATOR", create=True)
    block.add_new(1, "LO", MARK)
    block.add_new(2, "OB", _BINARY)
    block.add_new(3, "SQ", [_nested()])


def _with_segments(frame: bytes) -> bytes:
    """Return a JPEG with a COM, an APP1 and an APP2 segment behind its first marker."""
    segments = b"".join(
        b"\xff" + code + (len(_BINARY) + 2).to_bytes(2, "big") + _BINARY for code in (b"\xfe", b"\xe1", b"\xe2")
    )
    return frame[:2] + segments + frame[2:]
