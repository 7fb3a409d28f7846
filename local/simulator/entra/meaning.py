"""The meaning of an AADSTS number."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Meaning:
    """The OAuth error name of a number, and its sentence. `page`: Entra shows a page and never sends
    the browser back."""

    error: str
    text: str
    suberror: str | None = None
    page: bool = False
