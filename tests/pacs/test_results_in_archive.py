"""Answers to a real Orthanc and back: the report is found by QIDO-RS, read by WADO-RS, and never replaced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydicom import dcmread
from typer.testing import CliRunner

from heart2heart.cli import app
from heart2heart.utils import write_text
from tests.dicom_results.samples import IDENTITY, study_clips, write_answers
from tests.pacs.conftest import PASSWORD, USER, Orthanc


@pytest.mark.parametrize("way", ["stow", "c_store"])
def test_to_dicom_puts_the_report_beside_its_clips(way: str, orthanc: Orthanc, tmp_path: Path) -> None:
    clips = study_clips(tmp_path / "archive", study={"stow": 11, "c_store": 12}[way])
    study = str(clips[0].header.StudyInstanceUID)
    for clip in clips:
        orthanc.ask("/instances", clip.path.read_bytes())
    (listed,) = json.loads(orthanc.ask("/tools/lookup", study.encode()))
    try:
        answers = write_answers(tmp_path / "answers.jsonl", clips)
        write_text(tmp_path / "credentials.yaml", f"user: {USER}\npassword: {PASSWORD}\n", mode=0o600)
        address = {"stow": orthanc.url, "c_store": f"dicom://ORTHANC@127.0.0.1:{orthanc.dicom_port}"}[way]
        line = ["answers", "to-dicom", str(answers), "--source", str(tmp_path / "archive"), "--out"]
        more = ["--tag-view", "--to", address, "--credentials", str(tmp_path / "credentials.yaml")]
        outputs = []
        for _ in range(2):
            done = CliRunner().invoke(app, [*line, str(tmp_path / "out"), *more])
            assert done.exit_code == 0, done.output
            outputs.append(done.output)
        assert "2  stored at the archive" in outputs[0]
        assert "2  present at the archive" in outputs[1]
        assert not any(word in "".join(outputs).lower() for word in IDENTITY)
        query = f"/dicom-web/studies/{study}/series?Modality=SR&includefield=SeriesDescription"
        (series,) = json.loads(orthanc.ask(query))  # QIDO-RS
        assert series["0008103E"]["Value"][0].startswith("Views by run ")
        instances = json.loads(orthanc.ask(f"/dicom-web/studies/{study}/instances"))
        assert len(instances) == len(clips) + 2  # nothing was replaced, nothing sent twice
        (report,) = (tmp_path / "out").glob("report_*.dcm")
        uid = dcmread(report).SOPInstanceUID
        (stored,) = json.loads(orthanc.ask("/tools/lookup", str(uid).encode()))
        (tmp_path / "back.dcm").write_bytes(orthanc.ask(f"{stored['Path']}/file"))
        assert dcmread(tmp_path / "back.dcm") == dcmread(report)
        for clip in clips:  # the originals are what they were
            (original,) = json.loads(orthanc.ask("/tools/lookup", clip.instance.encode()))
            assert orthanc.ask(f"{original['Path']}/file") == clip.path.read_bytes()
    finally:
        orthanc.ask(listed["Path"], method="DELETE")
