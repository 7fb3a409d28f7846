"""Shows progress: one line for each step, with its time; without control characters if it is not a
terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO


class Console:
    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream if stream is not None else sys.stdout
        self._quiet = quiet
        self._clock = clock

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Show `text` while the block runs, then how long it took, or that it failed."""
        terminal = self._stream.isatty()
        if terminal:
            self._write(f"… {text}")
        began = self._clock()
        try:
            yield
        except BaseException:
            self._finish("✗", text, began, terminal)
            raise
        self._finish("✓", text, began, terminal)

    def line(self, text: str = "") -> None:
        self._write(f"{text}\n")

    def _finish(self, mark: str, text: str, began: float, terminal: bool) -> None:
        seconds = self._clock() - began
        # \x1b[2K clears the line that said the step was under way.
        start = "\r\x1b[2K" if terminal else ""
        self._write(f"{start}{mark} {text} ({seconds:.1f} s)\n")

    def _write(self, text: str) -> None:
        if not self._quiet:
            self._stream.write(text)
            self._stream.flush()
