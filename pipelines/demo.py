"""The whole way in a few minutes: four SYNTHETIC hospitals from DICOM to a cross-hospital report.

Command: make demo            (or: heart2heart demo --out demo_output)
`heart2heart.demo` holds the stages; each keeps finished work, so a demo that was stopped continues where it stopped.
"""

from __future__ import annotations

from heart2heart.cli import yield_cores
from heart2heart.cli.first_steps import demo
from pipelines.command_line import run

if __name__ == "__main__":
    yield_cores()
    run(demo)
