"""Invented identities, planted into the places where DICOM headers hold them, with the answer key for each element.

Categories are those of MIDI-B: the identifiers of HIPAA Safe Harbor (45 CFR 164.514(b)(2)), by letter; the Basic
Profile and required attributes (PS3.15 table E.1-1, the types of PS3.3); and what TCIA keeps (PS3.15 options Clean
Descriptors, Retain Device Identity, Retain Patient Characteristics). `TCIA-US` is ours: geometry, timing, view, stage.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta

from pydicom import Dataset
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.uid import UID

from benchmarks.deid_answer_key import Action, Requirement, element_text
from heart2heart.dicom.header_values import silence_warnings

_SYLLABLES = ("ka", "mor", "eli", "tan", "vos", "ber", "din", "ula", "ser", "pov", "gri", "hal", "ney", "zor", "wim")


@dataclass(frozen=True)
class PlantedPerson:
    """An invented patient with the people, numbers and places around one study; nobody has them."""

    family: str
    given: str
    doctor: str
    town: str
    number: str
    phone: str
    mail: str
    social: str
    serial: str
    account: str
    born: date
    age: str
    sex: str


def draw_person(draw: random.Random) -> PlantedPerson:
    """Return an invented person; one in six is older than 90 years, whose age is capped to `090Y`."""
    family, first, doctor, town = ("".join(draw.choices(_SYLLABLES, k=3)).capitalize() for _ in range(4))
    age = draw.randrange(91, 102) if draw.random() < 1 / 6 else draw.randrange(20, 90)
    return PlantedPerson(
        family=family,
        given=first,
        doctor=doctor,
        town=town,
        number=str(draw.randrange(10**7, 10**8)),
        phone=f"{draw.randrange(200, 999)}-555-{draw.randrange(1000, 9999)}",
        mail=f"{first}.{family}@example.org".lower(),
        social=f"{draw.randrange(900, 999)}-{draw.randrange(10, 99)}-{draw.randrange(1000, 9999)}",
        serial=f"SN{draw.randrange(10**5, 10**6)}{draw.choice('ABCDEFGH')}",
        account=f"A{draw.randrange(10**7, 10**8)}",
        born=date(2019 - age, draw.randrange(1, 13), draw.randrange(1, 29)),
        age=f"{age:03d}Y",
        sex=draw.choice("FM"),
    )


# element: template, category, and the words of the template that identify (they are removed) or are useful.
_IDENTITIES = {
    "PatientName": ("{family}^{given}", "A", "{family} {given}"),
    "OtherPatientNames": ("{given} {family}", "A", "{family} {given}"),
    "PatientBirthName": ("{family}", "A", "{family}"),
    "PatientMotherBirthName": ("{family}", "A", "{family}"),
    "ResponsiblePerson": ("{family}^Parent", "A", "{family}"),
    "ReferringPhysicianName": ("{doctor}^Dr", "A", "{doctor}"),
    "PerformingPhysicianName": ("{doctor}^Dr", "A", "{doctor}"),
    "OperatorsName": ("{doctor}", "A", "{doctor}"),
    "PhysiciansOfRecord": ("{doctor}", "A", "{doctor}"),
    "NameOfPhysiciansReadingStudy": ("{doctor}", "A", "{doctor}"),
    "RequestingPhysician": ("{doctor}", "A", "{doctor}"),
    "ContentCreatorName": ("{doctor}", "A", "{doctor}"),
    "ImageComments": ("pt {family} seen by Dr {doctor}", "A", "{family} {doctor}"),
    "PatientState": ("{given} anxious", "A", "{given}"),
    "OriginalAttributesSequence[0].ModifiedAttributesSequence[0].PatientName": ("{family}^{given}", "A", "{family}"),
    "RequestAttributesSequence[0].ScheduledProcedureStepDescription": ("Echo for {family}", "A", "{family}"),
    "SequenceOfUltrasoundRegions[0].00291001": ("{family}", "A", "{family}"),
    "00291001": ("{family}, {given}", "A", "{family} {given}"),
    "00291003": ("{doctor}", "A", "{doctor}"),
    "InstitutionName": ("{town} General Hospital", "B", "{town}"),
    "InstitutionAddress": ("12 {town} Street, {town}", "B", "{town}"),
    "InstitutionalDepartmentName": ("Echo Lab {town}", "B", "{town}"),
    "PatientAddress": ("7 {town} Road", "B", "{town}"),
    "RegionOfResidence": ("{town}", "B", "{town}"),
    "CurrentPatientLocation": ("Ward {town}", "B", "{town}"),
    "ReferringPhysicianAddress": ("{town}", "B", "{town}"),
    "PatientTelephoneNumbers": ("{phone}", "D", "{phone}"),
    "ReferringPhysicianTelephoneNumbers": ("{phone}", "D", "{phone}"),
    "RequestedProcedureComments": ("fax the report to {phone}", "E", "{phone}"),
    "PatientTelecomInformation": ("{mail}", "F", "{mail}"),
    "PatientComments": ("write to {mail}", "F", "{mail}"),
    "AdditionalPatientHistory": ("SSN {social}", "G", "{social}"),
    "PatientID": ("{number}", "H", "{number}"),
    "OtherPatientIDs": ("{number}", "H", "{number}"),
    "OtherPatientIDsSequence[0].PatientID": ("{number}", "H", "{number}"),
    "MedicalRecordLocator": ("{number}", "H", "{number}"),
    "InsurancePlanIdentification": ("{account}", "I", "{account}"),
    "AccessionNumber": ("{account}", "J", "{account}"),
    "StudyID": ("{account}", "J", "{account}"),
    "AdmissionID": ("{account}", "J", "{account}"),
    "RequestedProcedureID": ("{account}", "J", "{account}"),
    "PerformedProcedureStepID": ("{account}", "J", "{account}"),
    "FillerOrderNumberImagingServiceRequest": ("{account}", "J", "{account}"),
    "ReferringPhysicianIdentificationSequence[0].PersonIdentificationCodeSequence[0].CodeValue": (
        "{account}", "K", "{account}",
    ),
    "DeviceSerialNumber": ("{serial}", "M", "{serial}"),
    "DeviceID": ("{serial}", "M", "{serial}"),
    "TransducerData": ("S5-1\\{serial}", "M", "{serial}"),
    "StationName": ("ROOM-{serial}", "M", "{serial}"),
    "00291002": ("{serial}", "M", "{serial}"),
    "RetrieveURL": ("https://pacs.{town}.example.org/{number}", "N", "{number}"),
    "NetworkID": ("10.20.30.40", "O", "10.20.30.40"),
}  # fmt: skip

# element: templates with a name in them, identifying words, useful words (alternatives separated by |), category.
_MIXED = {
    "StudyDescription": ("TTE {family} {given}", "{family} {given}", "TTE|transthoracic", "TCIA-P15-DESC-C"),
    "SeriesDescription": (
        "{given} {family} apical 4 chamber", "{family} {given}", "apical 4 chamber|apical four chamber|A4C",
        "TCIA-P15-DESC-C",
    ),
    "ProtocolName": ("Stress echo, Dr {doctor}", "{doctor}", "stress echo", "TCIA-P15-DESC-C"),
    "PerformedProcedureStepDescription": (
        "Adult echocardiogram for {doctor}", "{doctor}", "adult echocardiogram", "TCIA-P15-DESC-C",
    ),
    "ManufacturerModelName": ("EPIQ 7C of Dr {doctor}", "{doctor}", "EPIQ", "TCIA-P15-DEV-K"),
    "ViewName": ("A4C {family}", "{family}", "A4C", "TCIA-US"),
    "StageName": ("Rest {given}", "{given}", "rest", "TCIA-US"),
}  # fmt: skip
_PLAIN = {  # the same elements as most files have them, without an identity
    "StudyDescription": ("Transthoracic echocardiogram", "", "transthoracic echocardiogram|TTE", "TCIA-P15-DESC-C"),
    "SeriesDescription": ("PLAX color Doppler mitral valve", "", "PLAX color doppler mitral valve", "TCIA-P15-DESC-C"),
    "ProtocolName": ("Adult Echo", "", "adult echo", "TCIA-P15-DESC-C"),
    "PerformedProcedureStepDescription": ("Dobutamine stress", "", "dobutamine stress", "TCIA-P15-DESC-C"),
    "ManufacturerModelName": ("Vivid E95", "", "Vivid E95", "TCIA-P15-DEV-K"),
    "ViewName": ("Apical four chamber", "", "apical four chamber|apical 4 chamber|A4C", "TCIA-US"),
    "StageName": ("Peak dose", "", "peak", "TCIA-US"),
}  # fmt: skip
_DATES = (
    "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "InstanceCreationDate", "AcquisitionDateTime",
    "PerformedProcedureStepStartDate", "DateOfLastCalibration", "AdmittingDate", "PatientBirthDate",
    "RequestAttributesSequence[0].ScheduledProcedureStepStartDate",
)  # fmt: skip
_UIDS = {
    "StudyInstanceUID": "study", "SeriesInstanceUID": "series", "SOPInstanceUID": "instance",
    "file_meta.MediaStorageSOPInstanceUID": "instance", "FrameOfReferenceUID": "frame", "DeviceUID": "device",
    "ReferencedStudySequence[0].ReferencedSOPInstanceUID": "study",
    "SourceImageSequence[0].ReferencedSOPInstanceUID": "source",
}  # fmt: skip
_KEPT_NUMBERS = {"PatientSize": "1.72", "PatientWeight": "81", "HeartRate": "68", "InstanceNumber": "7"}
_TYPE_1 = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality", "ImageType", "Rows",
    "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "NumberOfFrames",
    "FrameIncrementPointer",
)  # fmt: skip
_TYPE_2 = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName", "SeriesNumber", "InstanceNumber", "Manufacturer",
)  # fmt: skip
_US_FACTS = (
    "FrameTime", "FrameTimeVector", "CineRate", "RecommendedDisplayFrameRate", "PixelSpacing", "StageNumber",
    "NumberOfStages", "FrameNumbersOfInterest", "RWaveTimeVector", "UltrasoundColorDataPresent", "TransducerType",
    "SeriesNumber",
)  # fmt: skip


def plant(
    header: Dataset, person: PlantedPerson, *, day: date, study: int, clip: int, mixed: bool
) -> list[Requirement]:
    """Write an identity into a dataset and return its answer key.

    Args:
        header: A dataset as read; it is changed.
        person: Whose identity.
        day: Day of the study.
        study: Number of the study; its UIDs derive from it and from the person.
        clip: Number of the clip in the study.
        mixed: Whether useful texts hold names too.

    Returns:
        The required actions, without those on pixels.
    """
    key: list[Requirement] = []
    fields = vars(person)
    with silence_warnings():
        _write(header, "SpecificCharacterSet", "ISO_IR 192")
        for element, (template, letter, words) in _IDENTITIES.items():
            if element.startswith("SequenceOf") and not header.get("SequenceOfUltrasoundRegions"):
                continue
            _write(header, element, template.format(**fields))
            key.append(Requirement(Action.TEXT_REMOVED, f"HIPAA-{letter}", element, words.format(**fields)))
        for element, (template, words, useful, category) in (_MIXED if mixed else _PLAIN).items():
            _write(header, element, template.format(**fields))
            if words:
                key.append(Requirement(Action.TEXT_REMOVED, "HIPAA-A", element, words.format(**fields)))
            key.append(Requirement(Action.TEXT_RETAINED, category, element, useful))
        for element in _DATES:
            value = (person.born if element == "PatientBirthDate" else day).strftime("%Y%m%d")
            _write(header, element, value + "101112" if element == "AcquisitionDateTime" else value)
            key.append(Requirement(Action.DATE_SHIFTED, "HIPAA-C", element, value))
        _write(header, "StudyTime", "101112")
        for element, level in _UIDS.items():
            parts = {"study": (study,), "series": (study, 1), "instance": (study, 1, clip)}.get(level, (study, 9, clip))
            uid = f"1.2.826.0.1.77777.{person.number}." + ".".join(map(str, parts)) + f".{len(level)}"
            _write(header, element, uid)
            key.append(Requirement(Action.UID_CHANGED, "HIPAA-R", element, uid))
            if "." not in element and level in ("study", "series", "instance"):
                key.append(Requirement(Action.UID_CONSISTENT, "DICOM-P15-BASIC-U", element))
        key.append(Requirement(Action.PATID_CONSISTENT, "DICOM-P15-BASIC-C", "PatientID"))
        key += _patient(header, person)
        for element, value in _KEPT_NUMBERS.items():
            _write(header, element, value)
            category = "TCIA-P15-PAT-K" if element.startswith("Patient") else "TCIA-US"
            key.append(Requirement(Action.TEXT_RETAINED, category, element, value))
        _write(header, "BodyPartExamined", "HEART")
        key.append(Requirement(Action.TEXT_RETAINED, "TCIA-US", "BodyPartExamined", "HEART"))
        _write(header, "SoftwareVersions", "4.1.2")
        key.append(Requirement(Action.TEXT_RETAINED, "TCIA-P15-DEV-K", "SoftwareVersions", "4.1.2"))
        key += _facts(header)
    return key


def _patient(header: Dataset, person: PlantedPerson) -> list[Requirement]:
    for element, value in (("PatientSex", person.sex), ("PatientAge", person.age), ("EthnicGroup", "Nordic")):
        _write(header, element, value)
    old = int(person.age[:3]) > 90
    age = Requirement(Action.TEXT_RETAINED, "TCIA-P15-PAT-K", "PatientAge", person.age)
    return [
        Requirement(Action.TEXT_RETAINED, "TCIA-P15-PAT-K", "PatientSex", person.sex),
        Requirement(Action.TEXT_RETAINED, "TCIA-P15-PAT-K", "EthnicGroup", "Nordic"),
        Requirement(Action.TEXT_REMOVED, "HIPAA-C", "PatientAge", person.age) if old else age,
    ]


def _facts(header: Dataset) -> list[Requirement]:
    """Return what must stay of the elements that the file has itself."""
    key = [Requirement(Action.TEXT_NOTNULL, "DICOM-IOD-1", name) for name in _TYPE_1 if element_text(header, name)]
    key += [Requirement(Action.TAG_RETAINED, "DICOM-IOD-2", name) for name in _TYPE_2 if name in header]
    maker = (element_text(header, "Manufacturer") or "").split(" ")[0].strip(",")
    facts = {name: element_text(header, name) for name in _US_FACTS}
    for index, item in enumerate(header.get("SequenceOfUltrasoundRegions") or ()):
        names = [keyword_for_tag(element.tag) for element in item if element.VR in ("US", "SS", "UL", "SL", "FD", "FL")]
        facts |= {f"{path}.{name}": element_text(item, name) for name in names for path in [_region(index)] if name}
    if maker:
        key.append(Requirement(Action.TEXT_RETAINED, "TCIA-P15-DEV-K", "Manufacturer", maker.replace(".", "")))
    if kind := " ".join((element_text(header, "ImageType") or "").split("\\")[2:4]).strip():
        key.append(Requirement(Action.TEXT_RETAINED, "TCIA-US", "ImageType", kind))
    return key + [Requirement(Action.TEXT_RETAINED, "TCIA-US", name, value) for name, value in facts.items() if value]


def _region(number: int) -> str:
    return f"SequenceOfUltrasoundRegions[{number}]"


def _write(header: Dataset, element: str, value: str) -> None:
    """Set an element, and make the sequences and private blocks on the way to it."""
    *outer, last = element.split(".")
    for step in outer:
        if step == "file_meta":
            header = header.file_meta
            continue
        name, _, item = step.partition("[")
        if not header.get(name):
            setattr(header, name, [Dataset()])
        header = header[name].value[int(item.rstrip("]"))]
    if last.startswith("0029"):
        header.private_block(0x0029, "PLANTED CREATOR", create=True).add_new(int(last[-2:], 16), "LO", value)
        return
    vr = dictionary_VR(last)
    setattr(header, last, UID(value) if vr == "UI" else value.split("\\") if "\\" in value else value)


def interval_days(draw: random.Random) -> timedelta:
    """Return the time between two studies of one patient."""
    return timedelta(days=draw.randrange(20, 900))
