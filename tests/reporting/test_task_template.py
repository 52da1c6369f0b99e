"""Templates and sentences follow the task; tags, names of variables and data do not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from heart2heart.evaluation.task_words import TaskWords
from heart2heart.reporting.task_template import adapt_content, adapt_template
from heart2heart.schema.site_metrics import Estimate

WORDS = TaskWords("severity", cases=True)


def test_adapt_template_changes_text_labels_and_quoted_sentences() -> None:
    source = (
        '<section id="frames" aria-labelledby="frames-title"><p class="view" aria-label="By view at {{ view.frame }}">'
        '{# a view #}Views{% if frames %} of {{ "no view" }} {{ item["frames"] }}{% endif %}</p><svg viewBox="0"></svg>'
    )
    assert adapt_template(source, WORDS) == (
        '<section id="frames" aria-labelledby="frames-title">'
        '<p class="view" aria-label="By severity class at {{ view.frame }}">'
        '{# a view #}Severity classes{% if frames %} of {{ "no severity class" }} {{ item["frames"] }}{% endif %}</p>'
        '<svg viewBox="0"></svg>'
    )


def test_adapt_template_leaves_the_templates_of_views_as_they_are() -> None:
    from heart2heart.reporting.writer import TEMPLATES

    for path in sorted(Path(TEMPLATES).glob("*.j2")):
        source = path.read_text(encoding="utf-8")
        assert adapt_template(source, TaskWords()) == source


@dataclass(frozen=True)
class Card:
    site: str
    section: str
    sentences: list[str]
    value: Estimate


def test_adapt_content_changes_sentences_and_keeps_data() -> None:
    estimate = Estimate(value=None, low=None, high=None, n=0, clusters=0, few_clusters=False, reason="no view")
    card = Card("view lab", "frames", ["Lowest view: mild view.", "At view lab"], estimate)
    content = {
        "cards": [card],
        "flow": {"other view (A)": 3},
        "figure": '<svg id="view"><text>Views</text></svg>',
        "metrics": "a view",
        "sections": {"frames": "Sample frames"},
    }
    adapted = adapt_content(content, WORDS, {"mild view", "view lab"})
    sentences = ["Lowest severity class: mild view.", "At view lab"]
    assert adapted["cards"] == [Card("view lab", "frames", sentences, estimate)]
    assert adapted["flow"] == {"other severity class (A)": 3}
    assert adapted["figure"] == '<svg id="view"><text>Severity classes</text></svg>'
    assert adapted["metrics"] == "a view"
    assert adapted["sections"] == {"frames": "Sample cases"}
    assert adapt_content(content, TaskWords(), ()) is content
