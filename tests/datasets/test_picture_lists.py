"""Folders of classes and tables of pictures: every row once, and every fault with its row."""

from __future__ import annotations

import csv
import io
import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heart2heart.datasets.picture_lists import COLUMNS, ListedPicture, list_pictures, read_picture_table, shorten
from heart2heart.errors import ConfigError, Heart2HeartError, LabelError, MissingInputError
from heart2heart.schema.enums import SplitRole
from heart2heart.schema.status import StatusCode


def _touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def _table(folder: Path, text: str) -> Path:
    path = folder / "pictures.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return path


def test_list_pictures_takes_levels_of_folders(tmp_path: Path) -> None:
    top = tmp_path / "top"
    _touch(top / "A" / "PLAX" / "p1" / "x.png", top / "A" / "PLAX" / "deep" / "er" / "y.png", top / "B" / "z.png")
    listed = list_pictures(top, ("site", "label", "patient"))
    values = {each.path.name: (each.site, each.label, each.patient) for each in listed.pictures}
    assert values == {"x.png": ("A", "PLAX", "p1"), "y.png": ("A", "PLAX", "deep"), "z.png": ("B", None, None)}
    assert listed.notes == ("1 files lie above the level patient; what its folders name is unknown for them",)
    skipped = list_pictures(top, ("skip", "label"))
    assert {each.label for each in skipped.pictures} == {"PLAX", None}


def test_list_pictures_reads_a_level_of_splits(tmp_path: Path) -> None:
    _touch(tmp_path / "train" / "A4C" / "x.png", tmp_path / "val" / "A4C" / "y.png")
    roles = {each.path.name: each.role for each in list_pictures(tmp_path, ("split", "label")).pictures}
    assert roles == {"x.png": SplitRole.TRAIN, "y.png": SplitRole.VALIDATION}


@pytest.mark.parametrize("levels", [("label", "label"), ("view",), ("",)])
def test_list_pictures_refuses_levels_that_are_not_valid(tmp_path: Path, levels: tuple[str, ...]) -> None:
    _touch(tmp_path / "a" / "x.png")
    with pytest.raises(ConfigError, match="levels"):
        list_pictures(tmp_path, levels)


def test_list_pictures_follows_no_link_out_of_the_folder(tmp_path: Path) -> None:
    _touch(tmp_path / "secret" / "x.png", tmp_path / "top" / "A4C" / "in.png")
    inside = tmp_path / "top" / "A4C"
    (inside / "out.png").symlink_to(tmp_path / "secret" / "x.png")
    (inside / "folder").symlink_to(tmp_path / "secret")
    (inside / "loop").symlink_to(inside)
    (inside / "broken.png").symlink_to(inside / "nothing")
    (inside / "again.png").symlink_to(inside / "in.png")
    refused = {each.path.name: each.refused for each in list_pictures(tmp_path / "top").pictures}
    assert refused == {
        "in.png": None,
        "again.png": None,
        "out.png": StatusCode.EXCLUDED_OUTSIDE_FOLDER,
        "folder": StatusCode.EXCLUDED_OUTSIDE_FOLDER,
        "loop": StatusCode.EXCLUDED_OUTSIDE_FOLDER,
        "broken.png": StatusCode.FAILED_UNREADABLE,
    }


def test_list_pictures_refuses_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    _touch(tmp_path / os.fsdecode(b"A4\xff") / "x.png")
    with pytest.raises(LabelError, match="file 1: the label holds a character"):
        list_pictures(tmp_path)


def test_list_pictures_leaves_out_the_store_and_refuses_an_empty_folder(tmp_path: Path) -> None:
    _touch(tmp_path / "A4C" / "x.png", tmp_path / "store" / "shard.npy")
    listed = list_pictures(tmp_path, outside=tmp_path / "store")
    assert [each.path.name for each in listed.pictures] == ["x.png"]
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "nothing"):
        with pytest.raises(MissingInputError):
            list_pictures(path)


def test_read_picture_table_reads_every_column(tmp_path: Path) -> None:
    _touch(tmp_path / "a" / "x.png", tmp_path / "y.mp4")
    text = 'File;Label;patient;Site;split;comment\na\\x.png;A4C;Doe, Jane;B;Train;"a; note"\n\ny.mp4;;;;;\n'
    for encoded in (text, text.replace("\n", "\r\n"), "\ufeff" + text):
        first, second = list_pictures(_table(tmp_path, encoded)).pictures
        assert first.path == tmp_path / "a" / "x.png"
        assert (first.where, first.label, first.patient, first.site, first.role) == (
            "row 2", "A4C", "Doe, Jane", "B", SplitRole.TRAIN,
        )  # fmt: skip
        assert (second.where, second.label, second.patient, second.site, second.role) == ("row 4", *[None] * 4)
        assert first.refused is second.refused is None


