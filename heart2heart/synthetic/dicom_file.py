"""The DICOM dataset of a recording: header, as real machines fill it and marked as synthetic, and pixel data."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import simplejpeg
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless

from heart2heart.dicom.rle import encode_rle
from heart2heart.schema.enums import ClipMode
from heart2heart.schema.views import get_view
from heart2heart.synthetic.cardiac_motion import END_SYSTOLE, phase_times
from heart2heart.synthetic.colour_doppler import velocity_colour_map
from heart2heart.synthetic.config import HospitalConfig
from heart2heart.synthetic.patient import InventedIdentity, age_string
from heart2heart.synthetic.recording import Recording

Bytes = npt.NDArray[np.uint8]

JPEG_QUALITY = 82
SYNTAX_UIDS = {
    "jpeg": JPEGBaseline8Bit,
    "rle": RLELossless,
    "native": ExplicitVRLittleEndian,
    "palette": ExplicitVRLittleEndian,
}

_GRAYS = 192  # entries of the palette for gray; the rest are colours


def set_pixel_data(dataset: Dataset, frames: Bytes, syntax: str) -> None:
    """Write the image pixel module of `dataset`.

    Args:
        dataset: Where to.
        frames: uint8 `(n, rows, columns)` or RGB `(n, rows, columns, 3)`.
        syntax: A key of `SYNTAX_UIDS`. Gray frames become MONOCHROME2 in `rle` and `native`.
    """
    dataset.Rows, dataset.Columns = frames.shape[1:3]
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    if syntax == "palette":
        _set_palette(dataset, frames)
        return
    gray = frames.ndim == 3
    dataset.SamplesPerPixel = 1 if gray and syntax != "jpeg" else 3
    dataset.PhotometricInterpretation = "MONOCHROME2" if gray else "RGB"
    if dataset.SamplesPerPixel == 3:
        dataset.PlanarConfiguration = 0
    if syntax == "native":
        _set_native(dataset, frames)
    elif syntax == "rle":
        _set_encapsulated(dataset, [encode_rle(frame) for frame in frames])
    else:
        dataset.PhotometricInterpretation = "YBR_FULL_422"
        encoded = [_encode_jpeg(frame) for frame in frames]
        dataset.LossyImageCompression = "01"
        dataset.LossyImageCompressionRatio = f"{frames.size * (3 if gray else 1) / sum(map(len, encoded)):.1f}"
        dataset.LossyImageCompressionMethod = "ISO_10918_1"
        _set_encapsulated(dataset, encoded)


def _encode_jpeg(frame: Bytes) -> bytes:
    """Encode a gray or RGB frame with three components, chroma halved along rows."""
    rgb = np.repeat(frame[..., None], 3, axis=2) if frame.ndim == 2 else frame
    encoded: bytes = simplejpeg.encode_jpeg(rgb, JPEG_QUALITY, "RGB", "422")
    return encoded


def _set_encapsulated(dataset: Dataset, encoded: list[bytes]) -> None:
    dataset.PixelData = encapsulate(encoded, has_bot=True)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True


def _set_native(dataset: Dataset, frames: Bytes) -> None:
    raw = frames.tobytes()
    dataset.PixelData = raw + b"\0" * (len(raw) % 2)
    dataset["PixelData"].VR = "OB"


@lru_cache(maxsize=1)
def _palette_lookup() -> tuple[Bytes, Bytes]:
    """Return the palette `(256, 3)` and, for each colour of a 32 x 32 x 32 cube, its nearest entry."""
    grays = np.round(np.linspace(0, 255, _GRAYS))[:, None].repeat(3, axis=1)
    entries = np.concatenate([grays, velocity_colour_map()[:: 256 // (256 - _GRAYS)]]).astype(np.int32)
    level = np.arange(32) * 8 + 4
    cube = np.stack(np.meshgrid(level, level, level, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.int32)
    nearest = np.empty(len(cube), dtype=np.uint8)
    for first in range(0, len(cube), 4096):
        part = cube[first : first + 4096]
        nearest[first : first + 4096] = ((part[:, None] - entries) ** 2).sum(axis=2).argmin(axis=1)
    return entries.astype(np.uint8), nearest


def _set_palette(dataset: Dataset, frames: Bytes) -> None:
    entries, nearest = _palette_lookup()
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "PALETTE COLOR"
    scaled = np.round(np.arange(256) * ((_GRAYS - 1) / 255)).astype(np.uint8)
    if frames.ndim == 3:
        index = scaled[frames]
    else:
        cube = frames >> 3
        colour_code = (cube[..., 0].astype(np.int32) << 10) | (cube[..., 1].astype(np.int32) << 5) | cube[..., 2]
        gray = (frames[..., 0] == frames[..., 1]) & (frames[..., 1] == frames[..., 2])
        index = np.where(gray, scaled[frames[..., 0]], nearest[colour_code])
    for descriptor_index, name in enumerate(("Red", "Green", "Blue")):
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        words = entries[:, descriptor_index].astype("<u2") * 257
        setattr(dataset, f"{name}PaletteColorLookupTableData", words.tobytes())
    _set_native(dataset, index)


US_MULTI_FRAME = UID("1.2.840.10008.5.1.4.1.1.3.1")
US_IMAGE = UID("1.2.840.10008.5.1.4.1.1.6.1")
IMPLEMENTATION_CLASS_UID = UID("2.25.162339128847110947163087463522091846283")


@dataclass(frozen=True)
class StudyHeader:
    """What all files of one study share.

    Attributes:
        identity: The invented person.
        time: Invented date and time.
        study_uid: Study instance UID.
        series_uid: Series instance UID.
        accession: Accession number.
    """

    identity: InventedIdentity
    time: datetime.datetime
    study_uid: str
    series_uid: str
    accession: str

    @property
    def caption(self) -> tuple[str, str, str]:
        """Name, number and date as a machine burns them in."""
        name = self.identity.name.replace("^", ", ")
        return name, self.identity.number, self.time.strftime("%d.%m.%Y %H:%M")


def base_dataset(
    sop_class: UID, instance_uid: str, study: StudyHeader, hospital: HospitalConfig, number: int, syntax: UID
) -> Dataset:
    """Return a dataset with file meta, patient, study, series and equipment, and SyntheticData = YES."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = UID(instance_uid)
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = "HEART2HEART_SIM"
    dataset = Dataset()
    dataset.file_meta = meta
    person, day, time = study.identity, study.time.strftime("%Y%m%d"), study.time.strftime("%H%M%S")
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SyntheticData = "YES"
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, UID(instance_uid)
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = day
    dataset.AcquisitionDateTime = day + time
    dataset.StudyTime = dataset.SeriesTime = time
    dataset.ContentTime = (study.time + datetime.timedelta(seconds=40 * number)).strftime("%H%M%S")
    dataset.AccessionNumber = study.accession
    dataset.Modality = "US"
    dataset.Manufacturer = hospital.manufacturer
    dataset.InstitutionName = f"Synthetic Hospital {hospital.name}"
    dataset.ReferringPhysicianName = "INVENTED^REFERRER"
    dataset.OperatorsName = "INVENTED^SONOGRAPHER"
    dataset.StationName = hospital.station
    dataset.StudyDescription = "Synthetic adult echocardiogram"
    dataset.ManufacturerModelName = hospital.model
    dataset.SoftwareVersions = "1.0"
    dataset.DeviceSerialNumber = f"SIM{len(hospital.name):02d}{hospital.station}"
    dataset.PatientName, dataset.PatientID = person.name, person.number
    dataset.PatientBirthDate, dataset.PatientSex = person.born.strftime("%Y%m%d"), person.sex
    dataset.PatientAge = age_string(person.born, study.time.date())
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = UID(study.study_uid), UID(study.series_uid)
    dataset.StudyID, dataset.SeriesNumber, dataset.InstanceNumber = "1", 1, number
    if hospital.private_creator:
        dataset.add_new(Tag(0x0019, 0x0010), "LO", hospital.private_creator)
        dataset.add_new(Tag(0x0019, 0x1010), "LO", person.name.replace("^", " "))
    return dataset


