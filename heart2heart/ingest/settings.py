"""Settings of an ingest, limits of time and memory for one file, and the summary of an ingest."""

from __future__ import annotations

import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field, field_validator

from heart2heart.config import Config
from heart2heart.errors import ConfigError
from heart2heart.schema.status import CODES, StatusCode
from heart2heart.schema.text_policy import TextPolicy
from heart2heart.store.frame_sampling import FrameRule
from heart2heart.store.geometry import Geometry

_STATUS = Path("/proc/self/status")
_UNITS = {"MiB": 2**20, "GiB": 2**30, "MB": 10**6, "GB": 10**9}


class Limits(Config):
    """Limits of one file in one worker process, or in one worker of a Dask cluster."""

    seconds: float = Field(default=600.0, gt=0)
    """Wall time of one file; beyond it the process is killed and the file is `failed:timeout`."""
    memory_mib: int = Field(default=2048, ge=64)
    """MiB of private memory that a process may take on top of what it holds when it starts (about 200 MiB), by
    RLIMIT_DATA of Linux; a file that needs more is `failed:memory`. Other systems do not enforce it."""

    def limit_memory(self) -> None:
        """Limit the memory of this process from now on."""
        held = 0
        if _STATUS.exists():
            fields = dict(line.split(":", 1) for line in _STATUS.read_text(encoding="ascii").splitlines())
            held = int(fields["VmData"].split()[0]) * 1024
        limit = held + self.memory_mib * 2**20
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))

    @contextmanager
    def memory_limited(self) -> Iterator[None]:
        """Limit the memory of this process, which other tasks share, while the block runs."""
        before = resource.getrlimit(resource.RLIMIT_DATA)
        self.limit_memory()
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, before)


def parse_memory(text: str) -> int:
    """Return the MiB, rounded down, of an amount such as `2048 MiB`, `1.5GiB` or `2 GB`.

    Raises:
        ConfigError: `text` is not an amount of memory.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(MiB|GiB|MB|GB)", text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is not an amount of memory", remedy="Write it as 2048MiB, 2GiB or 2GB")
    return int(float(match[1]) * _UNITS[match[2]] / 2**20)


class IngestSettings(Config):
    """Settings of the frames of a site. All files of a site in one store are ingested with the same settings."""

    geometry: str = "tmed2"
    """Geometry of the frames: `tmed2` (padding bottom and right) or `centred`."""
    size: int = 112
    """Side of the square frames, pixels, 8 to 1024."""
    frames: str = "all"
    """Frames to keep: `all`, `every:N` (each N-th), `even:K` (K evenly spaced), or `ed_es:K` (end-diastole and
    end-systole where the file names them, else `even:K` and the flag `no_phase_tags`)."""
    salvage: bool = True
    """Keep the complete frames of a file that is cut short or damaged, with a flag; otherwise the file fails."""

    text: TextPolicy = TextPolicy.BLANK
    """Text inside the scan: `blank` (blanked in the stored frames, and flagged; a clip whose text cannot be bounded is
    quarantined), `quarantine` (kept as it is, flagged, and used for nothing until a person clears it by
    `heart2heart review`), or `refuse` (the file is left out as `excluded:text_in_scan`). It may change between runs;
    each clip's flags tell what was done."""

    @field_validator("frames")
    @classmethod
    def _known_rule(cls, value: str) -> str:
        try:
            return str(FrameRule.parse(value))
        except ConfigError as error:
            raise ValueError(str(error)) from error

    viewing_copies: bool = False
    """Keep beside the frames a de-identified copy of each clip at full size, in colour and at its own rate, for the
    label page. None is kept where text is suspected. It may change between runs, and no number depends on it."""

    def ledger_text(self) -> str:
        """Return the text that the ledger keeps: the settings that all runs of a site must share."""
        return self.model_dump_json(exclude={"text", "viewing_copies"})

    def build_geometry(self) -> Geometry:
        """Return the geometry; raises `UnknownNameError` or `StoreError` for a name or size that does not exist."""
        return Geometry(self.geometry, self.size)


@dataclass(frozen=True)
class IngestSummary:
    """Result of one ingest.

    Attributes:
        site: Name of the hospital.
        run: Files that ended in this run, by code.
        total: All files of the site, by code.
        unchanged: Files that an earlier run had finished.
        clips: Clips that this run added to the store.
        frames: Frames that this run added to the store.
        seconds: Wall time.
    """

    site: str
    run: dict[str, int]
    total: dict[str, int]
    unchanged: int
    clips: int
    frames: int
    seconds: float = field(compare=False)

    @property
    def accepted(self) -> int:
        """Files of the site whose frames are in the store."""
        return self.total.get(StatusCode.ACCEPTED, 0)


def status_table(summary: IngestSummary) -> str:
    """Return the summary as a table for a terminal: one line per code, and totals."""
    rows = [("status", "this run", "site", "meaning")]
    rows += [
        (code, str(summary.run.get(code, 0)), str(count), CODES[code].meaning)
        for code, count in sorted(summary.total.items())
    ]
    rows.append(("all files", str(sum(summary.run.values())), str(sum(summary.total.values())), ""))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}".rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    end = f"{summary.site}: {summary.clips} clips and {summary.frames} frames added in {summary.seconds:.1f} s"
    if summary.unchanged:
        end += f"; {summary.unchanged} files were finished before"
    return "\n".join([*lines, end])