def test_read_picture_table_marks_files_that_are_missing_or_outside(tmp_path: Path) -> None:
    _touch(tmp_path / "top" / "x.png", tmp_path / "secret.png")
    names = ["x.png", "missing.png", "../secret.png", "/etc/hostname", "sub/../x2.png", "."]
    listed = read_picture_table(_table(tmp_path / "top", "\n".join(["file", *names])))
    assert [each.refused for each in listed.pictures] == [
        None,
        StatusCode.FAILED_MISSING,
        StatusCode.EXCLUDED_OUTSIDE_FOLDER,
        StatusCode.EXCLUDED_OUTSIDE_FOLDER,
        StatusCode.FAILED_MISSING,
        StatusCode.EXCLUDED_OUTSIDE_FOLDER,
    ]


def test_read_picture_table_leaves_out_rows_that_repeat_and_says_which(tmp_path: Path) -> None:
    _touch(tmp_path / "x.png")
    listed = read_picture_table(_table(tmp_path, "file,label\nx.png,A4C\nx.png,A4C\n./x.png,A4C\n"))
    assert len(listed.pictures) == 1
    assert listed.notes == ("2 rows repeat an earlier row and were left out: row 3, row 4",)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "no column `file`"),
        ("name,label\nx.png,A4C\n", "no column `file`"),
        ("file,label,label\nx.png,A4C,A2C\n", "column label is there twice"),
        ("file,label\nx.png,A4C\nx.png\n", "row 3 has 1 values, the header 2"),
        ("file,label\nx.png,A4C,more\n", "row 2 has 3 values, the header 2"),
        ("file,label\n,A4C\n", "row 2 names no file"),
        ("file,label\nx.png,A4C\nx.png,A2C\n", "row 2 and row 3 are of one file and contradict"),
        ("file,patient\nx.png,1\nx.png,2\n", "row 2 and row 3 are of one file and contradict"),
        ("file,split\nx.png,traning\n", "row 2: the split is none of train, validation"),
        ("file,site\nx.png,a/b\n", "row 2: the site is not"),
        ("file,label\nx.png,A4\x1b[31mC\n", "row 2: the label holds a character that cannot be printed"),
        ('file,patient\nx.png,"a\nb"\n', "row 2: the patient holds a character that cannot be printed"),
        ("file,label\nx.png," + "a" * 201 + "\n", "row 2: the label has over 200"),
        ('file,label\nx.png,"A4C\n', "the row after row 1 is not readable"),
        ("file\n" + "a" * 5000 + "\n", "row 2 names no file, or one of over 4096"),
    ],
)
def test_read_picture_table_names_the_row_of_a_fault(tmp_path: Path, text: str, fault: str) -> None:
    _touch(tmp_path / "x.png")
    with pytest.raises(LabelError, match=fault):
        read_picture_table(_table(tmp_path, text))


def test_read_picture_table_names_the_line_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("file\nx.png\nMüller.png\n".encode("latin-1"))
    with pytest.raises(LabelError, match="line 3 of this table is not UTF-8"):
        read_picture_table(tmp_path / "t.csv")


def test_read_picture_table_refuses_one_without_rows(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no row"):
        read_picture_table(_table(tmp_path, "file,label\n\n"))


_WORDS = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="/\\"), min_size=1, max_size=12
).filter(str.isprintable)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.dictionaries(
        _WORDS.map(str.strip).filter(lambda name: name not in ("", ".", "..")),
        st.tuples(_WORDS, _WORDS, st.sampled_from(["", "train", "TEST", "val"])),
        min_size=1,
        max_size=8,
    ),
    delimiter=st.sampled_from(",;\t"),
)
def test_read_picture_table_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: dict[str, tuple[str, str, str]], delimiter: str
) -> None:
    folder = tmp_path_factory.mktemp("table")
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter)
    writer.writerow(("split", "file", "patient", "label"))
    writer.writerows((split, file, patient, label) for file, (label, patient, split) in rows.items())
    listed = read_picture_table(_table(folder, stream.getvalue()))
    assert [each.path for each in listed.pictures] == [folder / name for name in rows]
    for each, (label, patient, split) in zip(listed.pictures, rows.values(), strict=True):
        assert (each.label or "", each.patient or "") == (label.strip(), patient.strip())
        assert (each.role is None) == (split == "")


@settings(max_examples=150, deadline=None)
@given(
    content=st.one_of(st.binary(max_size=200), st.text(alphabet='file,label"\n\r;\tx.', max_size=200).map(str.encode))
)
def test_read_picture_table_of_any_bytes_reads_or_says_why(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(b"file,label\n" + content)
    pictures: tuple[ListedPicture, ...] = ()
    with suppress(Heart2HeartError):  # any other error fails the test
        pictures = read_picture_table(path).pictures
    assert all(each.path.is_absolute() and each.where.startswith("row ") for each in pictures)


def test_columns_are_those_of_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "how-to" / "pictures.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in COLUMNS)


def test_shorten_counts_the_rest() -> None:
    assert shorten(["a", "b"]) == "a, b"
    assert shorten(list("01234567")) == "0, 1, 2, 3, 4 and 3 more"