def recording_dataset(
    recording: Recording, instance_uid: str, study: StudyHeader, hospital: HospitalConfig, number: int,
    heart_rate: float, *, view_code: bool = False, phase_tags: bool = False,
) -> Dataset:  # fmt: skip
    """Return the whole dataset of a recording, pixels included.

    Args:
        recording: What was recorded.
        instance_uid: SOP instance UID.
        study: The study it belongs to.
        hospital: Machine, transfer syntax and habits.
        number: Instance number.
        heart_rate: Beats a minute.
        view_code: Fill View Code Sequence.
        phase_tags: Say where the beat is.
    """
    clip = len(recording.frames) > 1
    sop_class = US_MULTI_FRAME if clip else US_IMAGE
    dataset = base_dataset(sop_class, instance_uid, study, hospital, number, SYNTAX_UIDS[hospital.syntax])
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "EPICARDIAL", "0011" if recording.mode == ClipMode.COLOUR else "0001"]
    dataset.TransducerData = [hospital.transducer, "", ""]
    dataset.HeartRate = round(heart_rate)
    dataset.BurnedInAnnotation = "NO" if hospital.overlays.banner == "none" else "YES"
    dataset.SequenceOfUltrasoundRegions = Sequence([region.to_dataset() for region in recording.regions])
    dataset.UltrasoundColorDataPresent = 1 if recording.mode == ClipMode.COLOUR else 0
    if clip:
        dataset.NumberOfFrames = len(recording.frames)
        _set_frame_times(dataset, recording, hospital)
        if phase_tags:
            _set_cardiac_phase(dataset, recording, heart_rate, hospital.phase_form)
    if view_code:
        _set_view_code(dataset, recording.view)
    set_pixel_data(dataset, recording.frames, hospital.syntax)
    return dataset


def _set_frame_times(dataset: Dataset, recording: Recording, hospital: HospitalConfig) -> None:
    steps = np.diff(recording.times) * 1000.0
    if hospital.frame_time_vector:
        dataset.FrameTimeVector = [0.0, *(round(float(step), 3) for step in steps)]
        dataset.FrameIncrementPointer = Tag(0x0018, 0x1065)
    else:
        dataset.FrameTime = f"{float(steps.mean()):.3f}"
        dataset.FrameIncrementPointer = Tag(0x0018, 0x1063)
    rate = round(1000.0 / float(steps.mean()))
    dataset.CineRate = dataset.RecommendedDisplayFrameRate = rate


def _set_cardiac_phase(dataset: Dataset, recording: Recording, heart_rate: float, form: str) -> None:
    last = float(recording.times[-1])
    waves, ends = (phase_times(phase, recording.start, heart_rate, last) for phase in (0.0, END_SYSTOLE))
    if form == "r_waves":
        dataset.RWaveTimeVector = [1000.0 * wave for wave in waves]
        return
    named = [(int(np.abs(recording.times - wave).argmin()) + 1, "RWAVE") for wave in waves]
    named += [(int(np.abs(recording.times - end).argmin()) + 1, "ENDSYSTOLE") for end in ends]
    dataset.FrameNumbersOfInterest = [number for number, _ in named]
    dataset.FrameOfInterestType = [kind for _, kind in named]


def _set_view_code(dataset: Dataset, name: str) -> None:
    view = get_view(name)
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = view.code, view.scheme, view.title
    dataset.ViewCodeSequence = Sequence([item])
