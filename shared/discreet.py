"""Values of which not all may be shown."""

from __future__ import annotations

from typing import ClassVar

import msgspec


class Discreet(msgspec.Struct, frozen=True):
    """A value with fields that its `repr` leaves out: one ends up in logs and in tracebacks, and
    content, keys and tokens must not."""

    unshown: ClassVar[frozenset[str]] = frozenset()

    def __repr__(self) -> str:
        shown = (
            f"{n}={getattr(self, n)!r}" for n in self.__struct_fields__ if n not in self.unshown
        )
        return f"{type(self).__name__}({', '.join(shown)})"
