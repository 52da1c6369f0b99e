"""Content of the page about an ingest, read from a store and its ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from heart2heart.schema.status import StatusCode
from heart2heart.utils import encode_png

if TYPE_CHECKING:
    from heart2heart.reporting.ingest_page import ContactSheet
    from heart2heart.store.frame_store import FrameStore


def ingest_report(store: Path, out: Path) -> Path:
    """Write the page about everything that was ingested into a store.

    Args:
        store: A store with a ledger.
        out: Where the HTML goes.

    Raises:
        MissingInputError: the store has no ledger.
    """
    from heart2heart import __version__
    from heart2heart.ingest.ledger import Ledger
    from heart2heart.reporting.ingest_page import (
        IngestContent,
        SiteIngestCounts,
        StatusReason,
        WithheldFiles,
        write_ingest_page,
    )
    from heart2heart.schema.status import CODES, FLAGS
    from heart2heart.store.frame_store import FrameStore

    opened, ledger = FrameStore.open(store), Ledger(store)
    counts = ledger.counts()
    about = opened.sql(
        "SELECT site, count(DISTINCT patient) AS patients, count(DISTINCT study) AS studies,"
        " count(DISTINCT clip) AS clips FROM clips GROUP BY site"
    ).to_pylist()
    modes: dict[str, dict[str, int]] = {}
    for row in opened.sql("SELECT site, mode, count(*) AS n FROM frames GROUP BY ALL ORDER BY ALL").to_pylist():
        modes.setdefault(row["site"], {})[row["mode"]] = row["n"]
    known = {row.pop("site"): row for row in about}
    nothing = {"patients": 0, "studies": 0, "clips": 0}
    sites = [
        SiteIngestCounts(site, files, modes=modes.get(site, {}), **known.get(site, nothing))
        for site, files in counts.items()
    ]
    codes = sorted({code for files in counts.values() for code in files} - {StatusCode.ACCEPTED})
    flags = Counter(flag for found in opened.clips["flags"].to_pylist() for flag in found)
    kinds = set(opened.clips["synthetic"].to_pylist())
    left: dict[str, list[tuple[str | None, int]]] = {}
    for code, maker, number in ledger.not_accepted():
        left.setdefault(code, []).append((maker, number))
    content = IngestContent(
        store=store.name,
        geometry=str(opened.geometry),
        synthetic=None if len(kinds) > 1 else kinds == {True},
        sites=tuple(sites),
        reasons=tuple(
            StatusReason(
                code,
                CODES[code].meaning,
                CODES[code].remedy,
                {site: n[code] for site, n in counts.items() if code in n},
            )
            for code in codes
        ),
        flags=tuple((flag, FLAGS[flag], number) for flag, number in sorted(flags.items())),
        sheets=tuple(_contact_sheets(opened)),
        left_out=tuple(
            WithheldFiles(code, CODES[code].meaning, CODES[code].withheld, tuple(makers))
            for code, makers in left.items()
        ),
        code_version=__version__,
    )
    return write_ingest_page(content, out)


def _contact_sheets(store: FrameStore) -> Iterator[ContactSheet]:
    """Yield sample frames by mode and maker, most frequent first; `report.ingest_page.SHEET_RULE` is the rule."""
    from heart2heart.reporting.ingest_page import ContactSheet, SamplePicture

    flags = dict(zip(store.clips["clip"].to_pylist(), store.clips["flags"].to_pylist(), strict=True))
    kinds = store.sql(
        "SELECT mode, maker, count(DISTINCT clip) AS clips, count(*) AS frames FROM frames GROUP BY ALL"
        " ORDER BY frames DESC, mode, maker"
    )
    middles = store.sql(
        "SELECT mode, maker, patient, clip, list(row ORDER BY index)[(count(*) + 1) // 2] AS row FROM frames"
        " GROUP BY ALL ORDER BY clip"
    ).to_pylist()
    for kind in kinds.to_pylist():
        chosen: dict[str, tuple[int, str]] = {}
        for clip in middles:
            if (clip["mode"], clip["maker"]) == (kind["mode"], kind["maker"]):
                chosen.setdefault(clip["patient"], (clip["row"], clip["clip"]))
        shown = list(chosen.values())[:12]
        frames = store.read(np.array([row for row, _ in shown], np.int64))
        pictures = (
            SamplePicture(encode_png(frame), tuple(flags[clip])) for frame, (_, clip) in zip(frames, shown, strict=True)
        )
        yield ContactSheet(
            kind["mode"], kind["maker"] or "maker unknown", kind["clips"], kind["frames"], tuple(pictures)
        )
