"""Checks of the page's accessibility: names of controls by Chromium's own tree, contrast, ids, and axe-core if present.

axe-core (MPL-2.0) is no part of this repository. The environment variable `H2H_AXE` may name its file `axe.min.js`;
then its rules are checked too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

NAMED_ROLES = frozenset(
    ("button", "link", "textbox", "searchbox", "combobox", "checkbox", "radio", "slider", "spinbutton", "listbox",
     "progressbar", "ProgressIndicator", "dialog", "img", "image", "navigation", "region", "group", "form")
)  # fmt: skip
"""Roles of Chromium's accessibility tree whose elements need a name (WCAG 2.2, 1.1.1 and 4.1.2)."""
ANONYMOUS = frozenset(("group", "form"))
"""Of these, a nameless one is only a container."""

_CHECKS = (Path(__file__).parent / "accessibility.js").read_text(encoding="utf-8")


def violations(page: Page) -> list[str]:
    """Return what the page on the screen does wrong, one sentence each; empty when nothing is wrong."""
    return [*_nameless(page), *page.evaluate(_CHECKS), *_axe(page)]


def _nameless(page: Page) -> list[str]:
    session = page.context.new_cdp_session(page)
    nodes: list[dict[str, Any]] = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    problems = []
    for node in nodes:
        role = str(node.get("role", {}).get("value", ""))
        name = str(node.get("name", {}).get("value", "")).strip()
        if not node["ignored"] and role in NAMED_ROLES - ANONYMOUS and not name:
            problems.append(f"a {role} has no name")
    return problems


def _axe(page: Page) -> list[str]:
    path = os.environ.get("H2H_AXE")
    if not path:
        return []
    page.evaluate(f"() => {{ {Path(path).read_text(encoding='utf-8')} }}")
    result = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"axe {violation['id']} ({violation['impact']}): {node['html'][:120]}"
        for violation in result["violations"]
        for node in violation["nodes"]
    ]
