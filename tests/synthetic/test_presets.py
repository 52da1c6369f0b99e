"""The fresh hospitals: written as DICOM and ingested like any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from heart2heart.ingest.pipeline import ingest
from heart2heart.ingest.settings import IngestSettings
from heart2heart.labels.importing import import_labels
from heart2heart.labels.label_store import LabelStore
from heart2heart.schema.status import ClipFlag
from heart2heart.store.frame_store import FrameStore, FrameStores
from heart2heart.synthetic.config import HospitalConfig, NonClipFiles
from heart2heart.synthetic.hospital import simulate_hospital
from heart2heart.synthetic.presets import fresh_hospitals
from heart2heart.utils import write_text

NO_STRAYS = NonClipFiles(text_files=0, captures=0, reports=0, truncated=0, copies=0)


@pytest.mark.parametrize("hospital", fresh_hospitals(), ids=lambda hospital: str(hospital.name))
def test_fresh_hospitals_are_written_and_ingested_with_their_labels(hospital: HospitalConfig, tmp_path: Path) -> None:
    small = hospital.model_copy(
        update={"patients": 1, "labeled_patients": 1, "frames": (2, 3), "second_study": 0.0, "strays": NO_STRAYS}
    )
    summary = simulate_hospital(small, tmp_path, 1)
    key, store = tmp_path / "site.key", tmp_path / "store"
    write_text(key, "a" * 64 + "\n", mode=0o600)
    result = ingest(
        [tmp_path / hospital.name], site=hospital.name, store=store, key=key,
        settings=IngestSettings(size=32, frames="even:2"), workers=1,
    )  # fmt: skip
    assert result.accepted >= summary.clips
    flags = FrameStore.open(store).all_clips["flags"].to_pylist()
    only_flagged = [each for each in flags if ClipFlag.TEXT_SUSPECTED in each and ClipFlag.TEXT_BLANKED not in each]
    assert only_flagged == [], "over a quarter of a scan is taken for text"
    labels = LabelStore(tmp_path / "labels.db")
    import_labels(
        tmp_path / hospital.name / "labels.csv", labels, FrameStores.open([store]), vocabulary=hospital.vocabulary,
        key=key, skip_unknown=True,
    )  # fmt: skip
    assert len(labels.events()) == summary.labels >= 4
