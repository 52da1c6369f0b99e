"""Records of the audit log as lines."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.audit.log import ChainEnd
from heart2heart.schema.audit import has_mac, parse_line
from tests.audit.chain import MAC, build


def test_parse_line_gives_the_record_back() -> None:
    record = build()(ChainEnd())
    known = parse_line(record.line(MAC))
    assert known is not None
    assert known[0] == record
    assert known[1] == record.digest()
    assert has_mac(known[1], known[2], MAC)
    assert not has_mac(known[1], None, MAC)


@given(st.binary(max_size=80))
def test_parse_line_is_none_for_what_is_no_record(line: bytes) -> None:
    assert parse_line(line) is None


@pytest.mark.parametrize("key", ["number", "action", "previous", "sha256"])
def test_parse_line_is_none_without_a_field(key: str) -> None:
    content = json.loads(build()(ChainEnd()).line(None))
    del content[key]
    assert parse_line(json.dumps(content).encode()) is None
