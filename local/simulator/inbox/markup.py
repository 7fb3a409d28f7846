"""HTML that escapes by default: a value is markup only if this module made it."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def html(template: str, **values: object) -> Markup:
    """Fill `{name}` placeholders; every value that is not Markup is escaped, also its quotes."""
    return Markup(template.format(**{name: safe(value) for name, value in values.items()}))


def safe(value: object) -> Markup:
    return value if isinstance(value, Markup) else Markup(escape(str(value), quote=True))


def joined(parts: Iterable[Markup], between: str = "") -> Markup:
    return Markup(safe(between).join(parts))


NOTHING = Markup("")
