"""Loads one clip: reads, checks, de-identifies, decodes and resamples one file, with or without a key."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from heart2heart.deidentify.header import heart_rate, technical_dataset
from heart2heart.deidentify.prepare_frames import mean_frame_time, prepare_frames
from heart2heart.deidentify.pseudonyms import Pseudonymizer, Pseudonyms, pseudonymize
from heart2heart.deidentify.vocabulary import attach_manufacturer, coded_view, is_not_cardiac, protocol_number
from heart2heart.dicom.frame_reader import open_frames
from heart2heart.dicom.header_values import text
from heart2heart.dicom.image_pixel import read_image_pixel
from heart2heart.dicom.pixel_data import find_frames
from heart2heart.dicom.reader import open_dicom, require_ultrasound
from heart2heart.dicom.regions import Box, read_scan_area
from heart2heart.dicom.timing import frame_times, tagged_phases
from heart2heart.errors import DicomError
from heart2heart.notebook import data_frame, html_animation, html_card, html_note, html_table
from heart2heart.schema.enums import ClipMode
from heart2heart.schema.status import ClipFlag, StatusCode
from heart2heart.schema.text_policy import TextPolicy
from heart2heart.store.frame_sampling import FrameRule
from heart2heart.store.geometry import Geometry
from heart2heart.store.viewing_copies import ViewingPictures

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class ClipFacts:
    """Technical facts of a clip without identity; `schema.store.CLIPS` has their meaning and units."""

    mode: ClipMode
    manufacturer: str | None = None
    model: str | None = None
    synthetic: bool = False
    transfer_syntax: str | None = None
    rows: int
    columns: int
    n_source: int
    box: Box
    spacing_mm: tuple[float, float] | None = None
    frame_time_ms: float | None = None
    heart_rate: float | None = None
    stage: str | None = None
    stage_number: int | None = None
    n_stages: int | None = None
    view_number: int | None = None
    n_views: int | None = None
    view_name: str | None = None
    view_code: str | None = None
    flags: tuple[ClipFlag, ...] = ()


@dataclass(frozen=True)
class PreparedClip:
    """One clip, ready to be stored or classified; it holds no identity.

    Attributes:
        pixels: uint8 `(n, N, N)`.
        frames: `index`, `time_ms`, `phase`, `quality` and `dhash` of each kept frame.
        facts: Technical facts.
        pseudonyms: Pseudonyms; empty without a key.
        content: Keyed hash of the file's bytes; empty without a key.
        source: Kind of the file: `dicom` or `pictures`.
        viewing: Pictures of the viewing copy, or None.
    """

    pixels: npt.NDArray[np.uint8] = field(repr=False)
    frames: list[dict[str, Any]] = field(repr=False)
    facts: ClipFacts
    pseudonyms: Pseudonyms = field(repr=False)
    content: str = field(repr=False)
    source: str = "dicom"
    viewing: ViewingPictures | None = field(default=None, repr=False)

    def row(self, site: str, clip: str) -> dict[str, Any]:
        """Return the clip's row for `ShardWriter.add`."""
        columns = {name: getattr(self.facts, name) for name in self.facts.__dataclass_fields__}
        columns |= {name: getattr(self.pseudonyms, name) for name in self.pseudonyms.__dataclass_fields__}
        columns["maker"] = columns.pop("manufacturer")
        return columns | {
            "clip": clip,
            "site": site,
            "content": self.content,
            "source": self.source,
            "box": list(self.facts.box),
            "spacing_mm": None if self.facts.spacing_mm is None else list(self.facts.spacing_mm),
            "flags": sorted({*self.facts.flags, *self.pseudonyms.flags}),
            "quality": float(np.mean([frame["quality"] for frame in self.frames])),
        }

    def to_frame(self) -> pd.DataFrame:
        """Return the kept frames as a pandas DataFrame, one row per frame.

        Raises:
            ConfigError: pandas is not installed.

        Examples:
            >>> import heart2heart as h2h
            >>> h2h.load_clip("clip.dcm", frames="even:2").to_frame()["index"].tolist()
            [1, 3]
        """
        return data_frame(self.frames)

    def __repr__(self) -> str:
        """Return frames, size, mode and machine in one line, without pseudonyms."""
        machine = " ".join(name for name in (self.facts.manufacturer, self.facts.model) if name)
        count, height, width = self.pixels.shape
        return f"<PreparedClip: {count} frames of {height} x {width}, {self.facts.mode}{machine and ', '}{machine}>"

    def _repr_html_(self) -> str:
        """Return the clip as an animation with its technical facts, for a notebook."""
        facts = self.facts
        rows = [
            ("mode", facts.mode),
            ("machine", " ".join(name for name in (facts.manufacturer, facts.model) if name)),
            ("frames", f"{len(self.pixels)} of {facts.n_source}"),
            ("source picture", f"{facts.columns} x {facts.rows} pixels"),
            ("frame time", None if facts.frame_time_ms is None else f"{facts.frame_time_ms:.1f} ms"),
            ("flags", ", ".join(facts.flags)),
            ("data", "synthetic" if facts.synthetic else None),
        ]
        shown = [row for row in rows if row[1]]
        if ClipFlag.TEXT_SUSPECTED in facts.flags:
            moving = html_note("No picture is shown: text is suspected in it.")
        else:
            moving = html_animation(self.pixels, self._mean_frame_time(), f"{facts.mode} clip")
        return html_card(f"PreparedClip, {facts.mode}", moving, html_table(("fact", "value"), shown))

    def _mean_frame_time(self) -> float:
        """Return the mean time between two kept frames, milliseconds."""
        step = self.facts.frame_time_ms or 40.0
        distance = int(self.frames[-1]["index"]) - int(self.frames[0]["index"])
        return step * distance / max(len(self.frames) - 1, 1)


