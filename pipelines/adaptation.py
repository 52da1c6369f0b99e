"""What does adaptation without labels bring, and does it ever do harm? A study on the SYNTHETIC hospitals of a demo.

    python -m pipelines.adaptation --hospitals demo_output --out adaptation_output

Every run of the demo is adapted at every held-out hospital with frames of patients who are never scored there: of many
patients, of few, and of clips that show one or two views alone, as at a hospital that does one examination. It is
scored on the same views before and after. One line a run, hospital and case in `results.jsonl`; a study that was
stopped continues with what is missing.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
import typer

from heart2heart.csv_files import CsvWriter
from heart2heart.datasets.file_readers import read_csv
from heart2heart.errors import ConfigError, RunError
from heart2heart.labels.consensus import frame_labels
from heart2heart.labels.importing import import_labels
from heart2heart.labels.label_store import LabelStore
from heart2heart.schema.adaptation import AdaptationSettings
from heart2heart.schema.enums import SplitRole
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStores
from heart2heart.training.adapt import adapt_run
from heart2heart.training.adaptation_check import SOURCE_INFORMATION
from heart2heart.training.run import Run
from heart2heart.training.unscored_frames import choose_patients, select_frames
from heart2heart.training.validation import balanced_accuracy
from heart2heart.utils import sha256_json, write_text
from pipelines.command_line import run
from pipelines.study_engine import ResultsFile, run_study
from pipelines.study_plan import cost_text, job_costs
from pipelines.study_statistics import SeedInterval

WAYS: Mapping[str, Mapping[str, Any]] = {
    "plain": {"statistics": "plain", "refuse": False},
    "prior_aware": {"statistics": "prior_aware", "refuse": False},
    "auto": {},
    "auto + entropy": {"entropy_steps": 10},
    "auto + shares": {"correct_prior": True},
}
"""Way -> settings of the adaptation. The first two are forced; the others keep the source where a check refuses."""


@dataclass(frozen=True)
class AdaptationJob:
    """One run at one hospital in one case.

    Attributes:
        demo: Output folder of the demo.
        run: Folder of the run.
        site: The hospital.
        patients: Number of adaptation patients.
        views: Views of the hospital's clips; empty for all.
        out: Folder for what is written and deleted again.
    """

    demo: Path
    run: Path
    site: str
    patients: int
    views: tuple[str, ...]
    out: Path

    @property
    def case(self) -> str:
        """The case, in words."""
        return f"{self.patients} patients, {'all views' if not self.views else f'{len(self.views)} of the views'}"

    def key(self) -> dict[str, Any]:
        """Return what names its line of the results."""
        return {
            "run": f"{self.run.parent.name}/{self.run.name}",
            "site": self.site,
            "patients": self.patients,
            "views": list(self.views),
        }


def adapt_and_score(job: AdaptationJob) -> dict[str, Any]:
    """Adapt one run in every way, and score it before and after.

    Returns:
        A line of results without its key: `unadapted` and the score of each way, 0 to 1, whether `auto` adapted, and
        the information of the predictions before and after it, as shares of that at the source. Ways are empty where
        the case has too few patients.
    """
    torch.set_num_threads(1)  # the processes are the parallelism
    trained, split = Run.load(job.run), SplitManifest.load(job.demo / "split")
    store = FrameStores.open(sorted(path.parent for path in (job.demo / "stores").glob("*/store.json")))
    selected = split.select(store, SplitRole.TEST)
    classes = [split.classes.index(view) for view in job.views] or list(range(len(split.classes)))
    here = np.array(selected.members["site"].to_pylist()) == job.site
    scored = here & np.isin(selected.targets, classes)
    pixels, targets = store.read(selected.rows[scored]), torch.from_numpy(selected.targets[scored])

    def score(model: Run) -> float:
        return balanced_accuracy(torch.from_numpy(model.predict(pixels)), targets)

    digest = sha256_json([one.digest() for one in store.stores])
    line: dict[str, Any] = {"case": job.case, "unadapted": score(trained), "ways": {}, "adapted": False}
    views = true_views(job, store) if job.views else {}
    for name, content in WAYS.items():
        settings = AdaptationSettings.parse(dict(content), where=name)
        free = choose_patients(split, store, job.site, settings).names
        try:
            frames = select_frames(
                store,
                job.site,
                choose_patients(split, store, job.site, settings, free[: job.patients]),
                settings,
                trained.config.pool.modes,
            )
        except RunError:
            return line
        if job.views:
            shown = pa.array([frame for frame, view in views.items() if view in job.views], pa.string())
            frames = replace(frames, table=frames.table.filter(pc.is_in(frames.table["frame"], shown)))
        if len(set(frames.owners)) < 2:
            return line
        shutil.rmtree(job.out, ignore_errors=True)
        adapted = adapt_run(trained, frames, split, job.out / "run", settings, store_digest=digest)
        line["ways"][name] = score(adapted)
        if name == "auto":
            record = adapted.directory.record.adaptation
            assert record is not None
            assert record.before is not None
            assert record.after is not None
            source = trained.directory.record.validation_information or SOURCE_INFORMATION
            certain = source * math.log(len(split.classes))
            line |= {
                "adapted": not record.kept_source,
                "outcome": record.outcome,
                "information_before": record.before.information / certain,
                "information_after": record.after.information / certain,
            }
    shutil.rmtree(job.out, ignore_errors=True)
    return line


def true_views(job: AdaptationJob, store: FrameStores) -> dict[str, str]:
    """Return the view of every frame of a job's hospital that shows a view of the split, as the simulation drew it."""
    job.out.mkdir(parents=True, exist_ok=True)
    columns = ("sop_instance_uid", "view")
    truth = read_csv(job.demo / "hospitals" / job.site / "truth.csv", columns, remedy="Run the demo again")
    rows = [row for row in zip(*(truth[name] for name in columns), strict=True) if row[1] in SCORED_VIEWS]
    with (job.out / "truth.csv").open("w", encoding="utf-8", newline="") as file:
        CsvWriter(file).writerows([columns, *rows])
    labels = LabelStore(job.out / "truth.db")
    key = job.demo / "keys" / f"{job.site}.key"
    import_labels(job.out / "truth.csv", labels, store, key=key, skip_unknown=True)
    return frame_labels(labels.events(), store.frames)


