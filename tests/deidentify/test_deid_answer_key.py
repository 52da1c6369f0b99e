"""The scorer of `benchmarks.deidentification`: its answer key against tools whose score is known."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from scipy.stats import binomtest

from benchmarks.deid_answer_key import (
    KEEPING,
    REMOVING,
    Action,
    Judged,
    Requirement,
    element_text,
    is_correct,
    share_interval,
    uid_mapping,
)
from benchmarks.deid_cases import draw_person, plant
from heart2heart.deidentify.header import DEIDENTIFICATION_METHODS
from tests.dicom.build import dataset, speckle_frames

Tool = Callable[[Dataset, list[Requirement], int], Dataset | None]


@pytest.fixture(scope="module")
def planted() -> list[tuple[Dataset, list[Requirement], int]]:
    """Two invented patients with two studies each."""
    draw, files = random.Random(3), []
    for patient in range(2):
        person = draw_person(draw)
        for study in range(2):
            header = dataset(speckle_frames(2), ImageType=["ORIGINAL", "PRIMARY", "EPICARDIAL", "0001"])
            key = plant(header, person, day=date(2019, 5, 6 + study), study=study, clip=patient, mixed=bool(study))
            files.append((header, key, patient))
    return files


def correct(planted: list[tuple[Dataset, list[Requirement], int]], tool: Tool) -> dict[Action, list[bool]]:
    """Return what a tool does right, by action."""
    files = [(before, tool(before, key, patient), key) for before, key, patient in planted]
    mapping = uid_mapping(files)
    judged: dict[Action, list[bool]] = {}
    for before, after, key in files:
        for requirement in key:
            judged.setdefault(requirement.action, []).append(is_correct(requirement, before, after, mapping))
    return judged


def unchanged(before: Dataset, key: list[Requirement], patient: int) -> Dataset:
    return before


def empty(before: Dataset, key: list[Requirement], patient: int) -> Dataset:
    return Dataset()


def oracle(before: Dataset, key: list[Requirement], patient: int) -> Dataset:
    """Do exactly what the key requires."""
    after = copy.deepcopy(before)
    for action in (Action.TEXT_REMOVED, Action.TEXT_RETAINED, Action.DATE_SHIFTED, Action.UID_CHANGED):
        for requirement in (each for each in key if each.action is action):
            *outer, last = requirement.element.split(".")
            item = after
            for step in outer:
                name, _, number = step.partition("[")
                item = item.file_meta if step == "file_meta" else item[name].value[int(number.rstrip("]"))]
            element = item[int(last, 16) if last.isdigit() else last]
            if action is Action.TEXT_REMOVED:
                element.value = ""
            elif action is Action.TEXT_RETAINED and element.value in ("", None):
                element.value = requirement.text.split("|")[0]
            elif action is Action.DATE_SHIFTED:
                day = datetime.strptime(str(element.value)[:8], "%Y%m%d") - timedelta(days=77)
                element.value = day.strftime("%Y%m%d")
            elif action is Action.UID_CHANGED:
                element.value = "2.25." + "".join(str(9 - int(digit)) for digit in requirement.text if digit.isdigit())
    after.PatientID = after.PatientName = f"P{patient}"
    return after


def test_is_correct_of_a_tool_that_changes_nothing(planted: list[tuple[Dataset, list[Requirement], int]]) -> None:
    judged = correct(planted, unchanged)
    assert {action for action, right in judged.items() if not any(right)} == set(judged) & REMOVING
    assert {action for action, right in judged.items() if all(right)} == set(judged) - REMOVING


def test_is_correct_of_a_tool_that_returns_nothing(planted: list[tuple[Dataset, list[Requirement], int]]) -> None:
    for tool in (empty, lambda before, key, patient: None):
        judged = correct(planted, tool)
        assert all(all(right) for action, right in judged.items() if action in REMOVING)
        assert not any(any(right) for action, right in judged.items() if action not in REMOVING)


def test_is_correct_of_a_perfect_tool(planted: list[tuple[Dataset, list[Requirement], int]]) -> None:
    judged = correct(planted, oracle)
    assert {action: sum(right) for action, right in judged.items()} == {a: len(right) for a, right in judged.items()}
    assert set(judged) >= (KEEPING | REMOVING) - {Action.PIXELS_HIDDEN, Action.PIXELS_RETAINED}


def test_is_correct_of_patients_and_uids_that_are_merged(
    planted: list[tuple[Dataset, list[Requirement], int]],
) -> None:
    def merge(before: Dataset, key: list[Requirement], patient: int) -> Dataset:
        after = oracle(before, key, patient)
        after.PatientID, after.StudyInstanceUID = "ANONYMIZED", "2.25.1"
        return after

    judged = correct(planted, merge)
    assert not any(judged[Action.PATID_CONSISTENT])
    assert 3 * sum(judged[Action.UID_CONSISTENT]) == 2 * len(judged[Action.UID_CONSISTENT])


def test_plant_has_an_action_for_every_option_that_clean_copies_claim(
    planted: list[tuple[Dataset, list[Requirement], int]],
) -> None:
    categories = {requirement.category for _, key, _ in planted for requirement in key}
    assert {f"HIPAA-{letter}" for letter in "ABCDEFGHIJKMNOR"} <= categories
    assert {"TCIA-P15-DESC-C", "TCIA-P15-PAT-K", "DICOM-IOD-1", "DICOM-IOD-2", "TCIA-US"} <= categories
    assert {"113105", "113108"} <= set(DEIDENTIFICATION_METHODS)
    for header, key, _ in planted:
        assert all(element_text(header, requirement.element) is not None for requirement in key)


@pytest.mark.parametrize(
    ("action", "text", "value", "right"),
    [
        (Action.TEXT_REMOVED, "Morvos Anna", "apical view of ANNA", False),
        (Action.TEXT_REMOVED, "Morvos Anna", "apical view", True),
        (Action.TEXT_REMOVED, "4711", "4711.0", False),
        (Action.TEXT_RETAINED, "apical 4 chamber|A4C", "a4c", True),
        (Action.TEXT_RETAINED, "apical 4 chamber", "apical chamber", False),
        (Action.TEXT_RETAINED, "2.5", "2.50", True),
        (Action.TEXT_RETAINED, "GE", "G.E. Medical Systems", True),
    ],
)
def test_is_correct_of_texts(action: Action, text: str, value: str, right: bool) -> None:
    before, after = Dataset(), Dataset()
    after.StudyDescription = value
    assert is_correct(Requirement(action, "X", "StudyDescription", text), before, after, {}) is right


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=6), min_size=1, max_size=20))
def test_share_interval_holds_the_share(files: list[list[bool]]) -> None:
    requirement = Requirement(Action.TEXT_REMOVED, "HIPAA-A", "PatientName")
    judged = [Judged(index, requirement, right) for index, rights in enumerate(files) for right in rights]
    right, total, low, high = share_interval(judged)
    assert (right, total) == (sum(map(sum, files)), sum(map(len, files)))
    assert 0 <= low <= right / total + 1e-12
    assert right / total - 1e-12 <= high <= 1


@pytest.mark.parametrize(("right_files", "actions"), [(100, 1), (100, 7), (60, 1), (60, 7), (0, 3)])
def test_share_interval_counts_files_that_agree_as_one_action_each(right_files: int, actions: int) -> None:
    requirement = Requirement(Action.TEXT_REMOVED, "HIPAA-A", "PatientName")
    judged = [Judged(file, requirement, file < right_files) for file in range(100) for _ in range(actions)]
    _, _, low, high = share_interval(judged)
    expected = binomtest(right_files, 100).proportion_ci(method="wilson")
    assert low == pytest.approx(expected.low, abs=1e-3)
    assert high == pytest.approx(expected.high, abs=1e-3)
