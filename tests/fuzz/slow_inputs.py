"""Tells an input that takes long from one that a machine under load delayed: it runs alone, by processor time."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

INPUT_SECONDS = 60
"""Seconds that one input may take."""
_START_SECONDS = 60  # processor time to start Python and to import a target
_HANG_SECONDS = 900  # by the clock: an input that waits for ever uses no processor


def is_slow(target: str, path: Path) -> bool:
    """Return whether an input takes more than `INPUT_SECONDS` of processor time, or does not end."""
    command = [sys.executable, "-m", "tests.fuzz.slow_inputs", target, str(path)]
    try:
        ended = subprocess.run(command, check=False, timeout=_HANG_SECONDS, capture_output=True)
    except subprocess.TimeoutExpired:
        return True
    return ended.returncode != 0


def drop_delayed_inputs(target: str, findings: Path, check: Callable[[str, Path], bool] = is_slow) -> int:
    """Delete the inputs of a target that the fuzzer reports as slow and that are not slow alone, and count them.

    Args:
        target: Name of the target.
        findings: Folder of the inputs that the fuzzer reports.
        check: Returns whether an input is slow.
    """
    reported = [path for kind in ("timeout", "slow-unit") for path in findings.glob(f"{target}-{kind}-*")]
    delayed = [path for path in reported if not check(target, path)]
    for path in delayed:
        path.unlink()
    return len(delayed)


def main() -> None:
    """Run one input; exit code 1: it is slow."""
    target, path = sys.argv[1:]
    data, most = Path(path).read_bytes(), INPUT_SECONDS + _START_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (most, most))

    from tests.fuzz.findings import UNEXPECTED
    from tests.fuzz.targets import run_target

    started = time.process_time()
    with suppress(*UNEXPECTED):  # an error is another kind of finding
        run_target(target, data)
    sys.exit(time.process_time() - started > INPUT_SECONDS)


if __name__ == "__main__":
    main()
