"""Agreement corrected for chance, against the examples that its authors published, and against other code."""

from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heart2heart.labels.agreement_coefficients import (
    Floats,
    cohen_kappa,
    coincidences,
    fleiss_kappa,
    fleiss_sums,
    krippendorff_alpha,
    one_against_rest,
)

FLEISS_1971 = (
    "00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050 02031 "
    "00501 30012 51000 02040 10203 00006 01050 02013 20040 10041 05010 40002 02040 10500 00006"
)
"""Table 1: 30 patients, six psychiatrists; depression, personality disorder, schizophrenia, neurosis, other."""

KRIPPENDORFF_2011 = ("123321412...", "1233224125.3", ".3332342251.", "123324412 51.".replace(" ", ""))
"""The data with missing values: four observers, twelve units, values 1 to 5."""


def _counts(observers: Sequence[str], words: str) -> Floats:
    return np.array(
        [[unit.count(word) for word in words] for unit in map("".join, zip(*observers, strict=True))], float
    )


def test_cohen_kappa_of_cohen_1960() -> None:
    """Table 2: two clinical psychologists, 200 patients; kappa .492."""
    table = np.array([[88, 14, 18], [10, 40, 10], [2, 6, 12]], float)
    assert float(cohen_kappa(table)) == pytest.approx(0.492, abs=5e-4)


def test_fleiss_kappa_of_fleiss_1971() -> None:
    counts = np.array([[int(digit) for digit in row] for row in FLEISS_1971.split()], float)
    sums = fleiss_sums(counts).sum(0)
    assert float(fleiss_kappa(sums, 6)) == pytest.approx(0.430, abs=5e-4)
    by_word = [round(float(fleiss_kappa(sums, 6, word)), 3) for word in range(5)]
    assert by_word == [0.245, 0.245, 0.520, 0.471, 0.566]


def test_krippendorff_alpha_of_krippendorff_2011() -> None:
    table = coincidences(_counts(KRIPPENDORFF_2011, "12345")).sum(0)
    # The matrix of coincidences of the paper, its margins and its alpha.
    np.testing.assert_allclose(table[0], [7, 4 / 3, 1 / 3, 1 / 3, 0])
    np.testing.assert_allclose(table.sum(1), [9, 13, 10, 5, 3])
    assert float(krippendorff_alpha(table)) == pytest.approx(0.743, abs=5e-4)


def _alpha_by_pairs(units: Sequence[Sequence[int]]) -> float:
    """Disagreement observed and expected, pair by pair of values, as Krippendorff defines it."""
    pairable = [unit for unit in units if len(unit) > 1]
    values = [value for unit in pairable for value in unit]
    observed = sum(
        sum(one != other for one, other in permutations(unit, 2)) / (len(unit) - 1) for unit in pairable
    ) / len(values)
    expected = sum(one != other for one, other in permutations(values, 2)) / (len(values) * (len(values) - 1))
    return float("nan") if expected == 0 else 1 - observed / expected


_UNITS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=4), min_size=2, max_size=9)


@given(_UNITS)
@settings(max_examples=50)
def test_krippendorff_alpha_is_its_definition_for_all_views_and_each(units: list[list[int]]) -> None:
    counts = np.array([[unit.count(word) for word in range(4)] for unit in units], float)
    table = coincidences(counts).sum(0)
    if any(len(unit) > 1 for unit in units):
        np.testing.assert_allclose(float(krippendorff_alpha(table)), _alpha_by_pairs(units), atol=1e-9)
        merged = [[int(word == 1) for word in unit] for unit in units]
        np.testing.assert_allclose(
            float(krippendorff_alpha(one_against_rest(table, 1))), _alpha_by_pairs(merged), atol=1e-9
        )
    else:
        assert np.isnan(krippendorff_alpha(table))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=30))
@settings(max_examples=20)
def test_cohen_kappa_equals_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    from sklearn.metrics import cohen_kappa_score

    one, other = zip(*pairs, strict=True)
    table = np.zeros((4, 4))
    np.add.at(table, (one, other), 1)
    if one == other and len(set(one)) == 1:  # chance agrees always: scikit-learn warns, and returns NaN as well
        assert np.isnan(cohen_kappa(table))
    else:
        np.testing.assert_allclose(float(cohen_kappa(table)), cohen_kappa_score(one, other), atol=1e-12)
        is_view = [[word == 2 for word in words] for words in (one, other)]
        if any(map(any, is_view)) and not all(map(all, is_view)):
            kappa = float(cohen_kappa(one_against_rest(table, 2)))
            np.testing.assert_allclose(kappa, cohen_kappa_score(*is_view), atol=1e-12)


@given(st.lists(st.lists(st.integers(0, 2), min_size=3, max_size=3), min_size=2, max_size=9))
@settings(max_examples=50)
def test_fleiss_kappa_of_a_view_is_that_of_the_view_and_the_rest(units: list[list[int]]) -> None:
    counts = np.array([[unit.count(word) for word in range(3)] for unit in units], float)
    merged = np.stack([counts[:, 1], counts[:, 0] + counts[:, 2]], 1)
    kappa = fleiss_kappa(fleiss_sums(counts).sum(0), 3, 1)
    np.testing.assert_allclose(kappa, fleiss_kappa(fleiss_sums(merged).sum(0), 3), atol=1e-9)
    total, members = counts.sum(0), len(units)
    within = sum((row * (row - 1)).sum() for row in counts) / (members * 6)
    by_chance = float(((total / total.sum()) ** 2).sum())
    known = float("nan") if by_chance == 1 else (within - by_chance) / (1 - by_chance)
    np.testing.assert_allclose(float(fleiss_kappa(fleiss_sums(counts).sum(0), 3)), known, atol=1e-9)


def test_cohen_kappa_and_krippendorff_alpha_take_many_tables_at_once() -> None:
    tables = np.random.default_rng(0).integers(1, 9, (5, 3, 3)).astype(float)
    assert [float(cohen_kappa(table)) for table in tables] == pytest.approx(cohen_kappa(tables).tolist())
    same = tables + tables.swapaxes(1, 2)
    assert [float(krippendorff_alpha(table)) for table in same] == pytest.approx(krippendorff_alpha(same).tolist())
    merged = one_against_rest(tables, 1)
    assert merged[3].tolist() == one_against_rest(tables[3], 1).tolist()
    assert merged.shape == (5, 2, 2)
