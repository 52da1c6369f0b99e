"""No place shows a picture of a clip in which text is suspected until a person clears it.

Each place that turns frames of a store into pictures is in a table here. A new one fails the first test until it is
added, with its gate.
"""

from __future__ import annotations

import ast
import base64
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import data_store
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from PIL import Image

from heart2heart.annotate.catalog import ClipCatalog
from heart2heart.api.shown_frames import frames_with_text
from heart2heart.deidentify.clip import load_clip
from heart2heart.errors import MissingInputError
from heart2heart.ingest.pipeline import ingest
from heart2heart.ingest.settings import IngestSettings
from heart2heart.reporting.contact_sheets import contact_sheets
from heart2heart.reporting.ingest_page import ingest_report
from heart2heart.schema.enums import POOL_MODES, SplitRole
from heart2heart.schema.review import REVIEW_FILE, ReviewDecision
from heart2heart.schema.split import SPLIT_MEMBERS
from heart2heart.schema.status import ClipFlag
from heart2heart.store.frame_store import FrameStore, FrameStores
from heart2heart.store.geometry import Geometry
from heart2heart.store.record_review import record_review
from heart2heart.testing.stores import SIZE, random_store, view_labels
from heart2heart.training.predict_rows import predict_rows

ROOT = Path(__file__).parents[2]
Pictures = list[npt.NDArray[np.uint8]]

GATED = {
    "heart2heart/annotate/endpoints.py": "the label page; its clips are those of the catalog",
    "heart2heart/annotate/review_page.py": "the page of the review, the one place that shows such clips",
    "heart2heart/deidentify/clip.py": "a loaded clip in a notebook: by its flag",
    "heart2heart/deidentify/viewing_pictures.py": "viewing copies: none is made where text is suspected",
    "heart2heart/reporting/contact_sheets.py": "sample frames of the ingest report",
    "heart2heart/store/frame_tables.py": "the strip of a store in a notebook",
    "heart2heart/training/predict_rows.py": "the pictures in predictions, of which a report shows some",
}
"""Modules that choose frames of a store or of a file and make pictures of them."""

DRAWN = {
    "heart2heart/deidentify/clean_copy.py": "frames of a clean copy, with its own --text",
    "heart2heart/notebook.py": "draws what its callers choose",
    "heart2heart/reporting/gallery.py": "draws the pictures in predictions",
    "heart2heart/reporting/pair_sheet.py": "draws the pairs that api/pairs.py chose by frames_with_text",
    "heart2heart/schema/saliency.py": "writes maps of importance, not frames",
    "heart2heart/splits/planted_copies.py": "encodes frames in memory, to damage them",
    "heart2heart/synthetic/dicom_file.py": "writes simulated clips",
    "heart2heart/utils.py": "encodes what its callers choose",
    "heart2heart/verify/ocr.py": "hands frames to the reader of letters alone",
}
"""Modules that make pictures of what they are given."""

ENCODERS = {"encode_png", "encode_jpeg", "html_strip", "html_animation", "imshow", "imsave", "imwrite"}
FORMATS = {"PNG", "JPEG", "GIF", "TIFF", "WEBP"}


