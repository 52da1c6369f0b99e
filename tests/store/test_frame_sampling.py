"""Frame rules: read, written, and what they keep."""

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.errors import ConfigError
from heart2heart.store.frame_sampling import FrameRule

RULES = st.one_of(
    st.just(FrameRule("all")),
    st.builds(FrameRule, st.sampled_from(["every", "even", "ed_es"]), st.integers(1, 999_999_999)),
)


@given(RULES)
def test_parse_reads_what_a_rule_writes(rule: FrameRule) -> None:
    assert FrameRule.parse(str(rule)) == rule


@given(st.text(max_size=12))
def test_parse_of_any_text_gives_a_rule_that_writes_it_or_refuses(text: str) -> None:
    with suppress(ConfigError):
        name, _, number = str(FrameRule.parse(text)).partition(":")
        assert text.partition(":")[0] == name
        assert int(text.partition(":")[2] or 0) == int(number or 0)


@given(st.integers(0, 500), RULES)
def test_choose_is_ascending_and_inside_the_clip(n: int, rule: FrameRule) -> None:
    chosen = rule.choose(n).tolist()
    assert chosen == sorted(set(chosen))
    assert all(0 <= index < n for index in chosen)
    assert (len(chosen) > 0) == (n > 0)
    if rule.name in ("even", "ed_es"):
        assert len(chosen) == min(n, rule.number)
        gaps = {b - a for a, b in pairwise(chosen)}
        assert not gaps or max(gaps) - min(gaps) <= 1
    if rule.name == "every":
        assert chosen == list(range(0, n, rule.number))


@given(st.integers(1, 300), st.data(), RULES)
def test_choose_keeps_tagged_frames_only_by_their_rule(n: int, data: st.DataObject, rule: FrameRule) -> None:
    tagged = data.draw(st.sets(st.integers(0, n - 1)))
    chosen = rule.choose(n, tagged).tolist()
    assert chosen == (sorted(tagged) if rule.name == "ed_es" and tagged else rule.choose(n).tolist())


@pytest.mark.parametrize(
    "text", ["", "every", "every:", "even:0", "even:-1", "all:2", "even:1.5", "even:²", "EVEN:2", "ed_es", "ed_es:0"]
)
def test_parse_refuses_what_is_no_rule(text: str) -> None:
    with pytest.raises(ConfigError, match="frame rule"):
        FrameRule.parse(text)
