"""De-identification scored as in MIDI-B, beside public tools: headers, pixels, usefulness, time.

Command: OMP_NUM_THREADS=1 python -m benchmarks.deidentification --peers PYTHON [--seed 14] [--out FILE]
`--peers` names an interpreter with the packages dicom-anonymizer and deid (both MIT); without them their rows are
missing, and the report says so. Needs the `dev` group, tesseract, and dciodvfy where it is installed. Every identity is
invented; simulated clips are synthetic.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from pydicom import Dataset

from benchmarks.deid_answer_key import KEEPING, Action, Judged, element_text, is_correct, share_interval, uid_mapping
from benchmarks.deid_runs import OURS, PEERS, Case, peer_versions, read_result, run_tools, write_cases

Results = dict[str, dict[str, Dataset | None]]
_MAIN = ("HIPAA", "DICOM", "TCIA")


def judge(cases: Sequence[Case], results: dict[str, Dataset | None]) -> list[Judged]:
    """Return every required action of the cases with whether a tool did it.

    Args:
        cases: The planted files.
        results: The tool's dataset by file name; None or missing where it wrote no file.
    """
    files = [(read_result(case.path) or Dataset(), results.get(case.path.name), case.requirements) for case in cases]
    mapping = uid_mapping(files)
    return [
        Judged(number, requirement, is_correct(requirement, before, after, mapping))
        for number, (before, after, requirements) in enumerate(files)
        for requirement in requirements
    ]


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def share(judged: Sequence[Judged]) -> str:
    """Return the share of correct actions with its interval, such as `98.1 % (97.0 to 98.9)`."""
    if not judged:
        return "none"
    right, total, low, high = share_interval(judged)
    return f"{100 * right / total:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def category_tables(judged: dict[str, list[Judged]]) -> str:
    """Return the tables by category, by subcategory and by action."""
    by_main = [
        (f"{name}, {len(parts[OURS])} actions", *(share(parts[tool]) for tool in judged))
        for name in (*_MAIN, "all")
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


def usefulness_rows(cases: Sequence[Case], judged: Sequence[Judged], results: dict[str, Dataset | None]) -> list[str]:
    """Return the usefulness of one tool's files: kept, intervals, patients apart, leaks, marks, conformance."""
    kept = [each for each in judged if each.requirement.action in KEEPING]
    studies: dict[int, list[tuple[date, str]]] = defaultdict(list)
    for case in cases:
        studies[case.patient].append((case.day, element_text(results.get(case.path.name), "StudyDate") or ""))
    intervals = [_interval_kept(pair) for pair in studies.values()]
    names = {patient: set[str]() for patient in studies}
    for case in cases:
        names[case.patient].add(element_text(results.get(case.path.name), "PatientID") or "")
    apart = [
        len(own) == 1 and "" not in own and not any(own & other for key, other in names.items() if key != patient)
        for patient, own in names.items()
    ]
    written = [case for case in cases if results.get(case.path.name) is not None]
    leaking = sum(_leaks(case, results[case.path.name]) for case in written)
    marked = sum(element_text(results[case.path.name], "PatientIdentityRemoved") == "YES" for case in written)
    return [
        f"{len(written)} of {len(cases)}", share(kept), f"{sum(intervals)} of {len(intervals)}",
        f"{sum(apart)} of {len(apart)}", f"{leaking} of {len(written)}", f"{marked} of {len(written)}",
    ]  # fmt: skip


def _interval_kept(studies: Sequence[tuple[date, str]]) -> bool:
    try:
        days = [(datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).date() - day).days for day, text in studies]
    except ValueError:
        return False
    return len(set(days)) == 1 and days[0] != 0


def _leaks(case: Case, result: Dataset | None) -> bool:
    """Return whether a planted identity is anywhere in the header that a tool wrote."""
    secrets = {
        word.casefold()
        for requirement in case.requirements
        if requirement.action in (Action.TEXT_REMOVED, Action.UID_CHANGED)
        for word in requirement.text.split()
        if len(word) > 4
    }
    if result is None:
        return False
    header = f"{getattr(result, 'file_meta', '')}\n{result}".casefold()
    return any(secret in header for secret in secrets)


def conformance(folder: Path) -> str:
    """Return how many files of a folder dciodvfy finds without an error, and the errors in all."""
    checker = shutil.which("dciodvfy")
    if checker is None:
        return "not measured"
    clean, errors, files = 0, 0, sorted(folder.iterdir())
    for path in files:
        done = subprocess.run([checker, path], capture_output=True, text=True, errors="replace", check=False)
        found = sum(line.startswith("Error") for line in (done.stdout + done.stderr).splitlines())
        clean, errors = clean + (found == 0), errors + found
    return f"{clean} of {len(files)}; {errors}"


def headers(folder: Path, python: Path, *, seed: int, patients: int) -> str:
    """Return the section on headers."""
    cases = write_cases(folder, seed=seed, patients=patients)
    judged: dict[str, list[Judged]] = {}
    rows: list[Sequence[object]] = []
    real = {number for number, case in enumerate(cases) if case.real}
    for tool, target, seconds in run_tools(folder / "originals", folder / "results", python):
        results = {path.name: read_result(path) for path in target.iterdir()}
        judged[tool] = judge(cases, results)
        median = f"{1000 * statistics.median(seconds.values()):.0f}"
        rows.append((tool, *usefulness_rows(cases, judged[tool], results), conformance(target), median))
    text = (
        f"{len(cases)} files: {len(real)} with the pixels and technical elements of real public files, "
        f"{len(cases) - len(real)} of simulated hospitals (synthetic). Identities are invented.\n\n"
    )
    for kind, own in (("real files", real), ("simulated files (synthetic)", set(range(len(cases))) - real)):
        parts = {tool: [each for each in actions if each.file in own] for tool, actions in judged.items()}
        text += f"### Planted headers, {kind}\n\n" + category_tables(parts) + "\n"
    head = (
        "tool", "files written", "wanted elements kept", "interval of two studies kept", "patients told apart",
        "files with an identity left", "marked as de-identified", "files without a dciodvfy error; errors", "ms a file",
    )  # fmt: skip
    return text + "### Usefulness and time\n\n" + table(head, rows)


def main() -> None:
    """Run everything and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, default=Path(sys.executable), help="interpreter that has the peers")
    parser.add_argument("--seed", type=int, default=14)
    parser.add_argument("--patients", type=int, default=3, help="patients of each simulated hospital")
    parser.add_argument("--out", type=Path, help="Markdown file; without it, the report is printed")
    arguments = parser.parse_args()
    versions = peer_versions(arguments.peers)
    missing = [name for name in ("dicom-anonymizer", "deid") if name not in versions]
    with TemporaryDirectory() as folder:
        text = headers(Path(folder), arguments.peers, seed=arguments.seed, patients=arguments.patients)
    text = f"{versions} missing {missing} {PEERS}\n\n" + text
    if arguments.out is None:
        print(text)
    else:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
