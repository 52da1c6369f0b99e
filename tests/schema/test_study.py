"""The description of a study: its template lists every key, and bad texts are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from heart2heart.errors import ConfigError, EvaluationError, MissingInputError
from heart2heart.schema.study import MAX_BYTES, MAX_TEXT, Study, read_study, study_keys, study_template


def test_study_template_lists_every_key_with_a_comment(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(study_template())
    assert read_study(path) == Study()
    assert set(yaml.safe_load(study_template())) == {"schema_version", *study_keys()}
    lines = study_template().splitlines()
    for key, meaning in study_keys().items():
        assert lines[lines.index(f'{key}: ""') - 1].startswith("# ")
        assert meaning.endswith(".")


def test_read_study_joins_lines_and_drops_empty_keys(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("funding: |\n  A grant\n  of a trust.\nethics:\n")
    assert read_study(path).texts == {"funding": "A grant of a trust."}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("founding: a", "unknown key"),
        ("funding: [a]", "funding"),
        (f"funding: {'a' * (MAX_TEXT + 1)}", "longer than"),
        ('funding: "a\\u0007b"', "cannot be printed"),
        ("#" * (MAX_BYTES + 1), "larger than"),
        ("funding: a: b", "YAML"),
    ],
)
def test_read_study_refuses_bad_texts(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        read_study(path)


def test_read_study_refuses_other_files(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="about-template"):
        read_study(tmp_path / "study.yaml")
    (tmp_path / "study.yaml").write_text("schema_version: 9")
    with pytest.raises(EvaluationError, match="another schema version"):
        read_study(tmp_path / "study.yaml")
