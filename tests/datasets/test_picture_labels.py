"""Labels of pictures: views by a vocabulary, classes of their own, and pictures that are there twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from heart2heart.datasets.picture_labels import OWN, clip_labels
from heart2heart.datasets.picture_lists import ListedPicture
from heart2heart.errors import UnknownNameError
from heart2heart.schema.enums import SplitRole


def _picture(label: str | None, row: int, patient: str | None = "p", role: SplitRole | None = None) -> ListedPicture:
    return ListedPicture(Path(f"/{row}.png"), f"row {row}", label, patient, "A", role)


def test_clip_labels_translates_by_the_vocabulary_and_names_the_rows_of_other_words() -> None:
    pictures = [_picture("a4c", 2), _picture("four chamber", 3), _picture(None, 4), _picture("PLAX", 5)]
    labels = clip_labels(pictures, ["c2", "c3", "c4", None])
    assert labels.views == {"c2": "A4C"}
    assert labels.official == ()
    (note,) = labels.notes
    assert "1 labels are outside the vocabulary heart2heart" in note
    assert "row 3" in note
    assert "four" not in note
    clinical = clip_labels([_picture("Apical  four chamber", 2)], ["c2"], "clinical")
    assert clinical.views == {"c2": "A4C"}


def test_clip_labels_keeps_classes_of_their_own_in_the_split_alone() -> None:
    pictures = [_picture("pneumonia", 2, role=SplitRole.TRAIN), _picture("normal", 3)]
    labels = clip_labels(pictures, ["c2", "c3"], OWN)
    assert labels.views == {}
    assert labels.official == (("c2", SplitRole.TRAIN, "pneumonia"), ("c3", SplitRole.EXCLUDED, "normal"))
    assert "no views" in labels.notes[0]


def test_clip_labels_of_one_picture_that_is_there_twice() -> None:
    pictures = [
        _picture("A4C", 2, role=SplitRole.TRAIN), _picture("A2C", 3, role=SplitRole.TEST),
        _picture("PLAX", 4, "p"), _picture("PLAX", 5, "q"),
        _picture("PSAX", 6, role=SplitRole.TEST), _picture(None, 7),
    ]  # fmt: skip
    labels = clip_labels(pictures, ["a", "a", "b", "b", "c", "c"])
    assert labels.views == {"b": "PLAX", "c": "PSAX"}
    assert labels.official == (("a", SplitRole.EXCLUDED, None), ("c", SplitRole.TEST, "PSAX"))
    assert labels.notes == (
        "1 pictures are there twice with another label; they get no label: row 2 and row 3",
        "1 pictures are there twice with another patient: row 4 and row 5",
        "1 pictures are there twice with another split; they are excluded from the split: row 2 and row 3",
    )


def test_clip_labels_refuses_an_unknown_vocabulary() -> None:
    with pytest.raises(UnknownNameError, match="own"):
        clip_labels([], [], "french")
