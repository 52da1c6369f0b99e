"""The page of an onboarding: what it shows of each step, and that it loads and runs nothing."""

from __future__ import annotations

from pathlib import Path

from heart2heart.reporting.onboarding_page import headline, page_content, step_sections, write_onboarding_page
from heart2heart.schema.onboarding import OnboardingRecord, StepFact, StepName, StepRecord, StepState


def _record(*states: StepState) -> OnboardingRecord:
    steps = tuple(
        StepRecord(
            name=name,
            state=state,
            summary=f"Summary of {name} <b>.",
            facts=(StepFact(name="decision", value="use"), StepFact(name="clips", value="12 & more")),
            missing=(f"Limit of {name}.",),
            next_commands=("heart2heart curate OUT/store",),
            outputs={"store": "a" * 64},
        )
        for name, state in zip(StepName, states, strict=False)
    )
    return OnboardingRecord(site="E", model="run", code_version="0", steps=steps)


def test_headline_names_what_is_next() -> None:
    done = StepState.DONE
    assert headline(_record(done, done)) == "2 of 8 steps are done"
    assert headline(_record(done, StepState.WAITING)) == "Health check: waiting for a person"
    assert headline(_record(done, StepState.FAILED, done)) == "Health check: failed"
    assert headline(_record(*[done] * 8)) == "Decision: use"


def test_step_sections_mark_what_follows_an_open_step() -> None:
    done = StepState.DONE
    sections = step_sections(_record(done, StepState.NOT_POSSIBLE, StepState.WAITING, done))
    assert [section.verdict.text for section in sections[:5]] == [
        "done", "not possible", "waiting for a person", "out of date", "not reached"
    ]  # fmt: skip
    assert [section.record is None for section in sections] == [False] * 3 + [True] * 5


def test_page_content_leads_with_the_last_step() -> None:
    current = page_content(_record(StepState.DONE, StepState.WAITING))["current"]
    assert (current.number, current.title) == (2, "Health check")


def test_write_onboarding_page_escapes_texts_and_marks_synthetic_data(tmp_path: Path) -> None:
    record = _record(StepState.DONE).model_copy(update={"synthetic": True})
    page = write_onboarding_page(record, tmp_path / "page.html").read_text()
    assert "Summary of ingest &lt;b&gt;." in page
    assert "12 &amp; more" in page
    assert "SYNTHETIC DATA" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert write_onboarding_page(record, tmp_path / "again.html").read_text() == page
