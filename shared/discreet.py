"""The base of values with fields that must not be shown."""

from __future__ import annotations

from typing import ClassVar

import msgspec


class Discreet(msgspec.Struct, frozen=True):
    """A value whose `repr` leaves out some fields: a `repr` can get into logs and tracebacks, and
    content, keys and tokens must not."""

    unshown: ClassVar[frozenset[str]] = frozenset()

    def __repr__(self) -> str:
        shown = (
            f"{n}={getattr(self, n)!r}" for n in self.__struct_fields__ if n not in self.unshown
        )
        return f"{type(self).__name__}({', '.join(shown)})"
