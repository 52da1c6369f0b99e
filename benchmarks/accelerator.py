"""What only an accelerator can show, in one command: stages with their own time limits, the most valuable first.

    python -m benchmarks.accelerator --prepare shared/data/cifar10/cifar10.parquet --images cifar10.npz
    python -m benchmarks.accelerator --minutes 9 --images cifar10.npz --out accelerator_output

The first command packs the images for the journey; the second runs where the accelerator is. A stage is a process of
its own: one that fails or takes too long costs the others nothing. What it measured is appended to
`accelerator_output/results.jsonl` as it comes; `results.md` has the tables. MONAI is used where it is installed;
without it the WideResNet is built of the same layers of torch. `--miniature` rehearses everything on a CPU.

Frames are noise except in the stage `images`: only speed and agreement are measured there.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

LIMITS = {
    "correctness": 60.0,
    "step": 75.0,
    "loop": 75.0,
    "acoustic": 45.0,
    "waits": 60.0,
    "peer": 60.0,
    "profile": 30.0,
    "graph": 45.0,
    "compile": 90.0,
    "images": 600.0,
}
"""Stage -> seconds that it may take, in the order of value."""


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
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--images", type=Path, default=Path("cifar10.npz"), help="what --prepare wrote")
    parser.add_argument("--out", type=Path, default=Path("accelerator_output"))
    parser.add_argument("--stage", action="append", choices=list(LIMITS), help="this stage alone; repeatable")
    parser.add_argument("--miniature", action="store_true", help="rehearse in seconds")
    parser.add_argument("--prepare", type=Path, help="CIFAR-10 as Parquet with JPEG; writes --images")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.prepare is not None:
        from benchmarks.accelerator_images import pack_images

        pack_images(arguments.prepare, arguments.images)
        return
    workload = MINIATURE if arguments.miniature else Workload()
    stages = arguments.stage or list(LIMITS)
    if arguments.here:
        for line in run_stage(stages[0], workload, arguments.device, arguments.images, arguments.out):
            print(json.dumps(line), flush=True)
        return
    lines = run_stages(stages, arguments)
    text = tables(lines)
    (arguments.out / "results.md").write_text(text + "\n", encoding="utf-8")
    print(text)


def run_stages(stages: list[str], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Run stages in processes of their own until the time is up, and return their lines."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * arguments.minutes
    lines = [_head(arguments.device)]
    for stage in stages:
        limit = min(LIMITS[stage], end - time.monotonic())
        if limit < 5:
            lines.append({"stage": stage, "failed": "no time was left"})
            continue
        command = [sys.executable, "-m", "benchmarks.accelerator", "--here", "--stage", stage]
        command += ["--device", arguments.device, "--images", str(arguments.images), "--out", str(arguments.out)]
        command += ["--miniature"] * arguments.miniature
        started = time.monotonic()
        lines += _stage_lines(stage, command, limit)
        lines.append({"stage": stage, "seconds": round(time.monotonic() - started, 1)})
        (arguments.out / "results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return lines


def _stage_lines(stage: str, command: list[str], limit: float) -> list[dict[str, Any]]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
        output, errors, failure = done.stdout, done.stderr, None if done.returncode == 0 else f"exit {done.returncode}"
    except subprocess.TimeoutExpired as late:
        output, errors, failure = _text(late.stdout), _text(late.stderr), f"stopped after {limit:.0f} s"
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{") and line.endswith("}")]
    for line in lines:
        print(json.dumps(line), flush=True)
    if failure is not None:
        lines.append({"stage": stage, "failed": failure, "error": errors[-1500:]})
        print(json.dumps(lines[-1]), flush=True)
    return lines


def _text(output: bytes | str | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


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
