"""What both ends of a federated validation do, without the library that joins them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from heart2heart.api.release import PooledReport, counts_file, pool
from heart2heart.api.validation import validate
from heart2heart.errors import EvaluationError
from heart2heart.federated.settings import SiteSettings
from heart2heart.schema.counts import MAX_FILE_BYTES, parse_counts, write_counts


def released_text(settings: SiteSettings) -> str:
    """Validate at this site and return its counts as JSON; nothing else is kept or sent.

    Args:
        settings: What this site reads.

    Raises:
        EvaluationError: the hospital of the settings has no counts.
    """
    with TemporaryDirectory() as folder:
        validate(
            settings.model,
            folder,
            store=list(settings.store) or None,
            labels=settings.labels,
            sites=[settings.site] if settings.store else [],
            split=settings.split,
            train_stores=list(settings.train_store),
            leave_out_seen=settings.leave_out_seen,
            task=settings.task,
            name=settings.name,
            synthetic=settings.synthetic,
            margin=settings.margin,
            release="counts",
        )
        for path in sorted(Path(folder).glob("counts_*.json")):
            text = path.read_text(encoding="utf-8")
            if json.loads(text)["site"] == settings.site:  # the source's counts, if any, are those of another site
                return text
    raise EvaluationError("no counts of this hospital", where=settings.site, remedy="Name it as the store does")


def write_received(texts: Mapping[str, str], out: str | Path) -> PooledReport:
    """Check what the sites sent, write it as files, and pool it.

    Args:
        texts: JSON of each site, by the name of the site.
        out: New folder for the files of counts and the pooled report.

    Raises:
        EvaluationError: a site sent no valid counts, or the counts cannot be pooled.
    """
    folder, files = Path(out), []
    for name, text in sorted(texts.items()):
        counts = parse_counts(_json(text, name), where=f"site {name}")
        files.append(folder / counts_file(counts))
        write_counts(counts, files[-1])
    return pool(_distinct(files), folder)


def _json(text: str, name: str) -> Any:
    try:
        return json.loads(text) if len(text) <= MAX_FILE_BYTES else None
    except (ValueError, RecursionError):
        return None  # `parse_counts` refuses it, and names the site


def _distinct(files: Sequence[Path]) -> list[Path]:
    """Return the files; two sites with one hospital would have overwritten each other.

    Raises:
        EvaluationError: two sites sent counts of one hospital.
    """
    if len(set(files)) != len(files):
        twice = sorted({path.stem.removeprefix("counts_") for path in files if files.count(path) > 1})
        what = f"two sites sent counts of one hospital: {', '.join(twice)}"
        raise EvaluationError(what, remedy="Let one site of each hospital take part")
    return list(files)
