"""Unity in miniature: both spellings of a name, the cluster in the hash, labels that contradict."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.datasets import unity
from heart2heart.datasets.add_files import add_manifest
from heart2heart.datasets.manifest import clip_id
from heart2heart.errors import LabelError, MissingInputError
from heart2heart.store.frame_store import FrameStore
from tests.datasets import miniature


def test_frames_of_one_clip_share_a_patient_and_both_spellings_are_one_name(tmp_path: Path) -> None:
    report = add_manifest(unity.scan(miniature.unity(tmp_path / "in")), tmp_path / "store")
    first, second = miniature.HASHES
    clips = {row["clip"]: row for row in FrameStore.open(tmp_path / "store").clips.to_pylist()}
    names = [f"01-{first}-0003.png", f"01-{first}-0007.png", f"01-{second}-0000.png"]
    patients = [clips[clip_id("unity", name)]["patient"] for name in names]
    assert patients == [f"unity-{first[:24]}", f"unity-{first[:24]}", f"unity-{second[:24]}"]
    assert [report.labels[clip_id("unity", name)] for name in names] == ["PLAX", "PLAX", "A4C"]
    assert report.files_not_in_store == ((f"01-{second}-0001.png", "failed:missing"),)
    assert (report.expected, report.found, report.patients) == (4, 3, 2)


def test_frames_keep_their_number_and_shape(tmp_path: Path) -> None:
    add_manifest(unity.scan(miniature.unity(tmp_path / "in")), tmp_path / "store")
    store = FrameStore.open(tmp_path / "store")
    first, _ = miniature.HASHES
    frames = {row["clip"]: row for row in store.frames.to_pylist()}
    row = frames[clip_id("unity", f"01-{first}-0007.png")]
    assert row["index"] == 7
    pixels = store.read(store.frames["row"].to_numpy()[[store.frames["clip"].to_pylist().index(row["clip"])]])[0]
    assert pixels[:84].any(axis=0).all()  # 60 x 80 pixels become 84 x 112, the rest is padding
    assert not pixels[84:].any()


def test_scan_takes_one_frame_under_both_spellings_once(tmp_path: Path) -> None:
    root = miniature.unity(tmp_path / "in")
    first, _ = miniature.HASHES
    miniature.png(root / "png-cache" / "01" / "ab" / "12" / f"{first}-0003.png", miniature.noise(1, 60, 80))
    report = add_manifest(unity.scan(root), tmp_path / "store")
    assert report.codes == {"accepted": 3, "excluded:duplicate": 1, "failed:missing": 1}


def test_scan_refuses_contradictions_and_notes_unknown_words_and_files(tmp_path: Path) -> None:
    root = miniature.unity(tmp_path / "in")
    index = root / "view_index.csv"
    whole = index.read_text()
    index.write_text(whole + f"{miniature.HASHES[0]}-0003.png,a4c\n")
    with pytest.raises(LabelError, match="contradict"):
        unity.scan(root)
    index.write_text(whole.replace("a4c", "subcostal") + "readme.txt,plax\n")
    miniature.png(root / "png-cache" / "logo.png", miniature.noise(0, 8, 8))
    plan = unity.scan(root)
    notes = " ".join(plan.notes)
    assert "'subcostal' (2)" in notes
    assert "1 rows of view_index.csv name no frame" in notes
    assert "1 PNG files are not named" in notes
    assert [item.view for item in plan.files] == ["PLAX", "PLAX", None]


def test_scan_refuses_what_is_not_unity(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="png-cache"):
        unity.scan(tmp_path)


@given(
    st.text(alphabet="0123456789abcdef", min_size=64, max_size=64), st.integers(0, 9999), st.sampled_from(["01", "02"])
)
def test_canonical_name_of_both_spellings_is_equal(digest: str, frame_number: int, kind: str) -> None:
    name = f"{kind}-{digest}-{frame_number:04d}.png"
    path = f"png-cache/{kind}/{digest[:2]}/{digest[2:4]}/"
    assert unity.canonical_name(name) == name
    assert unity.canonical_name(path + name) == unity.canonical_name(path + name.removeprefix(f"{kind}-")) == name
    assert unity.canonical_name(path.replace("/", "\\") + name.upper().replace("PNG", "png")) == name


@given(st.text(max_size=90))
def test_canonical_name_of_any_text_is_a_name_or_none(text: str) -> None:
    name = unity.canonical_name(text)
    assert name is None or unity.canonical_name(name) == name
