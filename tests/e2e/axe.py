"""axe-core in a page of ours: what of it people could not see, hear or operate."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

_SOURCE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"

# Frames hold other people's html, which is theirs.
_RUN = """async (rules) => (await axe.run(document, {
  iframes: false, resultTypes: ["violations"], ...(rules && { runOnly: rules }) }))
  .violations.map((one) => ({ id: one.id, nodes: one.nodes.map((node) => node.html.slice(0, 120)) }))"""


@functools.cache
def _source() -> str:
    return _SOURCE.read_text(encoding="utf-8")


OF_COLOUR = ["cat.color"]
"""The rules whose outcome depends on the scheme."""


def violations(page: Page, rules: list[str] | None = None) -> list[dict[str, Any]]:
    """Every rule that is broken, the recommended ones included, with the elements that break it; or
    only of some rules."""
    if not page.evaluate("'axe' in window"):
        # A script element would be stopped by the page's policy; what is evaluated is not.
        page.evaluate(_source())
    found: list[dict[str, Any]] = page.evaluate(_RUN, rules)
    return found
