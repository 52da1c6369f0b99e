"""Puts the words of a task into the report's templates and sentences, and leaves names and data as they are."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import fields, is_dataclass, replace
from typing import Any

from pydantic import BaseModel

from heart2heart.evaluation.task_words import TaskWords

_JINJA = re.compile(r"(\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\})", re.DOTALL)
_TAG_OR_TEXT = re.compile(r"<|>")
_QUOTED = re.compile(r"\"([^\"\n]*)\"")
_LABEL = re.compile(r"(?<=aria-label=\")[^\"]*")

DATA = frozenset({"provenance", "metrics", "gallery", "demographics", "label_vocabularies", "label_views", "sections"})
"""Parts of the content that are data and no sentences. The titles of `sections` are adapted by themselves."""


def adapt_template(source: str, words: TaskWords, keep: Collection[str] = ()) -> str:
    """Return the source of an HTML or Markdown template in the words of the task.

    Text between tags, `aria-label`, and quoted sentences inside Jinja code change; tags and names of variables do not.
    The same holds for a figure, which is SVG.

    Args:
        source: The template or the figure.
        words: The words.
        keep: Names that stay as they are.
    """
    if not words.changes:
        return source
    parts: list[str] = []
    in_tag = False
    for index, part in enumerate(_JINJA.split(source)):
        if index % 2:
            parts.append(
                _QUOTED.sub(lambda match: f'"{words.adapt(match[1])}"' if _is_sentence(match[1]) else match[0], part)
            )
            continue
        position = 0
        for sign in [*_TAG_OR_TEXT.finditer(part), None]:
            end = len(part) if sign is None else sign.end()
            text = part[position:end]
            if in_tag:
                parts.append(_LABEL.sub(lambda match: words.adapt(match[0], keep), text))
            else:
                parts.append(words.adapt(text, keep))
            position = end
            if sign is not None:
                in_tag = sign[0] == "<"
    return "".join(parts)


def adapt_content(content: dict[str, Any], words: TaskWords, keep: Collection[str]) -> dict[str, Any]:
    """Return the content of the templates with its sentences in the words of the task.

    Args:
        content: Content by name; that of `DATA` stays as it is.
        words: The words.
        keep: Names that stay as they are in sentences.
    """
    if not words.changes:
        return content
    adapted = {name: part if name in DATA else _adapt(part, words, keep) for name, part in content.items()}
    if "sections" in content:
        adapted["sections"] = {name: words.adapt(title) for name, title in content["sections"].items()}
    return adapted


def _is_sentence(text: str) -> bool:
    """Return whether a text is for readers: one lower-case word is the name of a section or of a kind."""
    return " " in text or text[:1].isupper() or text.startswith("<")


def _adapt(node: Any, words: TaskWords, keep: Collection[str]) -> Any:
    if isinstance(node, str):
        if not _is_sentence(node):
            return node
        return adapt_template(node, words, keep) if node.startswith("<") else words.adapt(node, keep)
    if isinstance(node, BaseModel) or callable(node):
        return node
    if isinstance(node, dict):
        return {_adapt(key, words, keep): _adapt(child, words, keep) for key, child in node.items()}
    if isinstance(node, tuple) and hasattr(node, "_fields"):
        return type(node)(*(_adapt(child, words, keep) for child in node))
    if isinstance(node, list | tuple):
        return type(node)(_adapt(child, words, keep) for child in node)
    if is_dataclass(node) and not isinstance(node, type):
        return replace(node, **{f.name: _adapt(getattr(node, f.name), words, keep) for f in fields(node) if f.init})
    return node
