"""Load of `heart2heart serve`: clips an hour, time from arrival to answer, and memory, over many uploaded clips.

    OMP_NUM_THREADS=1 python -m benchmarks.service --clips 10000

The clips are copies of one synthetic clip with UIDs of their own. One sender uploads as fast as the service takes them,
with at most `--ahead` clips waiting, so the time to the answer is that of a short queue and not of a full one.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
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

STUDY_CLIPS = 40


def memory_mib(pid: int) -> float:
    """Return the resident memory of a process and its children, MiB."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        except OSError:
            continue
        if int(fields["Pid"]) == pid or int(fields["PPid"]) == pid:
            total += int(fields.get("VmRSS", "0 kB").split()[0])
    return total / 1024


def start(model: Path, folder: Path, workers: int, frames: str) -> tuple[subprocess.Popen[str], int]:
    """Start the service; return its process and its HTTP port."""
    content = {
        "folder": str(folder / "service"), "models": [{"name": "one", "path": str(model)}], "web": {"port": 0},
        "workers": workers, "frames": frames, "limits": {"free_bytes": 0},
    }  # fmt: skip
    (folder / "service.yaml").write_text(yaml.safe_dump(content))
    command = [sys.executable, "-m", "heart2heart", "serve", str(folder / "service.yaml")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("page"):
            return process, int(line.strip().rstrip("/").rpartition(":")[2])
    raise SystemExit("the service has not started")


def main() -> None:
    """Send clips, and print the numbers as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a run or an exported model")
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop sending after this time")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--frames", default="even:8", help="frames of each clip")
    parser.add_argument("--ahead", type=int, default=32, help="clips that may wait")
    options = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        clip = dcmread(simulated_clip(folder / "clip.dcm", "JPEG baseline"))
        process, port = start(options.model, folder, options.workers, options.frames)
        database = sqlite3.connect(folder / "service" / "service.db", timeout=60)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        memory, began, sent = [], time.monotonic(), 0

        def answered() -> int:
            return int(database.execute("SELECT count(*) FROM clips WHERE answered IS NOT NULL").fetchone()[0])

        while sent < options.clips and time.monotonic() - began < options.seconds:
            clip.SOPInstanceUID = clip.file_meta.MediaStorageSOPInstanceUID = UID(f"1.2.3.{sent + 1}")
            clip.StudyInstanceUID = f"1.2.4.{sent // STUDY_CLIPS + 1}"
            buffer = io.BytesIO()
            clip.save_as(buffer, enforce_file_format=True)
            connection.request("POST", "/clips", buffer.getvalue())
            response = connection.getresponse()
            response.read()
            assert response.status in (200, 202), response.status
            sent += 1
            if sent % 50 == 0:
                memory.append(memory_mib(process.pid))
            while sent - answered() > options.ahead:
                time.sleep(0.02)
        while answered() < sent:
            time.sleep(0.05)
        seconds = time.monotonic() - began
        times = np.array([row[0] for row in database.execute("SELECT answered - received FROM clips")])
        process.terminate()
        process.wait(120)
        content = {
            "clips": sent, "clips_an_hour": round(3600 * sent / seconds), "seconds": round(seconds, 1),
            "p50_s": round(float(np.median(times)), 2), "p99_s": round(float(np.quantile(times, 0.99)), 2),
            "memory_mib_first": round(memory[0]) if memory else None,
            "memory_mib_last": round(memory[-1]) if memory else None, "frames": options.frames,
            "clip_kib": len(buffer.getvalue()) // 1024, "workers": options.workers,
        }  # fmt: skip
        print(json.dumps(content))


if __name__ == "__main__":
    main()
