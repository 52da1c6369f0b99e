"""The DICOM header of a recording, filled as real machines fill it, and marked as synthetic."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import UID

from heart2heart.schema.enums import ClipMode
from heart2heart.schema.views import get_view
from heart2heart.synthetic.cardiac_motion import END_SYSTOLE, phase_times
from heart2heart.synthetic.config import HospitalConfig
from heart2heart.synthetic.patient import InventedIdentity, age_string
from heart2heart.synthetic.pixel_data import SYNTAX_UIDS, set_pixel_data
from heart2heart.synthetic.recording import Recording

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
    recording: Recording, instance_uid: str, study: StudyHeader, hospital: HospitalConfig, number: int, heart_rate: float, *,
    view_code: bool = False, phase_tags: bool = False,
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
