from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from heart2heart.errors import MissingInputError
from heart2heart.reporting.contact_sheets import ContactSheet, SamplePicture
from heart2heart.reporting.ingest_page import (
    IngestContent,
    SiteIngestCounts,
    StatusReason,
    UnacceptedFiles,
    ingest_report,
    write_ingest_page,
)
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.text_review import TextReview
from heart2heart.testing.stores import random_store
from tests.ingest.archive_kit import EXPECTED, make_archive, run
from tests.reporting.test_browser import visit


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ingest the small archive and write its page."""
    root = tmp_path_factory.mktemp("ingest")
    run(make_archive(root / "in"), root / "store")
    return ingest_report(root / "store", root / "page.html")


def test_ingest_report_shows_every_file_and_reason(page: Path) -> None:
    text = unescape(page.read_text(encoding="utf-8")).replace("\xa0", " ")
    assert f"6 of {sum(EXPECTED.values())} files were accepted (50.0 %)" in text
    assert "2 patients" in text
    for code, number in EXPECTED.items():
        if code != "accepted":
            words = code.replace(":", ": ").replace("_", " ")
            assert re.search(rf'<th scope="row">{words}</th><td class="n">{number}</td>', text), code
    assert "SYNTHETIC" not in text  # the headers of these files do not mark them as synthetic
    assert text.count("data:image/png;base64,") == 2  # at most one a patient


def test_ingest_report_opens_in_a_browser_without_requests(page: Path, tmp_path: Path) -> None:
    visited = visit(page, tmp_path)
    assert (visited.console, visited.requests) == ([], [])


def test_ingest_report_lists_unaccepted_files_without_their_pictures(page: Path, tmp_path: Path) -> None:
    document = unescape(visit(page, tmp_path).document).replace("\xa0", " ")
    sheet = document[document.index("Excluded and failed files") :]
    assert "<img" not in sheet
    tiles = {
        match[1]: match[0] for match in re.findall(r'<p class="no-picture[^>]*>(.*?)</p>.*?<strong>(.*?)<', sheet, re.S)
    }
    assert tiles == {
        "excluded: duplicate": "See the original file",
        "excluded: not dicom": "No picture was read",
        "excluded: secondary capture": "Not shown: the picture may contain a name at an unknown position",
        "failed: empty": "No picture was read",
        "failed: truncated": "No picture was read",
    }
    assert sheet.count("<span>Philips</span><span>1</span>") == 3  # the copy, the capture, the cut clip


def test_ingest_report_is_deterministic(page: Path, tmp_path: Path) -> None:
    again = ingest_report(page.with_name("store"), tmp_path / "again.html")
    assert again.read_bytes() == page.read_bytes()


def test_ingest_report_needs_a_ledger(tmp_path: Path) -> None:
    store: FrameStore = random_store(tmp_path / "store", patients=1)
    with pytest.raises(MissingInputError):
        ingest_report(store.root, tmp_path / "page.html")


def test_write_ingest_page_escapes_texts_and_marks_synthetic_data(tmp_path: Path) -> None:
    content = IngestContent(
        store="s<b>",
        geometry="tmed2-64",
        synthetic=True,
        sites=(SiteIngestCounts("A&B", {"accepted": 3, "failed:empty": 1}, 2, 2, 3, {"b_mode": 20, "m_mode": 1}),),
        reasons=(StatusReason("failed:empty", "No <bytes>.", "Copy again.", {"A&B": 1}),),
        flags=(("salvaged", "Cut short.", 1),),
        review=TextReview(frozenset({"c1"}), frozenset(), frozenset({"c2", "c3"})),
        sheets=(
            ContactSheet("m_mode", "maker", 1, 1, 0, (SamplePicture(b"\x89PNG"),)),
            ContactSheet("b_mode", "maker", 3, 20, 1, (SamplePicture(b"\x89PNG", ("split_screen",)),)),
        ),
        not_accepted=(
            UnacceptedFiles("failed:empty", "No <bytes>.", False, ((None, 1),)),
            UnacceptedFiles(
                "excluded:not_ultrasound", "Other.", True, (*((f"M<{n}>", 2) for n in range(8)), (None, 3))
            ),
        ),
        code_version="1",
    )
    text = write_ingest_page(content, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "SYNTHETIC DATA" in text
    assert "1\xa0clip waits for review; 0 cleared, 2 hidden." in text
    assert "1\xa0clip not shown: text is suspected." in text
    assert (tmp_path / "page.html").stat().st_mode & 0o777 == 0o600
    assert "s&lt;b&gt;" in text
    assert "No &lt;bytes&gt;." in text
    assert [(step.title, step.number) for step in content.sites[0].flow] == [
        ("Files received", 4), ("Clips in the store", 3), ("Frames in the store", 21), ("B-mode and colour frames", 20),
    ]  # fmt: skip
    assert [title for title, _ in content.groups] == [
        "Accepted, in the training pool by default", "Accepted, not in the training pool by default",
    ]  # fmt: skip
    assert [[sheet.mode for sheet in sheets] for _, sheets in content.groups] == [["b_mode"], ["m_mode"]]
    assert "<div>split screen</div>" in text
    assert "M&lt;5&gt;" in text
    assert "M&lt;6&gt;" not in text
    assert (content.not_accepted[1].files, content.not_accepted[1].others) == (19, 7)
    assert text.count("Not shown: the picture may contain a name at an unknown position") == 1
    assert "<script" not in text
    assert "http" not in text.replace('http-equiv="Content-Security-Policy"', "")
