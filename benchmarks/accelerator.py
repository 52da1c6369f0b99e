"""What only an accelerator can show, in one command: stages with their own time limits, the most valuable first.

    python -m benchmarks.accelerator --prepare shared/data/cifar10/cifar10.parquet --images cifar10.npz
    python -m benchmarks.accelerator --minutes 9 --images cifar10.npz --out accelerator_output

The first command packs the images for the journey; the second runs where the accelerator is. A stage is a process of
its own: one that fails or takes too long costs the others nothing. What it measured is appended to
`accelerator_output/results.jsonl` as it comes; `results.md` has the tables. MONAI is used where it is installed;
without it the WideResNet is built of the same layers of torch. `--plan` prints the stages and their limits, and
`--rehearse` runs all of them in miniature on a CPU.

Frames are noise except in the stage `images`: only speed and agreement are measured there.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

LIMITS = {
    "correctness": 45.0,
    "step": 90.0,
    "loop": 60.0,
    "waits": 45.0,
    "peer": 90.0,
    "compile": 150.0,
    "graph": 45.0,
    "profile": 30.0,
    "acoustic": 30.0,
    "images": 600.0,
}
"""Stage -> seconds that it may take, in the order of value."""

SHOWS = {
    "correctness": "one step on the device beside one in float64 on the CPU, in float32 and bfloat16",
    "step": "images a second of the step alone, beside the device's limits",
    "loop": "the whole loop over the pool on the device, the share of the data, minutes of the paper's fold",
    "waits": "how often the host waits within a step, by method and gradient rule",
    "peer": "images a second beside semilearn's loop",
    "compile": "the compiled step",
    "graph": "the step as one CUDA graph",
    "profile": "the share of each operator",
    "acoustic": "the cost of each augmentation policy",
    "images": "labels only, FixMatch and Fix-A-Step on CIFAR-10 at two levels of mismatch, two seeds each",
}
"""Stage -> what it shows."""

SENDABLE = 64 * 1024 * 1024
"""Bytes that the packed images may have, so that they can be sent along."""

SHORTEST = 5.0
"""Seconds below which no stage is begun."""


@dataclass(frozen=True)
class Workload:
    """Size of the work of every stage.

    Attributes:
        labeled: Labeled frames a step.
        unlabeled: Unlabeled frames a step.
        size: Side of a frame, pixels.
        variant: Variant of the WideResNet.
        depth: Its depth.
        widen: Its width.
        pool: Frames of the unlabeled pool.
        rounds: Timed repetitions.
        image_steps: Steps of a run on images.
        image_depth: Depth of its WideResNet.
        processes: Runs on images at a time.
        seeds: Seeds of each run on images.
    """

    labeled: int = 64
    unlabeled: int = 320
    size: int = 112
    variant: str = "paper"
    depth: int = 28
    widen: int = 2
    pool: int = 353_500
    rounds: int = 20
    image_steps: int = 4000
    image_depth: int = 16
    processes: int = 10
    seeds: int = 2

    def namespace(self, device: str) -> argparse.Namespace:
        """Return the sizes as the other benchmarks take them."""
        return argparse.Namespace(**asdict(self), steps=self.rounds, frames=self.unlabeled, device=device)


MINIATURE = Workload(
    4, 8, 16, "canonical", 10, 1, pool=64, rounds=2, image_steps=3, image_depth=10, processes=2, seeds=1
)
"""A rehearsal: every line of every stage, in seconds on a CPU."""


def main() -> None:
    """Prepare the images, run one stage, or run them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=9.0, help="time for all stages together")
    parser.add_argument("--device", help="default: cuda; cpu in a rehearsal")
    parser.add_argument("--images", type=Path, default=Path("cifar10.npz"), help="what --prepare wrote")
    parser.add_argument("--out", type=Path, default=Path("accelerator_output"))
    parser.add_argument("--stage", action="append", choices=list(LIMITS), help="this stage alone; repeatable")
    parser.add_argument("--plan", action="store_true", help="print the stages with their time limits and end")
    parser.add_argument("--rehearse", dest="miniature", action="store_true", help="run every stage in miniature")
    parser.add_argument("--prepare", type=Path, help="CIFAR-10 as Parquet with JPEG; writes --images")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.device = arguments.device or ("cpu" if arguments.miniature else "cuda")
    stages = arguments.stage or list(LIMITS)
    if arguments.prepare is not None:
        prepare(arguments.prepare, arguments.images)
        return
    if arguments.plan:
        print(plan(stages, arguments.minutes))
        return
    workload = MINIATURE if arguments.miniature else Workload()
    if arguments.here:
        for line in run_stage(stages[0], workload, arguments.device, arguments.images, arguments.out):
            print(json.dumps(line), flush=True)
        return
    lines = run_stages(stages, arguments)
    text = tables(lines)
    (arguments.out / "results.md").write_text(text + "\n", encoding="utf-8")
    print(text)


