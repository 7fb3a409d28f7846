"""What must never be in a log line: the simulator's secrets are recognisable, and so are addresses.

`tests/conftest.py` watches the log records of every test; the end-to-end tests look through the
logs of the processes they started.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from pathlib import Path

# Access and refresh tokens, codes, client secrets, the identity endpoint's header, and the texts
# that tests put into bodies, subjects and filenames on purpose.
SECRET = re.compile(
    r"SIM(?:AT|RT|CODE|DC|CTX)\.[\w-]{4}|SIMSECRET~|SIMIDENTITY-|CANARY|eyJ[\w-]{10,}\.eyJ"
)
ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")


class Canary(logging.Handler):
    """Keeps the log records that hold something secret; whole, so that the leak can be found."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Look at one record, its traceback's text included."""
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f" {record.exc_info[1]}"
        if SECRET.search(text) or (record.name == "postroom" and ADDRESS.search(text)):
            self.found.append(f"{record.name}: {text}")


def leaks_in(path: Path, others: Iterable[str] = ()) -> list[str]:
    """Lines of a log file that hold a secret, an address, or one of `others`."""
    also = [text for text in others if text]
    return [
        line
        for line in path.read_text(errors="replace").splitlines()
        if SECRET.search(line) or ADDRESS.search(line) or any(text in line for text in also)
    ]