class KnownContentError(DicomError):
    """The same bytes are in the store already; `content` is their keyed hash."""

    def __init__(self, content: str) -> None:
        super().__init__("this content is in the store already", code=StatusCode.EXCLUDED_DUPLICATE)
        self.content = content


def load_clip(
    path: str | Path,
    *,
    geometry: Geometry,
    rule: str | FrameRule = "all",
    pseudonymizer: Pseudonymizer | None = None,
    site: str = "",
    salvage: bool = True,
    known: Collection[str] = (),
    text_policy: TextPolicy = TextPolicy.BLANK,
    viewing_copy: bool = False,
) -> PreparedClip:
    """Read, check, decode, de-identify, crop and resample one file.

    Pixels outside the main region and outside the estimated sector are black before anything is resampled.

    Args:
        path: A DICOM file.
        geometry: Geometry of the frames.
        rule: Which frames to keep: `all`, `every:N`, `even:K` or `ed_es:K`.
        pseudonymizer: Pseudonymizer of the key; without one the pseudonyms are empty.
        site: Name of the hospital, to which patient identifiers belong.
        salvage: Keep the complete frames of a cut or damaged file; else such a file fails.
        known: Content hashes of the clips in the store.
        text_policy: What to do with text inside the scan; see `IngestSettings.text`.
        viewing_copy: Whether to make the pictures of a viewing copy as well.

    Raises:
        KnownContentError: the file's content is among `known`.
        DicomError: the file gives no frames; `code` holds the reason. The message never quotes the file.
    """
    rule = FrameRule.parse(rule) if isinstance(rule, str) else rule
    path = Path(path)
    with open_dicom(path) as opened, attach_manufacturer(opened.header):
        require_ultrasound(opened.header, has_pixels=opened.pixel_data_offset < len(opened.data))
        content = "" if pseudonymizer is None else pseudonymizer.content(path)
        if content in known:
            raise KnownContentError(content)
        pseudonyms = pseudonymize(opened.header, pseudonymizer, site=site, content=content)
        facts = technical_dataset(opened.header, None if pseudonymizer is None else pseudonymizer.key)
        image_pixel = read_image_pixel(facts, big_endian=opened.big_endian)
        source = find_frames(opened, image_pixel)
        if ClipFlag.SALVAGED in source.flags and not salvage:
            raise DicomError("the file is cut short", code=StatusCode.FAILED_TRUNCATED)
        scan = read_scan_area(facts, rows=image_pixel.rows, columns=image_pixel.columns)
        reader = open_frames(source, image_pixel, strict=not salvage)
        times = frame_times(facts, len(reader))
        phases = tagged_phases(facts, times, len(reader))
        prepared = prepare_frames(
            reader,
            scan,
            rule,
            geometry,
            times=times,
            phases=phases,
            text_policy=text_policy,
            viewing_copy=viewing_copy,
        )
        flags = (*opened.flags, *prepared.flags)
        flags = (*flags, ClipFlag.NOT_A_HEART_PRESET) if is_not_cardiac(opened.header) else flags
        flags = (*flags, ClipFlag.NO_PHASE_TAGS) if rule.name == "ed_es" and not phases else flags
        return PreparedClip(
            pixels=prepared.pixels,
            frames=prepared.rows,
            facts=ClipFacts(
                mode=prepared.mode,
                manufacturer=text(facts, "Manufacturer") or None,
                model=text(facts, "ManufacturerModelName") or None,
                synthetic=text(facts, "SyntheticData").upper() == "YES",
                transfer_syntax=opened.syntax,
                rows=image_pixel.rows,
                columns=image_pixel.columns,
                n_source=len(reader),
                box=prepared.box,
                spacing_mm=scan.spacing_mm,
                frame_time_ms=mean_frame_time(times),
                heart_rate=heart_rate(facts),
                stage=text(facts, "StageName") or None,
                stage_number=protocol_number(facts, "StageNumber"),
                n_stages=protocol_number(facts, "NumberOfStages"),
                view_number=protocol_number(facts, "ViewNumber"),
                n_views=protocol_number(facts, "NumberOfViewsInStage"),
                view_name=text(facts, "ViewName") or None,
                view_code=coded_view(facts),
                flags=flags,
            ),
            pseudonyms=pseudonyms,
            content=content,
            viewing=prepared.viewing,
        )
