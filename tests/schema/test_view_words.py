"""Usual words for views in five languages, and words that name none for certain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.schema.view_words import MAX_LENGTH, view_of_words
from heart2heart.schema.views import USUAL, VIEWS, VOCABULARIES, translate_label

WORDS = {
    "A4C": "4CH|4-ch|4C|a-4-c|A 4 CH|apical 4-chamber|Apical four chamber view|Ap4|AP4C|A4C|a4ch"
    "|4KB|4-Kammer-Blick|Vierkammerblick"
    "|apikaler 4-Kammerblick|quatre cavités|vue apicale 4 cavités|apical de cuatro cámaras|心尖四腔心切面|心尖4腔心",
    "A2C": "2CH|Ap2|apical two-chamber|Zweikammerblick|deux cavités|dos cámaras|心尖二腔心|心尖两腔",
    "A3C": "3CH|apical long axis|ALAX|apikale lange Achse|Dreikammerblick|心尖左室长轴切面|心尖三腔",
    "A5C": "5ch|apical 5 chamber|Fünfkammerblick|cinco cámaras|心尖五腔心",
    "PLAX": "PLAX|PSLAX|parasternal long axis|parasternale lange Achse|Parasternale Längsachse|parasternale grand axe"
    "|paraesternal eje largo|胸骨旁左室长轴切面|胸骨旁左室長軸切面",
    "PSAX": "PSAX|parasternal short axis|PSAX papillary muscle level|parasternale kurze Achse|parasternale petit axe"
    "|paraesternal eje corto|胸骨旁短轴|大动脉短轴切面|short axis, aortic valve level|PSAX apical",
    "SUBCOSTAL": "subcostal|subkostal|sous-costale|S4C|subcostal 4 chamber|剑突下四腔心切面|Subxiphoid",
    "SUBCOSTAL_SAX": "subcostal short axis|SC SAX",
    "SUPRASTERNAL": "suprasternal notch|supraesternal|sus-sternale|胸骨上窝主动脉弓长轴切面",
    "RV_INFLOW": "RV inflow|right ventricular inflow tract|右室流入道",
    "RV_OUTFLOW": "RVOT|right ventricle outflow|右室流出道",
}
"""Words by view."""

UNCERTAIN = (
    "LAX", "SAX", "long axis", "4", "A", "apical", "parasternal", "subcostal IVC", "A4C or A2C", "apical 4 5 chamber",
    "parasternal 4 chamber", "suprasternal short axis", "左室长轴", "thyroid", "", "?", "A6C", "subcostal two chamber",
)  # fmt: skip


@pytest.mark.parametrize("view", WORDS)
def test_view_of_words_knows_the_usual_words(view: str) -> None:
    assert {word: view_of_words(word) for word in WORDS[view].split("|")} == dict.fromkeys(WORDS[view].split("|"), view)


@pytest.mark.parametrize("word", UNCERTAIN)
def test_view_of_words_names_no_view_for_words_that_may_mean_several(word: str) -> None:
    assert view_of_words(word) is None


@given(st.text(max_size=40))
def test_view_of_words_returns_a_view_or_none_for_any_text(text: str) -> None:
    assert view_of_words(text) in {*VIEWS, None}


@given(st.sampled_from([word for words in WORDS.values() for word in words.split("|")]), st.text("xyz", min_size=1))
def test_view_of_words_understands_a_word_only_as_a_whole(word: str, more: str) -> None:
    assert view_of_words(f"{word} {more}") is None


def test_view_of_words_reads_no_long_text() -> None:
    assert view_of_words("A4C" + " view" * MAX_LENGTH) is None


@pytest.mark.parametrize("vocabulary", sorted(VOCABULARIES))
def test_translate_label_by_usual_words_agrees_with_each_vocabulary(vocabulary: str) -> None:
    for word, view in VOCABULARIES[vocabulary].items():
        assert translate_label(word, USUAL) == view
