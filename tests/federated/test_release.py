"""Both ends of the round without the library that joins them: a site's counts, and what the server accepts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from heart2heart.errors import EvaluationError
from heart2heart.federated.release import released_text, write_received
from heart2heart.federated.settings import SiteSettings, read_settings
from tests.federated.sites import table, write_site


def test_released_text_is_that_of_the_hospital_of_the_settings(tmp_path: Path) -> None:
    rows = table("A", 9) + table("B", 8).partition("\n")[2]
    (tmp_path / "both.csv").write_text(rows)
    counts = json.loads(released_text(SiteSettings(model=str(tmp_path / "both.csv"), site="B", task="severity")))
    assert (counts["site"], counts["task"], counts["frames"]["patients"]) == ("B", "severity", 40)
    with pytest.raises(EvaluationError, match="no counts of this hospital: C"):
        released_text(SiteSettings(model=str(tmp_path / "both.csv"), site="C"))


def test_write_received_pools_what_sites_sent(tmp_path: Path) -> None:
    texts = {
        site: released_text(read_settings(write_site(tmp_path, site, period))) for site, period in (("A", 9), ("B", 8))
    }
    report = write_received(texts, tmp_path / "out")
    assert [site.site for site in report.pooled.metrics.sites] == ["A", "B"]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"counts_A.json", "counts_B.json", "metrics.json", "pooled.json", "report.html"}


@pytest.mark.parametrize("change", ["not json", "[]", "{}", '{"correct": 40}'])
def test_write_received_refuses_what_is_no_file_of_counts(tmp_path: Path, change: str) -> None:
    text = released_text(read_settings(write_site(tmp_path, "A", 9)))
    if change.startswith('{"'):
        changed = json.loads(text)
        changed["frames"]["runs"][0]["outcomes"][0] |= json.loads(change)
        change = json.dumps(changed)
    with pytest.raises(EvaluationError, match=": site north"):
        write_received({"north": change}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_write_received_refuses_one_hospital_from_two_sites(tmp_path: Path) -> None:
    text = released_text(read_settings(write_site(tmp_path, "A", 9)))
    with pytest.raises(EvaluationError, match="two sites sent counts of one hospital: A"):
        write_received({"north": text, "south": text}, tmp_path / "out")
