"""When does adaptation without labels help? Forced statistics, and what predictions told before and after.

    python -m benchmarks.adaptation_gain --hospitals demo_output --patients 24 12 6 3
    python -m benchmarks.adaptation_gain --hospitals fresh --runs RUNS --method fixmatch-long --patients 12

Every run is adapted at every held-out hospital of a demo's folder (SYNTHETIC) with plain statistics and without checks,
and scored on the same frames before and after. The table shows what the check `gain` of `adapt` would keep for several
thresholds: the mean change, the worst, and how many cases lose more than a point. A line a case is printed as JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

RATIOS = (0.0, 1.0, 1.05, 1.1, 1.12, 1.15)
"""Least rise of the information, as a multiple of that before; 0 adapts always."""


def main() -> None:
    """Measure every case and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hospitals", type=Path, required=True, help="output folder of a demo or of fresh_hospitals")
    parser.add_argument("--runs", type=Path, help="folder with a folder of runs for each method; default: the demo's")
    parser.add_argument("--method", nargs="*", default=[], help="folders of --runs; default: all")
    parser.add_argument("--patients", type=int, nargs="+", default=[12], help="numbers of adaptation patients")
    parser.add_argument("--table", type=Path, nargs="*", help="print the table of these files of lines, and end")
    arguments = parser.parse_args()
    if arguments.table:
        lines = [json.loads(line) for file in arguments.table for line in file.read_text().splitlines()]
    else:
        lines = []
        runs = arguments.runs or arguments.hospitals / "runs"
        for line in measure(arguments.hospitals, runs, arguments.method, arguments.patients):
            lines.append(line)
            print(json.dumps(line), flush=True)
    print(table(lines))


def measure(hospitals: Path, runs: Path, methods: Sequence[str], patients: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yield one line a run, hospital and number of patients.

    Args:
        hospitals: Folder with `stores` and `split`.
        runs: Folder with a folder of runs for each method.
        methods: Folders of `runs`; empty for all.
        patients: Numbers of adaptation patients.
    """
    import numpy as np
    import torch

    from heart2heart.schema.adaptation import AdaptationSettings
    from heart2heart.schema.enums import SplitRole
    from heart2heart.splits.manifest import SplitManifest
    from heart2heart.store.frame_store import FrameStores
    from heart2heart.training.adapt import adapt_run
    from heart2heart.training.run import Run
    from heart2heart.training.unscored_frames import choose_patients, select_frames
    from heart2heart.training.validation import balanced_accuracy
    from heart2heart.utils import sha256_json

    torch.set_num_threads(1)
    settings = AdaptationSettings.parse({"statistics": "plain", "refuse": False}, where="benchmark")
    split = SplitManifest.load(hospitals / "split")
    store = FrameStores.open(sorted(path.parent for path in (hospitals / "stores").glob("*/store.json")))
    digest = sha256_json([one.digest() for one in store.stores])
    tested = split.select(store, SplitRole.TEST)
    sites = np.array(tested.members["site"].to_pylist())
    for record in sorted(runs.glob("*/seed*/run.json")):
        if methods and record.parents[1].name not in methods:
            continue
        run = Run.load(record.parent)
        for site in split.held_out_sites:
            scored = (sites == site) & (tested.targets >= 0)
            pixels, targets = store.read(tested.rows[scored]), torch.from_numpy(tested.targets[scored])
            free = choose_patients(split, store, site, settings).names
            before = balanced_accuracy(torch.from_numpy(run.predict(pixels)), targets)
            for count in patients:
                chosen = choose_patients(split, store, site, settings, free[:count])
                frames = select_frames(store, site, chosen, settings, run.config.pool.modes)
                with TemporaryDirectory() as folder:
                    adapted = adapt_run(run, frames, split, Path(folder) / "run", settings, store_digest=digest)
                    after = balanced_accuracy(torch.from_numpy(adapted.predict(pixels)), targets)
                known = adapted.directory.record.adaptation
                assert known is not None
                assert known.before is not None
                assert known.after is not None
                ratio = known.after.information / known.before.information
                yield {
                    "run": f"{record.parents[1].name}/{record.parent.name}", "site": site, "patients": count,
                    "before": before, "after": after, "information": ratio,
                }  # fmt: skip


def table(lines: Sequence[dict[str, Any]]) -> str:
    """Return what each threshold on the information does, as Markdown.

    Examples:
        >>> print(table([{"before": 0.8, "after": 0.9, "information": 1.2}]).splitlines()[-1])
        | 1.15 | 1 of 1 | +10.0 | +10.0 | 0 |
    """
    rows = ["| information at least | adapted | mean change | worst | lose more than 1 |", "|---|---|---|---|---|"]
    for ratio in RATIOS:
        kept = [line["information"] >= ratio for line in lines]
        changes = [
            100 * (line["after"] - line["before"]) if adapts else 0.0 for line, adapts in zip(lines, kept, strict=True)
        ]
        mean, harmed = sum(changes) / len(changes), sum(change < -1 for change in changes)
        rows.append(f"| {ratio:g} | {sum(kept)} of {len(lines)} | {mean:+.1f} | {min(changes):+.1f} | {harmed} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
