"""Load of `heart2heart serve`: clips an hour, time from arrival to answer, and memory, over many uploaded clips.

    OMP_NUM_THREADS=1 python -m benchmarks.service --clips 10000

The clips are copies of one synthetic clip with UIDs of their own. One sender uploads as fast as the service takes them,
with at most `--ahead` clips waiting, so the time to the answer is that of a short queue and not of a full one. Without
`--model` the network is the small one of `benchmarks.prediction`. With `--destination` each study gets its report.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import resource
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import yaml
from pydicom import dcmread
from pydicom.uid import UID

from benchmarks.ingest_clips import simulated_clip
from benchmarks.prediction import small_run
from heart2heart.export.export import export_run

STUDY_CLIPS, STEP, SIZE = 40, 500, 112
"""Clips of a study; clips between two measurements of memory; pixels of a frame."""


def memory_mib(pid: int) -> float:
    """Return the memory of a process and its children, MiB; a page that several share counts in parts (PSS)."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if pid not in (parent, int(folder.name)):
                continue
            lines = (folder / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def start(options: argparse.Namespace, folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start the service; return its process and its HTTP port."""
    content = {
        "folder": str(folder / "service"), "models": [{"name": "one", "path": str(options.model)}], "web": {"port": 0},
        "workers": options.workers, "frames": options.frames, "limits": {"free_bytes": 0}, "quiet_seconds": 10,
    }  # fmt: skip
    if options.destination:
        content["destination"] = {"address": options.destination}
    (folder / "service.yaml").write_text(yaml.safe_dump(content))
    command = [sys.executable, "-m", "heart2heart", "serve", str(folder / "service.yaml")]
    log = folder / "log"
    with log.open("wb") as handle:
        process = subprocess.Popen(command, stderr=handle)
    while process.poll() is None:
        for line in log.read_text().splitlines():
            if line.startswith("page"):
                return process, int(line.rstrip("/").rpartition(":")[2])
        time.sleep(0.2)
    raise SystemExit(f"the service has not started: {log.read_text()[-500:]}")


def upload(port: int, content: bytes) -> None:
    """Upload one clip."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.request("POST", "/clips", content)
    response = connection.getresponse()
    response.read()
    connection.close()
    assert response.status in (200, 202), response.status


def main() -> None:
    """Send clips, and print the numbers as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a run or an exported model")
    parser.add_argument("--destination", help="archive that gets the reports, such as dicom://ORTHANC@127.0.0.1:4242")
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop sending after this time")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--frames", default="even:8", help="frames of each clip")
    parser.add_argument("--ahead", type=int, default=32, help="clips that may wait")
    options = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        clip = dcmread(simulated_clip(folder / "clip.dcm", "JPEG baseline"))
        if options.model is None:
            (folder / "run").mkdir()
            options.model = export_run(small_run(folder / "run", SIZE), folder / "export", ("pt2",))["pt2"]
        used_before = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
        process, port = start(options, folder)
        database = sqlite3.connect(folder / "service" / "service.db", timeout=60)
        memory, began, sent = [], time.monotonic(), 0

        def answered() -> int:
            return int(database.execute("SELECT count(*) FROM clips WHERE answered IS NOT NULL").fetchone()[0])

        while sent < options.clips and time.monotonic() - began < options.seconds:
            clip.SOPInstanceUID = clip.file_meta.MediaStorageSOPInstanceUID = UID(f"1.2.3.{sent + 1}")
            clip.StudyInstanceUID = f"1.2.4.{sent // STUDY_CLIPS + 1}"
            buffer = io.BytesIO()
            clip.save_as(buffer, enforce_file_format=True)
            upload(port, buffer.getvalue())
            sent += 1
            if sent % STEP == 0:
                memory.append(round(memory_mib(process.pid)))
                print(sent, memory[-1], file=sys.stderr, flush=True)
            while sent - answered() > options.ahead:
                time.sleep(0.02)
        while answered() < sent:
            time.sleep(0.05)
        seconds = time.monotonic() - began
        times = np.array([row[0] for row in database.execute("SELECT answered - received FROM clips")])
        if options.destination:
            time.sleep(20)  # the report of the last study
        reports = dict(database.execute("SELECT state, count(*) FROM reports GROUP BY state"))
        process.terminate()
        process.wait(120)
        used = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - used_before  # its workers included
        content = {
            "clips": sent, "clips_an_hour": round(3600 * sent / seconds), "seconds": round(seconds, 1),
            "processor_ms_a_clip": round(1000 * used / sent),
            "p50_s": round(float(np.median(times)), 2), "p99_s": round(float(np.quantile(times, 0.99)), 2),
            f"memory_mib_every_{STEP}": memory, "frames": options.frames, "workers": options.workers,
            "clip_kib": len(buffer.getvalue()) // 1024, "reports": reports,
            "database_kib": (folder / "service" / "service.db").stat().st_size // 1024,
        }  # fmt: skip
        print(json.dumps(content))


if __name__ == "__main__":
    main()