def makes_pictures(tree: ast.AST) -> bool:
    """Return whether a module encodes a picture, or answers a request with the bytes of pixels."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name in ENCODERS:
            return True
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            constants = {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
            constants |= {word.value.value for word in node.keywords if isinstance(word.value, ast.Constant)}
            if name in ENCODERS or (name == "save" and constants & FORMATS):
                return True
            if name == "Response" and any("tobytes" in ast.dump(arg) for arg in node.args):
                return True
    return False


def _sources() -> Iterator[tuple[str, str]]:
    for folder in ("heart2heart", "pipelines"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = "".join("".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "code")
        yield path.relative_to(ROOT).as_posix(), re.sub(r"(?m)^\s*[!%].*$", "pass", code)


def test_frames_with_text_or_another_gate_is_named_for_every_module_that_makes_pictures() -> None:
    making = {name for name, source in _sources() if makes_pictures(ast.parse(source))}
    assert making == set(GATED) | set(DRAWN)


def test_frames_with_text_table_counts_encoders_and_responses() -> None:
    for code in ("encode_png(x)", "plt.imshow(x)", "i.save(b, 'PNG')", "i.save(b, format='JPEG')"):
        assert makes_pictures(ast.parse(code)), code
    assert makes_pictures(ast.parse("Response(frames.tobytes(), media_type='x')"))
    assert not makes_pictures(ast.parse("table.save(path)\nResponse(content)"))


SUSPECTED = "a00000".ljust(16, "0")  # the first clip of the first patient


def stored(store: FrameStore, clip: str) -> npt.NDArray[np.uint8]:
    table = store.frames_of(store.all_clips)
    rows = table.filter(pc.equal(table["clip"], clip))["row"].to_numpy()
    return store.read(rows.astype(np.int64))


def decoded(png: bytes) -> npt.NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("L"))


def embedded(html: str) -> Pictures:
    """Return the pictures within a page, those of a strip one by one."""
    pictures = [decoded(base64.b64decode(text)) for text in re.findall(r"data:image/png;base64,([\w+/=]+)", html)]
    return [part for picture in pictures for part in np.hsplit(picture, picture.shape[1] // picture.shape[0])]


def sheets(store: FrameStore) -> Pictures:
    return [decoded(picture.png) for sheet in contact_sheets(store) for picture in sheet.pictures]


def strip(store: FrameStore) -> Pictures:
    return embedded(store._repr_html_())


def label_page(store: FrameStore) -> Pictures:
    """Return all that the endpoints of the page can take from the catalog."""
    catalog = ClipCatalog([store.root], POOL_MODES)
    clips = [*catalog.clips, *(clip for study in catalog.studies.values() for clip in study)]
    pictures = [frame for clip in catalog.clips.values() for frame in catalog.pixels(clip)]
    return pictures + list(catalog.thumbnails(clips, each=1, side=SIZE))


class Sure:
    """A model that is right and sure of the first clip, and unsure of all others."""

    name, classes = "sure", ("PLAX", "PSAX", "A2C", "A4C")

    def predict_at(self, pixels: npt.NDArray[np.uint8], sites: Sequence[str]) -> npt.NDArray[np.float32]:
        logits = np.zeros((len(pixels), 4), np.float32)
        logits[:3, 0] = 9
        return logits


def prediction_pictures(store: FrameStore) -> Pictures:
    views = view_labels(FrameStore.open(store.root))
    rows = [row for row in store.frames.sort_by("frame").to_pylist() if row["frame"] in views]
    members = pa.Table.from_pylist(
        [
            {name: row[name] for name in ("frame", "clip", "site", "patient", "study")}
            | {"role": SplitRole.TEST.value, "view": views[row["frame"]]}
            for row in rows
        ],
        schema=SPLIT_MEMBERS,
    )
    targets = np.array([Sure.classes.index(views[row["frame"]]) for row in rows], np.int64)
    table = predict_rows(Sure(), store, np.array([row["row"] for row in rows], np.int64), members, targets)
    return [decoded(image) for image in table["image"].to_pylist() if image is not None]


def shown_frames(store: FrameStore) -> Pictures:
    """Return the frames that pages of pairs, evaluations and validations may show."""
    frames = store.frames.sort_by("frame").to_pylist()
    pixels = dict(zip((f["frame"] for f in frames), store.read(np.array([f["row"] for f in frames])), strict=True))
    withheld = frames_with_text(FrameStores([store]), {f["frame"]: f["clip"] for f in frames}, pixels)
    return [picture for name, picture in pixels.items() if name not in withheld]


@pytest.mark.parametrize("pictures_of", [sheets, strip, label_page, prediction_pictures, shown_frames])
@pytest.mark.parametrize(
    ("flags", "decisions", "seen"),
    [
        ([], [], True),
        (["text_suspected"], [], False),
        (["text_suspected", "text_blanked"], [], False),
        (["text_suspected", "text_quarantined"], [], False),
        (["text_suspected"], ["cleared"], True),
        (["text_suspected", "text_quarantined"], ["cleared"], True),
        (["text_suspected"], ["cleared", "undone"], False),
        (["text_suspected"], ["hidden"], False),
        ([], ["hidden"], False),
    ],
    ids=["plain", "flag", "blanked", "quarantine", "cleared", "released", "undone", "hidden", "unflagged-hidden"],
)
def test_pictures_of_a_suspected_clip_are_shown_only_once_it_is_cleared(
    pictures_of: Callable[[FrameStore], Pictures], flags: list[str], decisions: list[str], seen: bool, tmp_path: Path
) -> None:
    root = random_store(tmp_path / "store", sites=["A"], patients=3, flags={SUSPECTED: flags}).root
    for decision in decisions:
        record_review(root, [SUSPECTED], ReviewDecision(decision), reviewer="Reader 1", reason="seen")
    store = FrameStore.open(root)
    pictures = pictures_of(store)
    assert pictures
    assert any(np.array_equal(picture, frame) for picture in pictures for frame in stored(store, SUSPECTED)) == seen


def test_clip_catalog_follows_the_reviews_while_the_page_is_open(tmp_path: Path) -> None:
    root = random_store(tmp_path / "store", sites=["A"], patients=1, flags={SUSPECTED: ["text_suspected"]}).root
    catalog = ClipCatalog([root], POOL_MODES)
    assert (SUSPECTED in catalog.clips, catalog.waiting) == (False, 1)
    record_review(root, [SUSPECTED], ReviewDecision.CLEARED, reviewer="Reader 1", reason="seen")
    assert catalog.refresh()
    shown = catalog.find(SUSPECTED)
    assert len(catalog.pixels(shown)) == 3
    record_review(root, [SUSPECTED], ReviewDecision.HIDDEN, reviewer="Reader 2", reason="a name")
    assert catalog.refresh()
    with pytest.raises(MissingInputError, match="not in the store"):
        catalog.find(SUSPECTED)


REAL = Path(data_store.__file__).parent / "data" / "OBXXXX1A.dcm"
"""A real picture with letters in the scan, which ingest flags."""


def test_ingest_report_shows_no_picture_of_a_real_file_with_letters(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for path in (REAL, REAL.with_name("color3d_jpeg_baseline.dcm")):
        (folder / path.name).write_bytes(path.read_bytes())
    root = tmp_path / "store"
    settings = IngestSettings(size=224, frames="even:1")
    ingest([folder], site="A", store=root, key=tmp_path / "key", settings=settings, workers=0)
    store = FrameStore.open(root)
    flagged = next(row["clip"] for row in store.clips.to_pylist() if ClipFlag.TEXT_SUSPECTED in row["flags"])
    pixels = stored(store, flagged)[0]
    page = ingest_report(root, root / "ingest_report.html")
    assert page.stat().st_mode & 0o777 == 0o600
    for text in (page.read_text(encoding="utf-8"), store._repr_html_()):
        assert not any(np.array_equal(picture, pixels) for picture in embedded(text))
    assert len(embedded(page.read_text(encoding="utf-8"))) < len(store.clips)
    assert re.search("waits? for review", page.read_text(encoding="utf-8"))
    record_review(root, [flagged], ReviewDecision.CLEARED, reviewer="Reader 1", reason="a test file")
    shown = ingest_report(root, tmp_path / "cleared.html").read_text(encoding="utf-8")
    assert any(np.array_equal(picture, pixels) for picture in embedded(shown))
    files = {path.name for path in root.rglob("*") if path.is_file()}
    assert not [name for name in files if name.endswith((".png", ".jpg", ".html")) and name != "ingest_report.html"]
    assert (root / REVIEW_FILE).stat().st_mode & 0o777 == 0o600


def test_load_clip_shows_no_picture_of_a_real_file_with_letters() -> None:
    clip = load_clip(REAL, geometry=Geometry("tmed2", 64), rule="even:1")
    assert ClipFlag.TEXT_SUSPECTED in clip.facts.flags
    assert "data:image" not in clip._repr_html_()
    assert "text is suspected" in clip._repr_html_()
