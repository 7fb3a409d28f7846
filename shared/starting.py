"""Makes the first call of an instance faster."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

_frozen = False


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Import and build without garbage collection, once: the objects stay as long as the process.
    The collector would take a twentieth of a cold start, and would visit these objects again at
    every later collection."""
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
