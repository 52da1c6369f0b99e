"""Loads one picture or video as a clip: the same sector, mode, text check, crop, quality and hashes as DICOM."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from heart2heart.datasets.picture_formats import picture_format
from heart2heart.datasets.picture_reader import PictureReader
from heart2heart.deidentify.clip import ClipFacts, KnownContentError, PreparedClip, load_clip
from heart2heart.deidentify.prepare_frames import mean_frame_time, prepare_frames
from heart2heart.deidentify.pseudonyms import Pseudonymizer, Pseudonyms
from heart2heart.dicom.regions import ScanArea
from heart2heart.errors import DicomError
from heart2heart.schema.status import ClipFlag, StatusCode
from heart2heart.schema.text_policy import TextPolicy
from heart2heart.store.frame_sampling import FrameRule
from heart2heart.store.geometry import Geometry

SOURCE = "pictures"
"""Column `source` of clips that were pictures or videos."""


def load_file(path: Path, *, geometry: Geometry, rule: str = "all", salvage: bool = True) -> PreparedClip:
    """Load a DICOM clip, a picture or a video, whichever the content is, without pseudonyms.

    Args:
        path: The file.
        geometry: Geometry of the frames.
        rule: Which frames to keep.
        salvage: Keep the complete frames of a damaged file; else such a file fails.

    Raises:
        DicomError: the file gives no frames; `code` holds the reason.
    """
    try:
        picture = path.is_file() and picture_format(path) is not None  # opening a pipe would block
    except OSError:  # `load_clip` says why
        picture = False
    if picture:
        return load_picture(path, geometry=geometry, rule=rule, salvage=salvage)
    try:
        return load_clip(path, geometry=geometry, rule=rule, salvage=salvage)
    except DicomError as error:
        if error.code != StatusCode.EXCLUDED_NOT_DICOM:
            raise
        raise DicomError("this is neither DICOM nor a picture or video", code=error.code) from None


def load_picture(
    path: str | Path,
    *,
    geometry: Geometry,
    rule: str | FrameRule = "all",
    pseudonymizer: Pseudonymizer | None = None,
    salvage: bool = True,
    known: Collection[str] = (),
    whole: bool = False,
    text_policy: TextPolicy = TextPolicy.BLANK,
    viewing_copy: bool = False,
) -> PreparedClip:
    """Read, check, decode, crop and resample one picture or video.

    A picture has no ultrasound region, so it is treated as a DICOM file without one: the sector is found from the
    pixels, and a picture in which none is found is refused, because names beside the scan could not be blanked.
    Metadata of the file, such as EXIF, is not kept. The pseudonyms are empty: a picture names no patient.

    Args:
        path: A PNG, JPEG, TIFF, GIF, MP4, MOV, AVI or MPEG file.
        geometry: Geometry of the frames.
        rule: Which frames to keep: `all`, `every:N`, `even:K` or `ed_es:K`, which is `even:K` here.
        pseudonymizer: Pseudonymizer of the key; without one `content` is empty.
        salvage: Keep the pictures of a damaged video that can be decoded; else such a file fails.
        known: Content hashes of the clips in the store.
        whole: Keep the whole picture where no sector is found, for pictures that show the scan alone.
        text_policy: What to do with text inside the scan; see `IngestSettings.text`.
        viewing_copy: Whether to make the pictures of a viewing copy as well.

    Raises:
        KnownContentError: the file's content is among `known`.
        DicomError: the file gives no frames; `code` holds the reason. The message never quotes the file.
    """
    rule = FrameRule.parse(rule) if isinstance(rule, str) else rule
    path = Path(path)
    try:
        content = "" if pseudonymizer is None else pseudonymizer.content(path)
    except OSError:
        raise DicomError("this file cannot be read", code=StatusCode.FAILED_UNREADABLE) from None
    if content in known:
        raise KnownContentError(content)
    reader = PictureReader(path, strict=not salvage)
    box = (0, 0, reader.columns, reader.rows)
    scan = ScanArea(None, box, None, () if whole else (ClipFlag.NO_REGION,))
    prepared = prepare_frames(
        reader, scan, rule, geometry, times=reader.times, phases={}, aspect=reader.aspect, text_policy=text_policy,
        viewing_copy=viewing_copy,
    )  # fmt: skip
    flags = (*prepared.flags, ClipFlag.NO_PHASE_TAGS) if rule.name == "ed_es" else prepared.flags
    return PreparedClip(
        pixels=prepared.pixels,
        frames=prepared.rows,
        facts=ClipFacts(
            mode=prepared.mode,
            rows=reader.rows,
            columns=reader.columns,
            n_source=len(reader),
            box=prepared.box,
            frame_time_ms=mean_frame_time(reader.times),
            flags=flags,
        ),
        pseudonyms=Pseudonyms(),
        content=content,
        source=SOURCE,
        viewing=prepared.viewing,
    )
