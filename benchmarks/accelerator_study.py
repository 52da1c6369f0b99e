"""A study of uncurated frames on one card: many runs beside each other, each step one CUDA graph.

    python -m benchmarks.accelerator_study --pack /usr/share/datasets/fashion-mnist --out uncurated_output
    python -m benchmarks.accelerator_study --minutes 7 --out uncurated_output

The first command builds stores, splits and their certificates (`pipelines.study`) and packs what the card needs; the
second runs where the card is and needs torch, pydantic and SciPy, no stores. Every finished run is a line of
`results.jsonl` in `--out`, as `pipelines.study` writes it, so that `pipelines.study ... --report` makes the tables.
Before the runs, one run of each way is trained twice for some steps, launched and recorded, and the difference of their
weights is a line of `checks.jsonl`; a way that cannot be recorded is left out. `--plan` prints runs and time.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from heart2heart.errors import ConfigError

DESIGN = Path("pipelines/studies/uncurated_card.yaml")
CHECKED_STEPS = 20
"""Steps of the comparison of recorded and launched steps."""
STEPS_A_SECOND = 1_400
"""Steps a second of all runs together, with 20 streams on an H100 (docs/results/uncurated.md)."""


def main() -> None:
    """Pack a study, or run the jobs that have no line yet until the time is up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--design", type=Path, default=DESIGN, help="YAML file of a study")
    parser.add_argument("--override", action="append", default=[], help="setting of the study, such as seeds=2")
    parser.add_argument("--pack", type=Path, help="folder of the image set's files; writes --packed and ends")
    parser.add_argument("--draft", type=Path, help="as --pack, for development: see benchmarks.draft_study")
    parser.add_argument("--packed", type=Path, help="default: packed.npz in --out")
    parser.add_argument("--out", type=Path, default=Path("uncurated_output"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--streams", type=int, default=16, help="runs at a time")
    parser.add_argument("--minutes", type=float, default=7.0)
    parser.add_argument("--plan", action="store_true", help="print runs, steps and time, and stop")
    parser.add_argument("--rate", type=float, default=STEPS_A_SECOND, help="with --plan: steps a second of all runs")
    arguments = parser.parse_args()
    from benchmarks.accelerator_stages import stand_in_for_monai
    from pipelines.study_design import StudyDesign

    design = StudyDesign.load(arguments.design, arguments.override)
    if arguments.plan:
        print(plan_text(design, arguments.out, arguments.minutes, arguments.rate))
        return
    packed = arguments.packed or arguments.out / "packed.npz"
    if arguments.pack is not None:
        from benchmarks.packed_study import pack_study

        pack_study(design, arguments.pack, arguments.out, packed)
        print(f"{packed}: {packed.stat().st_size / 2**20:.1f} MiB")
        return
    if arguments.draft is not None:
        from benchmarks.draft_study import draft_study

        draft_study(design, arguments.draft, arguments.out, packed)
        return
    stand_in_for_monai()
    for line in run_packed(design, packed, arguments.out, arguments.device, arguments.streams, arguments.minutes):
        print(json.dumps({name: value for name, value in line.items() if name != "confusion"}), flush=True)


def plan_text(design: Any, out: Path, minutes: float, rate: float) -> str:
    """Return the runs that are left of a study by task and way, and how far the time will go.

    Args:
        design: A `StudyDesign`.
        out: Folder of the study; runs with a line are done.
        minutes: Time of one command.
        rate: Steps a second of all runs together.
    """
    from pipelines.study import kind_of, results_of

    jobs = design.jobs(out)
    todo = [job for job, line in zip(jobs, results_of(out).lines(jobs), strict=True) if line is None]
    kinds = Counter((job.task, kind_of(job)) for job in todo)
    lines = ["| task | runs of | runs to do |", "|---|---|---|"]
    lines += [f"| {task} | {kind} | {count} |" for (task, kind), count in kinds.items()]
    steps = sum(job.config.steps for job in todo)
    whole = {seed: sum(job.config.steps for job in todo if job.seed <= seed) for seed in {job.seed for job in todo}}
    reached = sum(needed / rate <= 60 * minutes for needed in whole.values())
    left = f"{len(jobs)} runs, {len(todo)} to do: {steps:,} steps"
    lines += ["", f"{left}, {steps / rate / 60:.1f} minutes at {rate:g} a second."]
    lines += [f"In {minutes:g} minutes: {reached} of {len(whole)} seeds whole; the same command goes on with the rest."]
    return "\n".join(lines)


def run_packed(
    design: Any, packed: Path, out: Path, device: str, streams: int, minutes: float
) -> Iterator[dict[str, Any]]:
    """Run the jobs of a study that have no line yet, and yield the checks and each line as it is written.

    Args:
        design: A `StudyDesign`.
        packed: What `pack_study` wrote.
        out: Folder of the study.
        device: Where to train.
        streams: Runs at a time.
        minutes: Time after which the runs that are under way are given up.
    """
    import torch

    from benchmarks.captured_runs import run_beside
    from benchmarks.packed_study import PackedStudy
    from heart2heart.training.model_access import fastest_kernels
    from pipelines.study import results_of

    end, file, jobs = time.monotonic() + 60 * minutes, results_of(out), design.jobs(out)
    out.mkdir(parents=True, exist_ok=True)
    file.repair()
    todo = [job for job, line in zip(jobs, file.lines(jobs), strict=True) if line is None]
    study = PackedStudy.read(packed)
    torch.set_num_threads(1)
    with fastest_kernels(torch.device(device)):
        checks = [check_way(job, study, device) for job in {job.way: job for job in todo}.values()]
        with (out / "checks.jsonl").open("a", encoding="utf-8") as log:
            log.writelines(json.dumps(check) + "\n" for check in checks)
        yield from checks
        failed = {check["way"] for check in checks if "failed" in check}
        todo = [job for job in todo if job.way not in failed]
        started = time.monotonic()
        for count, (job, measured) in enumerate(run_beside(todo, study, device, streams), start=1):
            seconds = time.monotonic() - started
            line = {**job.key(), **measured, "seconds": round(seconds / count, 2), "cpu_seconds": None}
            file.append(line)
            yield {**line, "steps_per_second": round(count * job.config.steps / seconds)}
            if time.monotonic() > end:
                return


def check_way(job: Any, study: Any, device: str) -> dict[str, Any]:
    """Return how far a run that is recorded lies from one that is launched, or why its way cannot be recorded.

    A way that fails is left out, so that the time of a borrowed card goes to the others.
    """
    check = {"check": "recorded steps", "way": job.way}
    try:
        return check | {"relative_difference": compare_recorded(job, study, device)}
    except (ConfigError, RuntimeError) as error:
        return check | {"failed": str(error).splitlines()[0]}


def compare_recorded(job: Any, study: Any, device: str) -> float:
    """Train a run some steps, launched one by one and recorded, and return how far their weights lie apart.

    The distance is relative to what the steps changed; both draw the same random numbers, and differ by rounding alone.
    """
    import torch

    from benchmarks.captured_runs import CapturedRun

    ends, begin = [], torch.empty(0)
    pixels = torch.from_numpy(study.content["pixels"]).to(device)
    for recorded in (False, True):
        run = CapturedRun(job, study, pixels)
        if recorded:
            run.capture()
        else:
            run.replay = run.step
        begin = _flat(run.trainer._initial.values())
        run.launch(CHECKED_STEPS)
        if run.stream is not None:
            run.stream.synchronize()
        ends.append(_flat(run.trainer.network.state_dict().values()))
    scale = torch.linalg.vector_norm(ends[0] - begin)
    return float(torch.linalg.vector_norm(ends[1] - ends[0]) / scale)


def _flat(values: Any) -> Any:
    import torch

    return torch.cat([each.detach().double().cpu().flatten() for each in values])


if __name__ == "__main__":
    main()