def prepare(parquet: Path, images: Path) -> None:
    """Pack the images and print the size of the file."""
    from benchmarks.accelerator_images import pack_images

    pack_images(parquet, images)
    size = images.stat().st_size
    fits = "can be sent along" if size <= SENDABLE else "is too large to be sent along"
    print(f"{images.name}: {size / 2**20:.1f} MiB of {SENDABLE / 2**20:.0f}; it {fits}")


def plan(stages: Sequence[str], minutes: float) -> str:
    """Return a Markdown table of the stages: what each shows, its time limit, and when it begins at the latest.

    Args:
        stages: Names of stages.
        minutes: Time for all together; a stage is stopped at its end, whatever its own limit.
    """
    lines = ["| stage | shows | at most, s | begins at the latest, s |", "|---|---|---|---|"]
    begin, end = 0.0, 60 * minutes
    for stage in stages:
        limit = min(LIMITS[stage], end - begin)
        shown = f"{limit:.0f} | {begin:.0f}" if limit >= SHORTEST else "what the others leave | "
        lines.append(f"| {stage} | {SHOWS[stage]} | {shown} |")
        begin = min(begin + LIMITS[stage], end)
    return "\n".join(lines)


def run_stages(stages: list[str], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Run stages in processes of their own until the time is up, and return their lines, which are written at once."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * arguments.minutes
    lines = []
    with (arguments.out / "results.jsonl").open("w", encoding="utf-8") as results:
        for line in _lines_of_stages(stages, arguments, end):
            lines.append(line)
            results.write(json.dumps(line) + "\n")
            results.flush()
            print(json.dumps(line), flush=True)
    return lines


def _lines_of_stages(stages: list[str], arguments: argparse.Namespace, end: float) -> Iterator[dict[str, Any]]:
    yield _head(arguments.device)
    for stage in stages:
        limit = min(LIMITS[stage], end - time.monotonic())
        if limit < SHORTEST:
            yield {"stage": stage, "failed": "no time was left"}
            continue
        command = [sys.executable, "-m", "benchmarks.accelerator", "--here", "--stage", stage]
        command += ["--device", arguments.device, "--images", str(arguments.images), "--out", str(arguments.out)]
        command += ["--rehearse"] * arguments.miniature
        started = time.monotonic()
        yield from stage_lines(stage, command, limit)
        yield {"stage": stage, "seconds": round(time.monotonic() - started, 1)}


def stage_lines(stage: str, command: list[str], limit: float) -> Iterator[dict[str, Any]]:
    """Run a command and yield each JSON object that it prints as it comes; at its limit it and its children end."""
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True) as process,
    ):
        assert process.stdout is not None
        stopped = threading.Event()

        def stop() -> None:
            stopped.set()
            with contextlib.suppress(ProcessLookupError):  # it ended just now
                os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(limit, stop)
        timer.start()
        for text in process.stdout:
            line = text.strip()
            if line.startswith("{") and line.endswith("}"):
                yield json.loads(line)
        code = process.wait()
        timer.cancel()
        if stopped.is_set() or code != 0:
            errors.seek(0)
            failure = f"stopped after {limit:.0f} s" if stopped.is_set() else f"exit {code}"
            yield {"stage": stage, "failed": failure, "error": errors.read().decode(errors="replace")[-1500:]}


def _head(device: str) -> dict[str, Any]:
    import torch

    name = torch.cuda.get_device_name() if device.startswith("cuda") else platform.processor() or "CPU"
    return {"stage": "machine", "date": str(date.today()), "device": name, "torch": torch.__version__}


def run_stage(stage: str, workload: Workload, device: str, images: Path, out: Path) -> Iterator[dict[str, Any]]:
    """Yield what one stage measures, each a line of the results."""
    import torch

    from benchmarks import accelerator_stages
    from benchmarks.accelerator_images import train_on_images
    from heart2heart.training.model_access import fastest_kernels

    accelerator_stages.stand_in_for_monai()
    if stage == "images":
        yield from train_on_images(workload, device, images, out)
        return
    with fastest_kernels(torch.device(device)):
        yield from accelerator_stages.STAGES[stage](workload, device)


def tables(lines: list[dict[str, Any]]) -> str:
    """Return the lines as Markdown: one table a stage."""
    by_stage: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        by_stage.setdefault(line["stage"], []).append({name: value for name, value in line.items() if name != "stage"})
    parts = []
    for stage, rows in by_stage.items():
        shown = [row for row in rows if set(row) != {"seconds"}]
        names = list(dict.fromkeys(name for row in shown for name in row))
        table = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
        table += [f"| {' | '.join(_cell(row.get(name)) for name in names)} |" for row in shown]
        parts.append(f"## {stage}\n\n" + "\n".join(table))
    return "\n\n".join(parts)


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
    return text.replace("\n", " ").replace("|", "/")


if __name__ == "__main__":
    main()
