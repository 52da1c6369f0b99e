"""Fuzz the readers for a time: `make fuzz MINUTES=10`, or python -m tests.fuzz.run --seconds 600.

With atheris (dependency group `fuzz`) the search follows the coverage of the Python code; without it the seeds are
changed at random. Each target runs in a process of its own, with limits of time and memory for one input. An input that
breaks a target lies in the folder `findings`; copy it to tests/fuzz/found/TARGET when the fault is mended. A process
that ends without an input is started again, the third time without atheris, see `tests.fuzz.supervise`. An input that
a loaded machine delayed is no finding, see `tests.fuzz.slow_inputs`. With `--fixed` each target gets a fixed
number of inputs, so that the same code gets the same inputs.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzz.slow_inputs import INPUT_SECONDS, drop_delayed_inputs
from tests.fuzz.supervise import MOST_CRASHES, supervise

MEMORY_MIB = 3072
"""Resident memory of the process beyond which an input counts as a finding, MiB."""
LONGEST = 65536
"""Longest input, bytes."""

FIXED_RUNS = {
    "dicom": 300, "clean_copy": 200, "decoders": 15_000, "labels": 2000, "predictions": 4000, "multipart": 30_000,
    "verify_deid": 600, "config": 60, "records": 4000,
}  # fmt: skip
"""Target -> inputs with `--fixed`: a few seconds each on an idle core, beside nine for the start."""

_TIMED_OUT = 70  # exit code of libFuzzer after an input that took too long
_INSTRUMENTED = ["heart2heart", "pydicom"]
_LATE = (
    "heart2heart.deidentify.clean_copy", "heart2heart.deidentify.clip", "heart2heart.labels.importing",
    "heart2heart.labels.label_studio", "heart2heart.api.cases", "heart2heart.evaluation.case_table",
    "heart2heart.pacs.multipart", "heart2heart.verify.search_file", "heart2heart.schema.monitor",
    "heart2heart.schema.reviewed_pairs", "heart2heart.splits.manifest", "heart2heart.annotate.auth",
)  # fmt: skip
"""Modules that the targets import where they need them."""


def has_atheris() -> bool:
    """Return whether the fuzzer that follows coverage is installed."""
    return importlib.util.find_spec("atheris") is not None


def fuzz_by_coverage(target: str, seconds: int, corpus: Path, findings: Path, *, seed: int, fixed: bool) -> None:
    """Fuzz one target by atheris in this process, which ends with the run."""
    import atheris

    with atheris.instrument_imports(include=_INSTRUMENTED):  # what was imported before would not be seen
        for name in _LATE:
            importlib.import_module(name)
        from tests.fuzz.findings import collector
    options = [
        sys.argv[0], str(corpus), f"-max_total_time={seconds}", f"-timeout={INPUT_SECONDS}",
        f"-rss_limit_mb={MEMORY_MIB}", f"-artifact_prefix={findings}/{target}-", f"-max_len={LONGEST}",
        f"-seed={seed}", "-print_final_stats=1", "-verbosity=1", f"-report_slow_units={INPUT_SECONDS}",
        "-reload=0", f"-runs={FIXED_RUNS[target] if fixed else -1}",
    ]  # fmt: skip
    atheris.Setup(options, collector(target, findings))
    atheris.Fuzz()


def fuzz(targets: list[str], seconds: int, folder: Path, *, seed: int, jobs: int, fixed: bool = False) -> int:
    """Fuzz targets in `jobs` processes at a time, and return how many ended with a finding.

    Args:
        targets: Names of targets.
        seconds: Time in all, without the start of each process.
        folder: Folder of the corpus, the logs and the findings.
        seed: Seed of the changes.
        jobs: Processes at one time.
        fixed: Whether a target ends after `FIXED_RUNS` inputs, or after its share of `seconds` if that is earlier.
    """
    from tests.fuzz.seeds import write_seeds  # here: codecs that two threads import at once can end the process

    (folder / "findings").mkdir(parents=True, exist_ok=True)
    for target in targets:
        write_seeds(target, folder / "corpus" / target)
    each = max(1, seconds * min(jobs, len(targets)) // len(targets))
    with ThreadPoolExecutor(jobs) as pool:
        return sum(pool.map(lambda target: _fuzz_one(target, each, folder, seed, fixed=fixed), targets))


def _fuzz_one(target: str, seconds: int, folder: Path, seed: int, *, fixed: bool) -> bool:
    """Fuzz one target in a process of its own, print the result, and return whether there is a finding."""
    log, findings, started = folder / f"{target}.log", folder / "findings", time.monotonic()

    def start(left: int, crashes: int) -> int:
        command = [sys.executable, "-m", "tests.fuzz.run", "--one", target, "--seconds", str(left)]
        command += ["--folder", str(folder), "--seed", str(seed + crashes), *(["--fixed"] if fixed else [])]
        if crashes == MOST_CRASHES - 1:  # atheris does not run here
            command.append("--random-changes")
        with log.open("a" if crashes else "w") as out:
            ended = subprocess.run(
                command, stdout=out, stderr=subprocess.STDOUT, check=False, env={**os.environ, "PYTHONHASHSEED": "0"}
            )
        delayed = drop_delayed_inputs(target, findings)
        return 0 if delayed and ended.returncode == _TIMED_OUT else ended.returncode

    ended = supervise(start, lambda: {path.name for path in findings.glob(f"{target}-*")}, seconds, target)
    duration, inputs = time.monotonic() - started, len(list((folder / "corpus" / target).iterdir()))
    print(f"{target}: {duration:.0f} s, {_executions(log)} inputs run, {inputs} kept, {ended.verdict(log)}", flush=True)
    return ended.failed


def _executions(log: Path) -> int:
    """Return how many inputs were run, as the log of a target says it."""
    counts = re.findall(r"(?:number_of_executed_units: |inputs run: )(\d+)", log.read_text(errors="replace"))
    return sum(map(int, counts))


def main() -> None:
    """Run the command line; exit code 1: a finding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="time in all")
    parser.add_argument("--target", action="append", help="default: all")
    parser.add_argument("--folder", type=Path, default=Path("fuzz_output"), help="corpus, logs and findings")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="targets at one time")
    parser.add_argument("--fixed", action="store_true", help="a fixed number of inputs; --seconds is the upper limit")
    parser.add_argument("--random-changes", action="store_true", help="do not use atheris")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one is None:
        from tests.fuzz.targets import TARGETS

        kind = "by coverage (atheris)" if has_atheris() else "by random changes (atheris is not installed)"
        print(f"fuzzing for {chosen.seconds} s {kind}", flush=True)
        targets = chosen.target or list(TARGETS)
        sys.exit(
            fuzz(targets, chosen.seconds, chosen.folder, seed=chosen.seed, jobs=chosen.jobs, fixed=chosen.fixed) > 0
        )
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    corpus, findings = chosen.folder / "corpus" / chosen.one, chosen.folder / "findings"
    if has_atheris() and not chosen.random_changes:
        fuzz_by_coverage(chosen.one, chosen.seconds, corpus, findings, seed=chosen.seed, fixed=chosen.fixed)
    else:
        from tests.fuzz.mutate import fuzz_by_mutation

        most = FIXED_RUNS[chosen.one] if chosen.fixed else None
        print(f"inputs run: {fuzz_by_mutation(chosen.one, chosen.seconds, findings, chosen.seed, most)}")


if __name__ == "__main__":
    main()
