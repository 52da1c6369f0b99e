"""Are the demo's verdicts the same on every processor? The demo is trained again under other instructions and threads.

    python -m benchmarks.determinism demo_output --out determinism_output

Hospitals, stores and split of a finished demo are used as they are; training, adaptation and evaluation run again under
each setting, since these are what floating-point sums can change. The table names every verdict that differs, and the
largest change of a balanced accuracy.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from heart2heart.errors import ConfigError
from heart2heart.reporting.verdicts import judge_difference
from heart2heart.schema.metrics_files import read_metrics
from heart2heart.training.run import Run
from pipelines.command_line import run

READ = ("hospitals", "keys")
"""What a repeated demo only reads of the finished one."""
COPIED = ("stores", "split", "labels.db")
"""What a repeated demo has a copy of."""


@dataclass(frozen=True)
class Setting:
    """How a demo is computed.

    Attributes:
        name: For the table.
        capability: Value of `ATEN_CPU_CAPABILITY`; None leaves it unset.
        workers: Processes; with one, training takes `threads` threads, else one.
        threads: Value of `OMP_NUM_THREADS`.
    """

    name: str
    capability: str | None = None
    workers: int = 2
    threads: int = 1

    def environment(self) -> dict[str, str]:
        """Return the environment of the process."""
        kept = {name: value for name, value in os.environ.items() if name != "ATEN_CPU_CAPABILITY"}
        chosen = {} if self.capability is None else {"ATEN_CPU_CAPABILITY": self.capability}
        return kept | chosen | {"OMP_NUM_THREADS": str(self.threads)}


SETTINGS = (
    Setting("unset"),
    Setting("default", "default"),
    Setting("avx2", "avx2"),
    Setting("unset, two threads", workers=1, threads=2),
)


@dataclass(frozen=True)
class Findings:
    """What a demo says.

    Attributes:
        verdicts: Comparison or adaptation, with its hospital -> the word.
        accuracies: Method and hospital -> mean balanced accuracy, 0 to 1.
        margins: Comparison and hospital -> distance of the nearer bound of the interval from zero, 0 to 1. A small one
            may change its verdict with the last digits.
    """

    verdicts: Mapping[str, str]
    accuracies: Mapping[str, float]
    margins: Mapping[str, float]


def read_findings(demo: Path) -> Findings:
    """Read the verdicts and accuracies of a finished demo."""
    metrics = read_metrics(demo / "evaluation" / "metrics.json")
    verdicts, margins = {}, {}
    for each in metrics.comparisons:
        for site in each.sites:
            name = f"{each.candidate} minus {each.reference}, {site.site}"
            verdicts[name] = judge_difference(site).kind.value
            if site.judged.low is not None and site.judged.high is not None:
                margins[name] = min(abs(site.judged.low), abs(site.judged.high))
    for folder in sorted(path.parent for path in (demo / "runs" / "adapted").glob("*/run.json")):
        record = Run.load(folder).directory.record.adaptation
        assert record is not None
        verdicts[f"adaptation {folder.name}"] = "kept" if record.kept_source else "adapted"
    accuracies = {
        f"{method.method}, {site.site}": site.balanced_accuracy.value
        for method in metrics.methods
        for site in method.sites
        if site.balanced_accuracy.value is not None
    }
    return Findings(verdicts, accuracies, margins)


def repeat_demo(demo: Path, out: Path, setting: Setting, arguments: Sequence[str] = ()) -> Findings:
    """Train, adapt and evaluate a finished demo again, and return what it says.

    Args:
        demo: The finished demo; it stays as it is.
        out: Folder for the repeated one; a finished one that is there is read.
        setting: How it is computed.
        arguments: The options of `heart2heart demo` that made it, without `--out` and `--workers`.

    Raises:
        ConfigError: no finished demo there, or the repeated one failed.
    """
    if not (demo / "finished.json").exists():
        remedy = f"Run: heart2heart demo --out {demo}"
        raise ConfigError("no finished demo here", where=demo, remedy=remedy)
    out.mkdir(parents=True, exist_ok=True)
    for name in (*READ, *COPIED):
        source, target = (demo / name).resolve(), out / name
        if target.exists():
            continue
        if name in READ:
            target.symlink_to(source)
        elif source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
    command = [sys.executable, "-m", "heart2heart", "demo", "--out", str(out), "--workers", str(setting.workers)]
    done = subprocess.run(
        [*command, *arguments], env=setting.environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ConfigError(f"the demo failed: {done.stderr.strip()[-500:]}", where=out)
    return read_findings(out)


def table(findings: Mapping[str, Findings]) -> str:
    """Return how much each setting differs from the first, as Markdown."""
    first = next(iter(findings.values()))
    rows = ["| setting | verdicts | that differ | largest change of an accuracy, points |", "|---|---|---|---|"]
    for name, each in findings.items():
        other = [key for key, word in first.verdicts.items() if each.verdicts.get(key) != word]
        change = max(abs(each.accuracies[key] - value) for key, value in first.accuracies.items())
        rows.append(f"| {name} | {len(each.verdicts)} | {'; '.join(other) or 'none'} | {100 * change:.2f} |")
    return "\n".join(rows)


def main(
    demo: Annotated[Path, typer.Argument(help="Output folder of a finished demo.")],
    out: Annotated[Path, typer.Option(help="Folder for the repeated demos.")] = Path("determinism_output"),
    argument: Annotated[
        list[str] | None, typer.Option(help="Option that the demo was made with, such as --scale=0.2; repeatable.")
    ] = None,
) -> None:
    """Repeat a finished demo under every setting, and print which verdicts differ."""
    findings = {"as found": read_findings(demo)}
    for index, setting in enumerate(SETTINGS):
        findings[setting.name] = repeat_demo(demo, out / f"setting-{index}", setting, argument or [])
        print(table(findings), flush=True)


if __name__ == "__main__":
    run(main)
