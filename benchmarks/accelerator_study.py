"""A study of uncurated frames on one card: many runs beside each other, each step one CUDA graph.

    python -m benchmarks.accelerator_study --pack /usr/share/datasets/fashion-mnist --out uncurated_output
    python -m benchmarks.accelerator_study --minutes 7 --out uncurated_output

The first command builds stores, splits and their certificates (`pipelines.study`) and packs what the card needs; the
second runs where the card is and needs torch, pydantic and SciPy, no stores. Every finished run is a line of
`results.jsonl` in `--out`, as `pipelines.study` writes it, so that `pipelines.study ... --report` makes the tables.
Before the runs, one run is trained twice for some steps, launched and recorded, and the largest difference of their
weights is a line of `checks.jsonl`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

DESIGN = Path("pipelines/studies/uncurated_card.yaml")
CHECKED_STEPS = 20
"""Steps of the comparison of recorded and launched steps."""


def main() -> None:
    """Pack a study, or run the jobs that have no line yet until the time is up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--design", type=Path, default=DESIGN, help="YAML file of a study of one task")
    parser.add_argument("--override", action="append", default=[], help="setting of the study, such as seeds=2")
    parser.add_argument("--pack", type=Path, help="folder of the image set's files; writes --packed and ends")
    parser.add_argument("--packed", type=Path, help="default: packed.npz in --out")
    parser.add_argument("--out", type=Path, default=Path("uncurated_output"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--streams", type=int, default=16, help="runs at a time")
    parser.add_argument("--minutes", type=float, default=7.0)
    arguments = parser.parse_args()
    from benchmarks.accelerator_stages import stand_in_for_monai
    from pipelines.study_design import StudyDesign

    design = StudyDesign.load(arguments.design, arguments.override)
    packed = arguments.packed or arguments.out / "packed.npz"
    if arguments.pack is not None:
        from benchmarks.packed_study import pack_study

        pack_study(design, arguments.pack, arguments.out, packed)
        print(f"{packed}: {packed.stat().st_size / 2**20:.1f} MiB")
        return
    stand_in_for_monai()
    for line in run_packed(design, packed, arguments.out, arguments.device, arguments.streams, arguments.minutes):
        print(json.dumps({name: value for name, value in line.items() if name != "confusion"}), flush=True)


def run_packed(
    design: Any, packed: Path, out: Path, device: str, streams: int, minutes: float
) -> Iterator[dict[str, Any]]:
    """Run the jobs of a study that have no line yet, and yield the check and each line as it is written.

    Args:
        design: A `StudyDesign` of one task.
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
        check = {"check": "recorded steps", **compare_recorded(todo[-1:], study, device)}
        with (out / "checks.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(check) + "\n")
        yield check
        started = time.monotonic()
        for count, (job, measured) in enumerate(run_beside(todo, study, device, streams), start=1):
            seconds = time.monotonic() - started
            line = {**job.key(), **measured, "seconds": round(seconds / count, 2), "cpu_seconds": None}
            file.append(line)
            yield {**line, "steps_per_second": round(count * job.config.steps / seconds)}
            if time.monotonic() > end:
                return


def compare_recorded(jobs: Sequence[Any], study: Any, device: str) -> dict[str, Any]:
    """Train a run some steps, launched one by one and recorded, and return how far their weights lie apart.

    The distance is relative to what the steps changed; both draw the same random numbers, and differ by rounding alone.
    """
    import torch

    from benchmarks.captured_runs import CapturedRun

    ends, begin = [], torch.empty(0)
    pixels = torch.from_numpy(study.content["pixels"]).to(device)
    for job in jobs:
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
    if not ends:
        return {}
    scale = torch.linalg.vector_norm(ends[0] - begin)
    return {"relative_difference": float(torch.linalg.vector_norm(ends[1] - ends[0]) / scale)}


def _flat(values: Any) -> Any:
    import torch

    return torch.cat([each.detach().double().cpu().flatten() for each in values])


if __name__ == "__main__":
    main()
