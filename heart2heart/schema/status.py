"""Every status a file can end with: what it means and what to do. tools/docs_pages.py makes a page of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class StatusCode:
    """One status.

    Attributes:
        code: `accepted`, `excluded:<why>` (rightly left out) or `failed:<why>` (wanted, but could not be had).
        meaning: What it says of the file, one sentence.
        remedy: What an engineer can do.
        retried: Whether a later run tries such a file again though its bytes are the same.
        withheld: Whether the file has a picture in which nobody can say where names may stand; it is not shown.
    """

    code: str
    meaning: str
    remedy: str
    retried: bool = False
    withheld: bool = False


CODES: Mapping[str, StatusCode] = {
    code.code: code
    for code in (
        StatusCode("accepted", "The file's frames are in the store.", "None needed."),
        StatusCode("excluded:dicomdir", "A DICOMDIR, an index of other files.", "None needed; those files are read."),
        StatusCode(
            "excluded:duplicate",
            "The same bytes are in the store already, from another path or site.",
            "None needed: one content is one clip.",
        ),
        StatusCode(
            "excluded:no_scan_area",
            "Neither a region nor the pixels say where the scan is, so text burned in beside it cannot be blanked.",
            "Export the study again with ultrasound regions (0018,6011).",
            withheld=True,
        ),
        StatusCode(
            "excluded:not_dicom",
            "Not a DICOM file, whatever its name.",
            "None needed; zip files are opened, unpack others.",
        ),
        StatusCode("excluded:not_ultrasound", "An image of another modality.", "None needed.", withheld=True),
        StatusCode(
            "excluded:secondary_capture",
            "A secondary capture: a screen copy, a scanned sheet or a report page.",
            "None needed; such pages often show names.",
            withheld=True,
        ),
        StatusCode("excluded:structured_report", "A structured report.", "None needed; it holds no picture."),
        StatusCode(
            "excluded:text_in_scan",
            "Writing is burned into the scan itself (only with `heart2heart deidentify --text refuse`).",
            "Look at the clip; `--text blank` makes a copy with the writing blanked.",
            withheld=True,
        ),
        StatusCode(
            "excluded:volume",
            "A 3D volume (Enhanced US Volume, or a maker's private format).",
            "Export 2D clips of the study if they are wanted.",
        ),
        StatusCode(
            "failed:archive",
            "The zip file is damaged, or packed in another manner than stored or deflated.",
            "Copy it again, or unpack it and ingest the folder.",
        ),
        StatusCode(
            "failed:archive_bounds",
            "The zip file would unpack to over 200 times its size, a member to over 4 GiB, or it holds over 1,000,000 "
            "members or zip files more than three deep.",
            "Unpack it where it can do no harm, look what it is, and ingest the folder.",
        ),
        StatusCode(
            "failed:archive_encrypted",
            "A member of a zip file is locked by a password.",
            "Unpack it with the password and ingest the folder.",
        ),
        StatusCode(
            "failed:bounds",
            "The header declares a size that no scanner writes: over 8,192 pixels a side, 16,777,216 a frame, or "
            "20,000 frames; or the frames to keep take over 1 GiB.",
            "Export the file again, for the header is damaged; or keep fewer or smaller frames.",
        ),
        StatusCode(
            "failed:changed",
            "A file of a public data set has other bytes than those whose frames are in the store.",
            "Add that data set to a new store: the pixels of a store never change.",
            retried=True,
        ),
        StatusCode(
            "failed:crashed",
            "The process that worked on the file died (a crash inside a codec, or killed from outside, as by a system "
            "that runs out of memory).",
            "Run again; if it stays, keep the file aside and report it.",
            retried=True,
        ),
        StatusCode(
            "failed:decode",
            "No frame could be decoded, or one could not and salvage is off.",
            "Export the file again, or in another transfer syntax.",
        ),
        StatusCode("failed:empty", "The file has no bytes.", "Copy the file again."),
        StatusCode("failed:header", "The header cannot be parsed.", "Export the file again."),
        StatusCode(
            "failed:internal",
            "An unforeseen error of this software on this file.",
            "Please report it, with the transfer syntax and maker but without the file.",
            retried=True,
        ),
        StatusCode(
            "failed:layout",
            "The header contradicts itself or the pixel data: rows, columns, samples, bits, photometric "
            "interpretation, palette or encapsulation.",
            "Export the file again.",
        ),
        StatusCode(
            "failed:memory",
            "The file needs more memory than one worker may take (by default 2,048 MiB on top of the libraries).",
            "Keep fewer frames or smaller ones, give it more with --file-memory, or convert the file.",
            retried=True,
        ),
        StatusCode(
            "failed:missing",
            "A file that a public data set's own table names, or its layout requires, is not there.",
            "Get the file from the data set's home, then run the same `heart2heart source` again.",
            retried=True,
        ),
        StatusCode(
            "failed:no_decoder",
            "The decoder pinned for this transfer syntax is not installed.",
            "Run: pip install 'heart2heart[codecs,video]', then the same ingest again.",
            retried=True,
        ),
        StatusCode(
            "failed:no_pixels", "An ultrasound object without pixel data.", "Export the file again with its pixels."
        ),
        StatusCode(
            "failed:timeout",
            "The file was still in work after the time that one file may take (by default 600 seconds).",
            "Run again when disk and machine are less busy, or with more --file-seconds; if it stays, export it again.",
            retried=True,
        ),
        StatusCode(
            "failed:truncated",
            "The file ends before its first frame is whole, or is cut short and salvage is off.",
            "Copy the file again.",
        ),
        StatusCode(
            "failed:unreadable",
            "The file or folder cannot be opened or read (permissions, broken link, bad disk), or changed meanwhile.",
            "Grant read permission, or wait until the copy is done; then run the same ingest again.",
            retried=True,
        ),
        StatusCode(
            "failed:unsupported_syntax",
            "No decoder is known for the transfer syntax (JPEG XL, JPIP, private ones).",
            "Export the clips as JPEG baseline, RLE or uncompressed.",
        ),
    )
}

FLAGS: Mapping[str, str] = {
    "corrupt_frames": "Some frames could not be decoded and were left out.",
    "frame_count": "The header's number of frames was missing or wrong; the frames were counted.",
    "no_patient_id": "The file names no patient; its study stands for one.",
    "no_phase_tags": "The frame rule is ed_es:K and the file names no end-diastole or end-systole; K frames were kept "
    "evenly.",
    "no_preamble": "The file lacks the DICOM preamble.",
    "no_region": "No ultrasound region with a picture; the scan was found by its pixels.",
    "no_sector": "The sector could not be told from its surroundings; the whole region was taken.",
    "not_a_heart_preset": "The file's anatomic region, preset or description names another organ, or the probe is "
    "linear.",
    "region_mismatch": "The regions belong to a picture of another size; the scan was found by its pixels.",
    "salvaged": "The file is cut short; its whole frames were kept.",
    "split_screen": "Two pictures side by side; the larger was taken.",
    "text_suspected": "Writing seems to be burned into the scan itself, which is not blanked; look before sharing.",
}
"""What the `flags` of an accepted clip mean."""
