"""Status codes of files and flags of clips, with the meaning and the remedy of each.

`tools/docs_pages.py` makes the page of status codes from this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class StatusCode(StrEnum):
    """Status of a file in the ledger: `accepted`, `excluded:REASON` or `failed:REASON`.

    An excluded file was left out on purpose. A failed file should be in the store, but could not be read.
    """

    ACCEPTED = "accepted"
    EXCLUDED_DICOMDIR = "excluded:dicomdir"
    EXCLUDED_DUPLICATE = "excluded:duplicate"
    EXCLUDED_NO_SCAN_AREA = "excluded:no_scan_area"
    EXCLUDED_NOT_DICOM = "excluded:not_dicom"
    EXCLUDED_NOT_PICTURE = "excluded:not_picture"
    EXCLUDED_NOT_ULTRASOUND = "excluded:not_ultrasound"
    EXCLUDED_OUTSIDE_FOLDER = "excluded:outside_folder"
    EXCLUDED_SECONDARY_CAPTURE = "excluded:secondary_capture"
    EXCLUDED_STRUCTURED_REPORT = "excluded:structured_report"
    EXCLUDED_TEXT_IN_SCAN = "excluded:text_in_scan"
    EXCLUDED_VOLUME = "excluded:volume"
    FAILED_ARCHIVE = "failed:archive"
    FAILED_ARCHIVE_BOUNDS = "failed:archive_bounds"
    FAILED_ARCHIVE_ENCRYPTED = "failed:archive_encrypted"
    FAILED_BOUNDS = "failed:bounds"
    FAILED_CHANGED = "failed:changed"
    FAILED_CRASHED = "failed:crashed"
    FAILED_DECODE = "failed:decode"
    FAILED_EMPTY = "failed:empty"
    FAILED_HEADER = "failed:header"
    FAILED_INTERNAL = "failed:internal"
    FAILED_LAYOUT = "failed:layout"
    FAILED_MEMORY = "failed:memory"
    FAILED_MISSING = "failed:missing"
    FAILED_NO_DECODER = "failed:no_decoder"
    FAILED_NO_PIXELS = "failed:no_pixels"
    FAILED_TIMEOUT = "failed:timeout"
    FAILED_TRUNCATED = "failed:truncated"
    FAILED_UNREADABLE = "failed:unreadable"
    FAILED_UNSUPPORTED_SYNTAX = "failed:unsupported_syntax"


class ClipFlag(StrEnum):
    """What a reader of an accepted clip should know: column `flags` of the table of clips."""

    CORRUPT_FRAMES = "corrupt_frames"
    FRAME_COUNT = "frame_count"
    NO_PATIENT_ID = "no_patient_id"
    NO_PHASE_TAGS = "no_phase_tags"
    NO_PREAMBLE = "no_preamble"
    NO_REGION = "no_region"
    NO_SECTOR = "no_sector"
    NOT_A_HEART_PRESET = "not_a_heart_preset"
    REGION_MISMATCH = "region_mismatch"
    SALVAGED = "salvaged"
    SPLIT_SCREEN = "split_screen"
    TEXT_BLANKED = "text_blanked"
    TEXT_QUARANTINED = "text_quarantined"
    TEXT_SUSPECTED = "text_suspected"


@dataclass(frozen=True)
class StatusInfo:
    """One status.

    Attributes:
        code: The status.
        meaning: What it means for the file, one sentence.
        remedy: What an engineer can do.
        retried: Whether a later run tries such a file again although its bytes are the same.
        withheld: Whether the file holds a picture that may show names anywhere. Such a picture is never shown.
    """

    code: StatusCode
    meaning: str
    remedy: str
    retried: bool = False
    withheld: bool = False


CODES: Mapping[str, StatusInfo] = {
    code.code: code
    for code in (
        StatusInfo(StatusCode.ACCEPTED, "The file's frames are in the store.", "None needed."),
        StatusInfo(
            StatusCode.EXCLUDED_DICOMDIR, "A DICOMDIR, an index of other files.", "None needed. Those files are read."
        ),
        StatusInfo(
            StatusCode.EXCLUDED_DUPLICATE,
            "The store already holds the same bytes, from another path or site.",
            "None needed. The store keeps one clip for each content.",
        ),
        StatusInfo(
            StatusCode.EXCLUDED_NO_SCAN_AREA,
            "Neither a region nor the pixels show where the scan is, so burned-in text beside it cannot be blanked.",
            "Export the study again with ultrasound regions (0018,6011).",
            withheld=True,
        ),
        StatusInfo(
            StatusCode.EXCLUDED_NOT_DICOM,
            "The content is not DICOM, whatever the file is called.",
            "None needed. Zip files are opened; unpack other archives. `heart2heart source pictures` takes pictures.",
        ),
        StatusInfo(
            StatusCode.EXCLUDED_NOT_PICTURE,
            "The content is no PNG, JPEG, TIFF, GIF, MP4, MOV, AVI or MPEG, whatever the file is called.",
            "None needed. Ingest DICOM with `heart2heart ingest`; convert other pictures.",
        ),
        StatusInfo(StatusCode.EXCLUDED_NOT_ULTRASOUND, "An image of another modality.", "None needed.", withheld=True),
        StatusInfo(
            StatusCode.EXCLUDED_OUTSIDE_FOLDER,
            "The name or link leads out of the folder that was named, or to a folder in a list of pictures.",
            "Copy the files into the folder, or name the target of the link as well.",
        ),
        StatusInfo(
            StatusCode.EXCLUDED_SECONDARY_CAPTURE,
            "A secondary capture: a screenshot, a scanned sheet or a report page.",
            "None needed. Such pages often show names.",
            withheld=True,
        ),
        StatusInfo(StatusCode.EXCLUDED_STRUCTURED_REPORT, "A structured report.", "None needed. It holds no picture."),
        StatusInfo(
            StatusCode.EXCLUDED_TEXT_IN_SCAN,
            "Text is burned into the scan itself: with `--text refuse`, or text that `deidentify` cannot bound.",
            "Look at the clip. `--text blank` and `--text best_effort` blank what is found.",
            withheld=True,
        ),
        StatusInfo(
            StatusCode.EXCLUDED_VOLUME,
            "A 3D volume (Enhanced US Volume, or a private format of a manufacturer).",
            "Export 2D clips of the study if you need them.",
        ),
        StatusInfo(
            StatusCode.FAILED_ARCHIVE,
            "The zip file is damaged, or its compression is neither stored nor deflated.",
            "Copy it again, or unpack it and ingest the folder.",
        ),
        StatusInfo(
            StatusCode.FAILED_ARCHIVE_BOUNDS,
            "The zip file would unpack to over 200 times its size, a member to over 4 GiB, or it holds over 1,000,000 "
            "members or zip files more than three deep.",
            "Unpack it on a separate machine, check the content, and ingest the folder.",
        ),
        StatusInfo(
            StatusCode.FAILED_ARCHIVE_ENCRYPTED,
            "A member of the zip file needs a password.",
            "Unpack it with the password and ingest the folder.",
        ),
        StatusInfo(
            StatusCode.FAILED_BOUNDS,
            "The header declares a size that no scanner writes: over 8,192 pixels a side, 16,777,216 a frame, or "
            "20,000 frames; or the frames to keep take over 1 GiB. A deflated file inflates to over "
            "1 GiB, or to over 100 times its size and 64 MiB. A picture or video has over 4 GiB, or 8,589,934,592 "
            "pixels in all its frames.",
            "Export the file again if its header is damaged, or keep fewer or smaller frames.",
        ),
        StatusInfo(
            StatusCode.FAILED_CHANGED,
            "A file of a public data set has changed since its frames were added to the store.",
            "Add the data set to a new store. The pixels of a store never change.",
            retried=True,
        ),
        StatusInfo(
            StatusCode.FAILED_CRASHED,
            "The process that worked on the file died (a crash inside a codec, or killed from outside, as by a system "
            "that runs out of memory).",
            "Run again. If the code remains, move the file away and report it.",
            retried=True,
        ),
        StatusInfo(
            StatusCode.FAILED_DECODE,
            "No frame could be decoded, or one could not and salvage is off.",
            "Export the file again, or in another transfer syntax.",
        ),
        StatusInfo(StatusCode.FAILED_EMPTY, "The file has no bytes.", "Copy the file again."),
        StatusInfo(StatusCode.FAILED_HEADER, "The header cannot be parsed.", "Export the file again."),
        StatusInfo(
            StatusCode.FAILED_INTERNAL,
            "An unexpected error of this software.",
            "Report it with the transfer syntax and the manufacturer, but without the file.",
            retried=True,
        ),
        StatusInfo(
            StatusCode.FAILED_LAYOUT,
            "The header contradicts itself or the pixel data: rows, columns, samples, bits, photometric "
            "interpretation, palette or encapsulation.",
            "Export the file again.",
        ),
        StatusInfo(
            StatusCode.FAILED_MEMORY,
            "The file needs more memory than one worker may take (by default 2,048 MiB on top of the libraries).",
            "Keep fewer frames or smaller ones, give it more with --file-memory, or convert the file.",
            retried=True,
        ),
        StatusInfo(
            StatusCode.FAILED_MISSING,
            "A file is missing that the table or the layout of a public data set requires.",
            "Get the file from the publisher of the data set. Then run the same `heart2heart source` again.",
            retried=True,
        ),
        StatusInfo(
            StatusCode.FAILED_NO_DECODER,
            "The decoder for this transfer syntax is not installed.",
            "Run: pip install 'heart2heart[codecs,video]', then the same ingest again.",
            retried=True,
        ),
        StatusInfo(
            StatusCode.FAILED_NO_PIXELS,
            "An ultrasound object without pixel data.",
            "Export the file again with its pixels.",
        ),
        StatusInfo(
            StatusCode.FAILED_TIMEOUT,
            "The file took longer than the limit for one file (by default 600 seconds).",
            "Run again when the machine is less busy, or with more --file-seconds. If the code remains, export "
            "the file again.",
            retried=True,
        ),
        StatusInfo(
            StatusCode.FAILED_TRUNCATED,
            "The file ends before its first frame is complete, or it is cut short and salvage is off.",
            "Copy the file again.",
        ),
        StatusInfo(
            StatusCode.FAILED_UNREADABLE,
            "The file or folder cannot be opened or read (permissions, broken link, bad disk), or it changed during "
            "the run.",
            "Grant read permission, or wait until the copy is complete. Then run the same ingest again.",
            retried=True,
        ),
        StatusInfo(
            StatusCode.FAILED_UNSUPPORTED_SYNTAX,
            "No decoder is known for the transfer syntax (JPEG XL, JPIP, private ones).",
            "Export the clips as JPEG baseline, RLE or uncompressed.",
        ),
    )
}

FLAGS: Mapping[str, str] = {
    ClipFlag.CORRUPT_FRAMES: "Some frames could not be decoded. They were left out.",
    ClipFlag.FRAME_COUNT: "The number of frames in the header was missing or wrong. The frames were counted.",
    ClipFlag.NO_PATIENT_ID: "The file names no patient. The study is treated as one patient.",
    ClipFlag.NO_PHASE_TAGS: "The frame rule is ed_es:K, but the file marks no end-diastole or end-systole. "
    "K evenly spaced frames were kept.",
    ClipFlag.NO_PREAMBLE: "The file lacks the DICOM preamble.",
    ClipFlag.NO_REGION: "The file has no ultrasound region with a picture. The scan was found from its pixels.",
    ClipFlag.NO_SECTOR: "The sector could not be found in the region. The whole region was kept.",
    ClipFlag.NOT_A_HEART_PRESET: "The anatomic region, preset or description names another organ, or the "
    "probe is linear.",
    ClipFlag.REGION_MISMATCH: "The regions belong to a picture of another size. The scan was found from its pixels.",
    ClipFlag.SALVAGED: "The file is cut short. Its complete frames were kept.",
    ClipFlag.SPLIT_SCREEN: "The file shows two pictures side by side. The larger was kept.",
    ClipFlag.TEXT_BLANKED: "Text was found in the scan itself and blanked in the stored frames.",
    ClipFlag.TEXT_QUARANTINED: "The clip is in no split, training, evaluation or page until a person clears it.",
    ClipFlag.TEXT_SUSPECTED: "Text may be burned into the scan itself. No picture of the clip is shown until a person "
    "clears it: `heart2heart review`.",
}
"""Meaning of each flag of an accepted clip."""
