"""The usual words for views, as hospitals write them in English, German, French, Spanish and Chinese.

A word is understood only as a whole: each part of it must be known, and the parts together must name one view. "4CH",
"Ap4" and "apikaler Vierkammerblick" are an apical four chamber view; "LAX" alone may be parasternal or apical, so it
names none. The terms follow the view names of Mitchell et al., "Guidelines for Performing a Comprehensive Transthoracic
Echocardiographic Examination in Adults", J Am Soc Echocardiogr 2019, and their usual translations.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache

MAX_LENGTH = 200
"""Longest text that is read as a word, characters."""


class Part(StrEnum):
    """What one part of a word says."""

    PARASTERNAL = "parasternal"
    APICAL = "apical"
    SUBCOSTAL = "subcostal"
    SUPRASTERNAL = "suprasternal"
    LONG = "long axis"
    SHORT = "short axis"
    TWO = "2"
    THREE = "3"
    FOUR = "4"
    FIVE = "5"
    CHAMBERS = "chambers"
    INFLOW = "inflow"
    OUTFLOW = "outflow"
    RIGHT_VENTRICLE = "right ventricle"
    LEFT_VENTRICLE = "left ventricle"
    LEVEL = "level"
    """Level of a short axis: aortic valve, mitral valve, papillary muscles."""
    ARCH = "aortic arch"
    OTHER = "other"


_P, _A, _S, _N = Part.PARASTERNAL, Part.APICAL, Part.SUBCOSTAL, Part.SUPRASTERNAL
_NUMBERS = {"2": Part.TWO, "3": Part.THREE, "4": Part.FOUR, "5": Part.FIVE}

_WORDS: Mapping[Part | None, str] = {
    _P: "parasternal parasternale parasternaler parasternales parasternalen paraesternal ps",
    _A: "apical apicale apikal apikale apikaler apikales apikalen ap",
    _S: "subcostal subcostale subkostal subkostale subkostaler subkostales subxiphoid subxifoidea subc sc",
    _N: "suprasternal suprasternale suprasternaler supraesternal ssn",
    Part.LONG: "long longaxis lax lange langen langer langs langsachse langsachsen langachse langachsen grand largo",
    Part.SHORT: "short shortaxis sax kurze kurzen kurzer kurzachse kurzachsen quer querachse petit corto",
    Part.CHAMBERS: "chamber chambers ch kammer kammern kammerblick cavites cavite camara camaras",
    Part.INFLOW: "inflow einflusstrakt einflusstraktes",
    Part.OUTFLOW: "outflow ausflusstrakt",
    Part.RIGHT_VENTRICLE: "rv rechtsventrikular rechtsventrikularer",
    Part.LEFT_VENTRICLE: "lv linksventrikular",
    Part.LEVEL: "aortic aortenklappe aortique aortica av ao mitral mitrale mitralklappe mv papillary papillaire "
    "papilar papillarmuskel papillarmuskeln pap pm",
    Part.ARCH: "arch aortenbogen",
    Part.OTHER: "other andere anderer autre otra otro 其他",
    None: "view views axis axes achse achsen axe eje blick schnitt ansicht anlotung vue coupe plano vista proyeccion "
    "standard the of at level window fenster ebene de la des tract tracto notch valve valva muscle muscles",
}  # fmt: skip
"""Whole words, without accents, by what they say; None: nothing about the view."""

_COMPACT: Mapping[str, tuple[Part, ...]] = {
    "plax": (_P, Part.LONG), "pslax": (_P, Part.LONG), "plx": (_P, Part.LONG), "psax": (_P, Part.SHORT),
    "pssax": (_P, Part.SHORT), "alax": (_A, Part.LONG), "aplax": (_A, Part.LONG), "aplx": (_A, Part.LONG),
    "scsax": (_S, Part.SHORT), "sclax": (_S, Part.LONG), "rvot": (Part.RIGHT_VENTRICLE, Part.OUTFLOW),
    "rvit": (Part.RIGHT_VENTRICLE, Part.INFLOW), "rvinflow": (Part.RIGHT_VENTRICLE, Part.INFLOW),
    "rvoutflow": (Part.RIGHT_VENTRICLE, Part.OUTFLOW),
}  # fmt: skip

_CHINESE_WORDS: Mapping[Part | None, str] = {
    _P: "胸骨旁",
    _A: "心尖",
    _S: "剑突下 劍突下 剑下",
    _N: "胸骨上窝 胸骨上窩 胸骨上凹",
    Part.LONG: "长轴 長軸",
    Part.SHORT: "短轴 短軸",
    Part.TWO: "2 二 两 兩",
    Part.THREE: "3 三",
    Part.FOUR: "4 四",
    Part.FIVE: "5 五",
    Part.CHAMBERS: "腔心 腔",
    Part.LEFT_VENTRICLE: "左室 左心室",
    Part.RIGHT_VENTRICLE: "右室 右心室",
    Part.INFLOW: "流入道",
    Part.OUTFLOW: "流出道",
    Part.LEVEL: "大动脉 大動脈 主动脉瓣 主動脈瓣 二尖瓣 乳头肌 乳頭肌",
    Part.ARCH: "主动脉弓 主動脈弓",
    None: "水平 切面 标准 標準 图 圖",
}
"""Parts of Chinese words, simplified and traditional."""

_PHRASES = (
    (r"\b(?:sous|sub) (?=[ck]ostal)", "sub"),
    (r"\b(?:sus|supra) (?=(?:e)?sternal)", "supra"),
    (r"\bright ventric(?:le|ular)\b", "rv"),
    (r"\bleft ventric(?:le|ular)\b", "lv"),
    (r"\b(?:two|zwei|deux|dos)(?= |kammer|$)", "2"),
    (r"\b(?:three|drei|trois|tres)(?= |kammer|$)", "3"),
    (r"\b(?:four|vier|quatre|cuatro)(?= |kammer|$)", "4"),
    (r"\b(?:five|funf|fuenf|cinq|cinco)(?= |kammer|$)", "5"),
    (r"(?<=\d)(?=kammer)", " "),
    (r"\ba ?([2-5]) (?=c\b|ch\b)", r"a\1"),
    (r"(?<=achse)n?(?=schnitt|blick)|(?<=kammer)(?=schnitt|blick)|(?<=sternal)(?=schnitt|blick)", " "),
)
"""Replacements before a text is cut into words."""

_CHAMBER_CODE = re.compile(r"(s|sc|sub|a|ap|apical)?([2-5])(c|ch|cv|kb|ck)?")


def view_of_words(text: str) -> str | None:
    """Return the view that usual words name, or None if they name none for certain.

    Args:
        text: The words, in any case, with or without accents and hyphens.

    Examples:
        >>> from heart2heart.schema.view_words import view_of_words
        >>> [view_of_words(text) for text in ("4CH", "Vierkammerblick", "parasternal long axis", "心尖四腔心切面")]
        ['A4C', 'A4C', 'PLAX', 'A4C']
        >>> view_of_words("LAX") is None
        True
    """
    if len(text) > MAX_LENGTH:
        return None
    parts: list[Part] = []
    for word in normal_form(text).split():
        parts_of_word = _parts(word)
        if parts_of_word is None:
            return None
        parts += parts_of_word
    return _view(frozenset(parts))


def normal_form(text: str) -> str:
    """Return a text in lower case, without accents, hyphens and other signs, numbers of chambers as digits.

    Examples:
        >>> normal_form("Sous-costale, Quatre cavités")
        'subcostale 4 cavites'
    """
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    plain = "".join(sign for sign in decomposed if not unicodedata.combining(sign))
    spaced = " ".join(re.findall(r"[^\W_]+", plain))
    for pattern, replacement in _PHRASES:
        spaced = re.sub(pattern, replacement, spaced)
    return spaced


def _parts(word: str) -> tuple[Part, ...] | None:
    """Return what a word says; None if it is not known."""
    if word in _lexicon():
        return _lexicon()[word]
    code = _CHAMBER_CODE.fullmatch(word)
    if code is not None:
        prefix, number, ending = code.groups()
        position = () if prefix is None else (_S,) if prefix.startswith("s") else (_A,)
        return (*position, _NUMBERS[number], *(() if ending is None else (Part.CHAMBERS,)))
    chinese = list(_chinese_parts(word))
    return None if None in chinese else tuple(part for parts in chinese for part in parts or ())


def _chinese_parts(word: str) -> Iterator[tuple[Part, ...] | None]:
    """Yield the parts of a text without spaces, the longest known beginning first; None where none is known."""
    while word:
        beginning = next((word[:size] for size in range(_LONGEST, 0, -1) if word[:size] in _chinese()), None)
        if beginning is None:
            yield None
            return
        yield _chinese()[beginning]
        word = word[len(beginning) :]


_LONGEST = 4  # signs of the longest part of a Chinese word


@cache
def _lexicon() -> dict[str, tuple[Part, ...]]:
    """Return what each whole word says."""
    return _by_word(_WORDS) | dict(_COMPACT)


@cache
def _chinese() -> dict[str, tuple[Part, ...]]:
    """Return what each part of a Chinese word says."""
    return _by_word(_CHINESE_WORDS)


def _by_word(words: Mapping[Part | None, str]) -> dict[str, tuple[Part, ...]]:
    return {word: () if part is None else (part,) for part, listed in words.items() for word in listed.split()}


def _view(parts: frozenset[Part]) -> str | None:
    """Return the view that parts name together."""
    numbers = [number for number, part in _NUMBERS.items() if part in parts]
    rest = parts - set(_NUMBERS.values())
    if len(numbers) > 1:
        return None
    if numbers:
        if rest in ({_A}, {_A, Part.CHAMBERS}, {Part.CHAMBERS}):
            return f"A{numbers[0]}C"
        return "SUBCOSTAL" if numbers == ["4"] and rest in ({_S}, {_S, Part.CHAMBERS}) else None
    return _BY_PARTS.get(rest)


def _combinations(needed: set[Part], *optional: Part) -> Iterator[frozenset[Part]]:
    """Yield the needed parts with any of the optional ones."""
    for bits in range(2 ** len(optional)):
        yield frozenset(needed | {part for i, part in enumerate(optional) if bits >> i & 1})


_BY_PARTS: Mapping[frozenset[Part], str] = {
    parts: view
    for view, combinations in (
        ("PLAX", _combinations({_P, Part.LONG}, Part.LEFT_VENTRICLE)),
        ("PSAX", _combinations({_P, Part.SHORT}, Part.LEVEL, Part.LEFT_VENTRICLE, _A)),
        ("PSAX", _combinations({Part.SHORT, Part.LEVEL})),
        ("A3C", _combinations({_A, Part.LONG}, Part.LEFT_VENTRICLE)),
        ("SUBCOSTAL", _combinations({_S}, Part.LONG)),
        ("SUBCOSTAL_SAX", _combinations({_S, Part.SHORT}, Part.LEVEL, Part.LEFT_VENTRICLE)),
        ("SUPRASTERNAL", _combinations({_N}, Part.LONG, Part.ARCH)),
        ("RV_INFLOW", _combinations({Part.RIGHT_VENTRICLE, Part.INFLOW}, _P)),
        ("RV_OUTFLOW", _combinations({Part.RIGHT_VENTRICLE, Part.OUTFLOW}, _P)),
        ("OTHER", _combinations({Part.OTHER})),
    )
    for parts in combinations
}
"""Which parts together name which view."""
