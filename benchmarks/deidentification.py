"""De-identification scored as in MIDI-B, beside public tools: headers, pixels, usefulness, time.

Command: OMP_NUM_THREADS=1 python -m benchmarks.deidentification --peers PYTHON [--seed 14] [--out FILE]
`--peers` names an interpreter with the packages dicom-anonymizer and deid (both MIT); without them their rows are
missing, and the report says so. Needs the `dev` group, tesseract, and dciodvfy where it is installed. Every identity is
invented; simulated clips are synthetic.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from pydicom import Dataset, dcmread

from benchmarks.deid_answer_key import KEEPING, Action, Judged, element_text, is_correct, uid_mapping
from benchmarks.deid_pixels import FRAMES, cleaned_frames, score_pixels, write_pixel_cases
from benchmarks.deid_runs import Case, peer_versions, read_result, run_tools, write_cases
from benchmarks.deid_tables import EVERY_ELEMENT, METHOD, NOTES, category_tables, pixel_tables, share_text, table
from heart2heart import __version__
from heart2heart.dicom.header_values import silence_warnings
from heart2heart.verify.headers import basic_profile_actions, profile_available
from tests.ingest.planted_header import DAY, MARK, UID, plant_everywhere


def judge(cases: Sequence[Case], results: dict[str, Dataset | None]) -> list[Judged]:
    """Return every required action of the cases with whether a tool did it.

    Args:
        cases: The planted files.
        results: The tool's dataset by file name; None or missing where it wrote no file.
    """
    files = [(read_result(case.path) or Dataset(), results.get(case.path.name), case.requirements) for case in cases]
    mapping = uid_mapping(files)
    return [
        Judged(index, requirement, is_correct(requirement, before, after, mapping))
        for index, (before, after, requirements) in enumerate(files)
        for requirement in requirements
    ]


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
        f"{len(written)} of {len(cases)}", share_text(kept), f"{sum(intervals)} of {len(intervals)}",
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
        reported = sum(line.startswith("Error") for line in (done.stdout + done.stderr).splitlines())
        clean, errors = clean + (reported == 0), errors + reported
    return f"{clean} of {len(files)}; {errors}"


def headers(folder: Path, python: Path, *, seed: int, patients: int) -> str:
    """Return the section on headers."""
    folder.mkdir()
    cases = write_cases(folder, seed=seed, patients=patients)
    judged: dict[str, list[Judged]] = {}
    rows: list[Sequence[object]] = []
    real = {index for index, case in enumerate(cases) if case.real}
    tools = run_tools(folder / "originals", folder / "results", python, "best_effort")  # headers alone are judged here
    for tool, target, seconds in tools:
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
    return text + "### Usefulness and time\n\n" + table(head, rows) + "\n" + NOTES


def dictionary(folder: Path, python: Path) -> str:
    """Return the table of files in which every text element of the data dictionary holds an identity."""
    originals = folder / "originals"
    originals.mkdir(parents=True)
    with silence_warnings():
        for index in range(2):
            whole = plant_everywhere(index, jpeg=bool(index))
            (originals / f"{index}.dcm").write_bytes(whole[: whole.rindex(MARK.encode() * 4)])  # not what trails it
    profile = basic_profile_actions() if profile_available() else {}
    planted = _planted_tags(read_result(originals / "0.dcm"))
    rows = []
    for tool, target, _ in run_tools(originals, folder / "results", python):
        left = [_planted_tags(read_result(path)) for path in sorted(target.iterdir())]
        listed = max((len(tags & profile.keys()) for tags in left), default="no file")
        rest = max((len(tags - profile.keys()) for tags in left), default="no file")
        raw = sum(any(mark in path.read_bytes() for mark in (MARK.encode(), UID.encode())) for path in target.iterdir())
        rows.append((tool, f"{len(left)} of 2", listed, rest, f"{raw} of {len(left)}"))
    counts = f"of {len(planted & profile.keys())}", f"of {len(planted - profile.keys())}"
    head = (
        "tool", "files written", f"elements of the Basic Profile left, {counts[0]}",
        f"other elements left, {counts[1]}", "files with the mark in any byte",
    )  # fmt: skip
    return table(head, rows)


def _planted_tags(header: Dataset | None) -> set[int]:
    """Return the elements at the top level of a header in which something planted is left, at any depth."""
    secrets = (MARK, DAY, UID)
    with silence_warnings():
        elements = [] if header is None else list(header)
        return {int(element.tag) for element in elements if any(secret in str(element.value) for secret in secrets)}


def pixels(folder: Path, python: Path, hospitals: Path, *, seed: int, kinds: int) -> str:
    """Return the section on pixels."""
    simulated = []
    for hospital in sorted(hospitals.iterdir()):
        files = sorted(path for path in hospital.glob("*/*") if path.is_file())
        simulated.append(
            max(files, key=lambda path: int(dcmread(path, stop_before_pixels=True).get("NumberOfFrames") or 1))
        )
    cases = write_pixel_cases(folder, simulated, seed=seed, kinds=kinds)
    scores = {
        tool: score_pixels(tool, results, cases, milliseconds)
        for tool, results, milliseconds in cleaned_frames(folder, python, cases)
    }
    clips = [case for case in cases if case.variant is None]
    return (
        f"{len(clips)} clips and stills of {FRAMES} frames or one: {sum(case.real for case in clips)} real, "
        f"{sum(not case.real for case in clips)} simulated (synthetic); {len(cases) - len(clips)} invented texts and "
        "codes burned in, one a file. A text is hidden when no letter is left by template and tesseract reads at most "
        "two letters of it.\n\n"
    ) + pixel_tables(scores)


def main() -> None:
    """Run everything and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, default=Path(sys.executable), help="interpreter that has the peers")
    parser.add_argument("--seed", type=int, default=14)
    parser.add_argument("--patients", type=int, default=1, help="patients of each simulated hospital")
    parser.add_argument("--kinds", type=int, default=3, help="kinds of text inside each clip")
    parser.add_argument("--out", type=Path, help="Markdown file; without it, the report is printed")
    arguments = parser.parse_args()
    versions = peer_versions(arguments.peers)
    missing = [name for name in ("dicom-anonymizer", "deid") if name not in versions]
    settings = f"--seed {arguments.seed} --patients {arguments.patients} --kinds {arguments.kinds}"
    command = f"python -m benchmarks.deidentification --peers PYTHON {settings}"
    numbers = ", ".join(f"{name} {number}" for name, number in versions.items())
    absent = f" Not installed, so not measured: {', '.join(missing)}." if missing else ""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        header = headers(root / "headers", arguments.peers, seed=arguments.seed, patients=arguments.patients)
        every = dictionary(root / "dictionary", arguments.peers)
        hospitals = root / "headers" / "hospitals"
        picture = pixels(root / "pixels", arguments.peers, hospitals, seed=arguments.seed, kinds=arguments.kinds)
    day = datetime.now(UTC).date()
    intro = (
        f"{day}, seed {arguments.seed}, Python {platform.python_version()}, heart2heart {__version__}; the peers: "
        f"{numbers}.{absent} Identities are invented; simulated clips are synthetic. Brackets hold 95 % intervals by "
        "file. Other programs shared the two cores: compare the times with each other.\n"
    )
    sections = [
        f"# De-identification beside public tools\n\n```\nOMP_NUM_THREADS=1 {command}\n```\n",
        intro,
        f"## Method\n\n{METHOD}",
        f"## Headers\n\n{header}",
        f"{EVERY_ELEMENT}\n{every}",
        f"## Pixels\n\n{picture}",
    ]
    text = "\n".join(sections)
    if arguments.out is None:
        print(text)
    else:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