def table(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return the study's table, as Markdown: a case and method a row.

    The gain of `auto` is a mean over runs and hospitals with an interval over the runs, whose hospitals are averaged;
    the worst gain is that of one run at one hospital in one case.

    Args:
        lines: Lines of `results.jsonl`.
    """
    lines = [line for line in lines if line["ways"]]
    head = ["case", "method", "unadapted", *WAYS, "gain of auto", "worst gain of auto", "adapted"]
    rows = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for case in dict.fromkeys(line["case"] for line in lines):
        for method in dict.fromkeys(_method(line) for line in lines):
            chosen = [line for line in lines if line["case"] == case and _method(line) == method]
            if not chosen:
                continue
            scores = [line["unadapted"] for line in chosen], *([line["ways"][way] for line in chosen] for way in WAYS)
            gains = [100 * (line["ways"]["auto"] - line["unadapted"]) for line in chosen]
            runs = sorted({line["run"] for line in chosen})
            by_run = [
                float(np.mean([gain for gain, line in zip(gains, chosen, strict=True) if line["run"] == name]))
                for name in runs
            ]
            cells = [case, method, *(f"{100 * np.mean(values):.1f}" for values in scores)]
            adapted = f"{sum(line['adapted'] for line in chosen)} of {len(chosen)}"
            rows.append("| " + " | ".join([*cells, str(SeedInterval.of(by_run)), f"{min(gains):+.1f}", adapted]) + " |")
    return "\n".join(rows)


def _method(line: Mapping[str, Any]) -> str:
    return str(line["run"]).partition("/")[0]


def find_jobs(
    demo: Path, runs: Path, methods: Sequence[str], patients: Sequence[int], out: Path
) -> list[AdaptationJob]:
    """Return the jobs: every run of the methods at every held-out hospital in every case.

    Args:
        demo: Output folder of a demo.
        runs: Folder with a folder for each method, in which the runs of all seeds lie.
        methods: Names of folders in `runs`; empty for all.
        patients: Numbers of adaptation patients; the largest is that of the cases with one or two views.
        out: Folder for what the jobs write.

    Raises:
        ConfigError: no finished run of a method there.
    """
    trained = [
        path.parent for path in sorted(runs.glob("*/seed*/run.json")) if not methods or path.parents[1].name in methods
    ]
    if not trained:
        raise ConfigError("no trained run here", where=runs, remedy=f"Run: heart2heart demo --out {demo}")
    split = SplitManifest.load(demo / "split")
    views = split.classes
    cases: list[tuple[int, tuple[str, ...]]] = [(count, ()) for count in sorted(patients, reverse=True)]
    cases += [(max(patients), pair) for pair in combinations(views, 2) if views.index(pair[0]) % 2 == 0]
    cases += [(max(patients), (view,)) for view in views]
    work = [(name, site, *case) for name in trained for site in split.held_out_sites for case in cases]
    return [
        AdaptationJob(demo, name, site, count, chosen, out / f"job-{index}")
        for index, (name, site, count, chosen) in enumerate(work)
    ]


def main(
    hospitals: Annotated[Path, typer.Option(help="Output folder of a demo: SYNTHETIC hospitals, and runs.")],
    out: Annotated[Path, typer.Option(help="Folder for results.")] = Path("adaptation_output"),
    method: Annotated[list[str] | None, typer.Option(help="A folder of runs/; repeatable. All by default.")] = None,
    patients: Annotated[
        list[int] | None, typer.Option(help="Adaptation patients; repeatable. 24, 6 and 2.", min=2)
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes, each on one core.", min=1)] = 2,
    runs: Annotated[
        Path | None, typer.Option(help="Folder with a folder of runs for each method; by default that of the demo.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Print the cost by finished runs, and stop.")] = False,
) -> None:
    """Run what is missing of the study, then write `results.md`."""
    jobs = find_jobs(hospitals, runs or hospitals / "runs", method or [], patients or [24, 6, 2], out)
    results = out / "results.jsonl"
    if plan:
        known = ResultsFile(results, AdaptationJob.key).lines(jobs)
        print(cost_text(job_costs([job.case for job in jobs], known), workers))
        return
    lines = run_study(
        jobs, adapt_and_score, key=AdaptationJob.key, results=results, workers=workers, title="adapt and score",
        describe=lambda line: f"{line['run']} at {line['site']}: {line['case']}",
    )  # fmt: skip
    shown = table(lines)
    write_text(out / "results.md", shown + "\n")
    print(shown)


if __name__ == "__main__":
    run(main)
