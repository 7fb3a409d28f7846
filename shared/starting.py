"""What makes the first call of an instance quicker."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

_frozen = False


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Import and build without looking for garbage, once: what comes of it stays for as long as the
    process does. Looking through it again and again is a twentieth of a cold start, and would go on
    at every later collection."""
    global _frozen
    if _frozen or not gc.isenabled():
        yield
        return
    _frozen = True
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
