"""The fragment walker against an independent writer of items."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from heart2heart.dicom.pixel_data import group_fragments, scan_fragments

END = b"\xfe\xff\xdd\xe0\0\0\0\0"
FRAGMENT = st.binary(min_size=1, max_size=20).map(lambda raw: raw + b"\0" * (len(raw) % 2))


def item(value: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + struct.pack("<I", len(value)) + value


@given(st.lists(FRAGMENT, max_size=12), st.binary(max_size=9))
def test_scan_fragments_finds_every_whole_fragment(fragments: list[bytes], before: bytes) -> None:
    data = before + item(b"") + b"".join(map(item, fragments)) + END
    scan = scan_fragments(data, len(before))
    assert [data[a:b] for a, b in scan.fragments] == fragments
    assert not scan.cut


@given(st.lists(FRAGMENT, min_size=1, max_size=8), st.data())
def test_scan_fragments_of_a_cut_file_gives_the_fragments_before_the_cut(
    fragments: list[bytes], data: st.DataObject
) -> None:
    whole = item(b"") + b"".join(map(item, fragments))
    end = data.draw(st.integers(8, len(whole)))
    scan = scan_fragments(whole[:end], 0)
    assert scan.cut
    got = [whole[a:b] for a, b in scan.fragments]
    assert got == fragments[: len(got)]
    held = 8
    for index, fragment in enumerate(fragments):
        held += 8 + len(fragment)
        assert (len(got) > index) == (held <= end)


@given(st.binary(max_size=200), st.integers(0, 220))
def test_scan_fragments_never_raises_and_keeps_spans_inside(data: bytes, start: int) -> None:
    scan = scan_fragments(data, start)
    assert all(0 <= a <= b <= len(data) for a, b in scan.fragments)


def test_group_fragments_by_the_offset_table() -> None:
    parts = [b"aa", b"bbbb", b"cc", b"dd"]
    data = item(struct.pack("<2I", 0, 22)) + b"".join(map(item, parts)) + END
    scan = scan_fragments(data, 0)
    frames = group_fragments(data, scan, 2, single=False)
    assert [[data[a:b] for a, b in spans] for spans in frames] == [[b"aa", b"bbbb"], [b"cc", b"dd"]]


def test_group_fragments_ignores_a_wrong_offset_table() -> None:
    parts = [b"\xff\xd8\xff\xe0", b"xx", b"\xff\xd8\xff\xdb", b"yy"]
    for table in ((0, 11), (4, 20), (0, 5000), (0, 0)):
        data = item(struct.pack("<2I", *table)) + b"".join(map(item, parts)) + END
        frames = group_fragments(data, scan_fragments(data, 0), None, single=False)
        assert [len(spans) for spans in frames] == [2, 2]


def test_group_fragments_starts_frames_at_codestreams_without_a_table() -> None:
    data = item(b"") + item(b"\xff\xd8\xff\xe0") + item(b"mm") + item(b"\xff\x4f\xff\x51") + END
    assert [len(spans) for spans in group_fragments(data, scan_fragments(data, 0), None, single=False)] == [2, 1]
    assert [len(spans) for spans in group_fragments(data, scan_fragments(data, 0), 3, single=False)] == [1, 1, 1]
    assert [len(spans) for spans in group_fragments(data, scan_fragments(data, 0), 1, single=True)] == [1, 1, 1]
    empty = item(b"") + END
    assert group_fragments(empty, scan_fragments(empty, 0), 1, single=False) == []
