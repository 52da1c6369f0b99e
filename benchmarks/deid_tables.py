"""Markdown tables of `benchmarks.deidentification`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.deid_answer_key import Judged, share_interval
from benchmarks.deid_pixels import PixelScore
from benchmarks.deid_runs import OURS

CATEGORIES = ("HIPAA", "DICOM", "TCIA")


METHOD = """The actions, the categories and the rule "correct actions / all actions" follow MIDI-B, the Medical Image
De-Identification Benchmark of 2024 (Pei et al. 2025, arXiv:2507.23608), as its public scoring script computes them
(CBIIT/MIDI_validation_script). That script holds weights of 70, 20 and 10 for HIPAA, DICOM and best practice, in a
report that it does not run; which of both ranked the challenge is unverified. Here every action counts once.

Two checks are stricter than MIDI-B's: an identifier that is missing is not consistent, and two patients must not share
one. `pixels_retained` does not require equal bytes, which every tool that keeps only the scan fails: the scan must stay
equal and lose at most 2 % of its area. MIDI-B's data and answer key were not used, so its scores are not comparable.

dicom-anonymizer runs its Basic Profile, by the table that is its default and by the newest (2026c). deid runs its
ultrasound recipe: pseudonyms as variables, private tags removed, its pixel cleaner before the header. The margin mask
keeps the largest area that moves, nothing of a still, and writes no header.

Headers are judged with `--text best_effort` of heart2heart, so that a file whose text cannot be bounded has a copy,
too. Pixels are judged by its default, which refuses such a file. Pixels of a file that a tool refuses count as hidden
and lost.
"""
NOTES = """Our clean copies lose elements by decision: software versions and ethnic group are free text, an unknown
manufacturer becomes a label, and some brands become their company (Aloka is Hitachi). Descriptions keep words of a
closed list only. A tool that keeps texts unchanged scores higher under `text_retained` where they hold no identity.

dciodvfy of 2022 does not know Synthetic Data (0008,001C), which every simulated file carries. Its other errors in our
copies are the Frame Increment Pointer of clips of two frames whose originals state no time: none is invented.
"""
EVERY_ELEMENT = """### An identity in every element

Two files hold an identity in every text element of the data dictionary, in private tags, overlays, file meta, preamble
and JPEG segments (`tests/ingest/planted_header.py`).
"""


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def share_text(judged: Sequence[Judged]) -> str:
    """Return the share of correct actions with its interval, such as `98.1 % (97.0 to 98.9)`."""
    if not judged:
        return "none"
    right, total, low, high = share_interval(judged)
    return f"{100 * right / total:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def category_tables(judged: Mapping[str, Sequence[Judged]]) -> str:
    """Return the tables by category, by subcategory and by action."""
    by_main = [
        (f"{name}, {len(parts[OURS])} actions", *(share_text(parts[tool]) for tool in judged))
        for name in (*CATEGORIES, "all")
        for parts in [
            {
                tool: [each for each in actions if name == "all" or each.requirement.category.startswith(name)]
                for tool, actions in judged.items()
            }
        ]
    ]
    text = table(("category", *judged), by_main)
    for title, key in (("subcategory", "category"), ("action", "action")):
        names = sorted({str(getattr(each.requirement, key)) for each in judged[OURS]})
        rows = []
        for name in names:
            parts = {t: [e for e in a if getattr(e.requirement, key) == name] for t, a in judged.items()}
            counts = (f"{sum(each.correct for each in part)}" for part in parts.values())
            rows.append((name, len(parts[OURS]), *counts))
        text += "\n" + table((title, "actions", *(f"{tool}, correct" for tool in judged)), rows)
    return text


def pixel_tables(scores: Mapping[str, PixelScore]) -> str:
    """Return the tables of hidden texts, of the scan that is lost, and of the letters left by kind of text."""
    rows = []
    for tool, score in scores.items():
        hidden = [each for each in score.judged if each.requirement.action == "pixels_hidden"]
        kept = [each for each in score.judged if each.requirement.action == "pixels_retained"]
        lost = f"{100 * sum(score.lost) / len(score.lost):.1f} % / {100 * max(score.lost):.1f} %"
        rows.append(
            (tool, f"{sum(each.correct for each in hidden)} of {len(hidden)}, {share_text(hidden)}",
             f"{sum(each.correct for each in kept)} of {len(kept)}", lost, f"{score.difference:.2f}", score.words,
             score.milliseconds)
        )  # fmt: skip
    head = (
        "tool", "texts hidden (pixels_hidden)", "clips kept (pixels_retained)", "scan lost, mean / most",
        "change of the scan that stays, gray levels", "words that tesseract reads in the real files", "ms a file",
    )  # fmt: skip
    text = table(head, rows) + "\n"
    kinds = sorted({kind for score in scores.values() for kind in score.letters})
    by_kind = [
        (kind, len(scores[OURS].letters[kind]), *(_mean_share(score.letters[kind]) for score in scores.values()))
        for kind in kinds
    ]
    return text + table(("kind of text", "clips", *(f"letters left, {tool}" for tool in scores)), by_kind)


def _mean_share(letters: Sequence[float]) -> str:
    return f"{100 * sum(letters) / len(letters):.0f} %" if letters else "none"
