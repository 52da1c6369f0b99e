"""Time of `import heart2heart`, beside `import numpy`, `import torch` and `import monai`, each in fresh processes.

Command: python -m benchmarks.import_time [--repeats 15]
The processes of the imports take turns, so that other load on the machine affects all imports alike. Both times are of
the import statement alone, measured inside the process: elapsed time, and processor time, which depends little on other
load. A first round, which fills the page cache, is discarded. The limit is the import of an empty module.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from heart2heart.cli.output import text_table

EMPTY = "h2h_empty_module"
STATEMENTS = {
    "nothing (the limit)": f"import {EMPTY}",
    "heart2heart": "import heart2heart",
    "heart2heart and open_store": "import heart2heart; heart2heart.open_store",
    "numpy": "import numpy",
    "torch": "import torch",
    "monai": "import monai",
}
"""Name -> the statement that is timed."""

REFERENCE = "numpy"


def import_seconds(statement: str, folder: Path) -> tuple[float, float]:
    """Return elapsed and processor seconds of one statement in a fresh process."""
    code = (
        "import time; start, used = time.perf_counter(), time.process_time(); "
        f"{statement}; print(time.perf_counter() - start, time.process_time() - used)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    elapsed, processor = map(float, done.stdout.split()[-2:])
    return elapsed, processor


def main(repeats: int) -> None:
    """Print median, fastest and slowest elapsed time and median processor time of each import, over those of numpy."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / f"{EMPTY}.py").touch()
        rounds = [
            {title: import_seconds(statement, folder) for title, statement in STATEMENTS.items()}
            for _ in range(repeats + 1)
        ][1:]
    elapsed = {title: [times[title][0] for times in rounds] for title in STATEMENTS}
    median = {title: statistics.median(values) for title, values in elapsed.items()}
    processor = {title: statistics.median(times[title][1] for times in rounds) for title in STATEMENTS}
    rows = [
        (title, *(f"{value:.4f}" for value in (median[title], min(elapsed[title]), max(elapsed[title]))),
         f"{median[title] / median[REFERENCE]:.3g}", f"{processor[title]:.4f}",
         f"{processor[title] / processor[REFERENCE]:.3g}")
        for title in STATEMENTS
    ]  # fmt: skip
    print(f"Python {platform.python_version()}, {os.cpu_count()} processors, {repeats} processes for each import")
    header = ("import", "median (s)", "fastest (s)", "slowest (s)", f"over {REFERENCE}", "processor (s)")
    print(text_table((*header, f"over {REFERENCE}"), rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    main(parser.parse_args().repeats)
