"""axe-core in a page of ours: what of it people could not see, hear or operate."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

_SOURCE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"

# Frames hold other people's html, which is theirs.
_RUN = """async () => (await axe.run(document, { iframes: false, resultTypes: ["violations"] }))
  .violations.map((one) => ({ id: one.id, nodes: one.nodes.map((node) => node.html.slice(0, 120)) }))"""


@functools.cache
def _source() -> str:
    return _SOURCE.read_text(encoding="utf-8")


def violations(page: Page) -> list[dict[str, Any]]:
    """Every rule that is broken, the recommended ones included, with the elements that break it."""
    # A script element would be stopped by the page's policy; what is evaluated is not.
    page.evaluate(_source())
    found: list[dict[str, Any]] = page.evaluate(_RUN)
    return found
