"""Counts the storage operations of the hosts, and the messages that each of them holds now.

Each instance writes its own row of a small shared file and reads all rows.
"""

from __future__ import annotations

import mmap
import struct
import threading
from pathlib import Path

OPERATIONS = ("receive", "delete", "update", "put-poison", "exists", "put-output")
# The operations, then the messages under way.
_ROW = struct.Struct(f"{len(OPERATIONS)}Qq")


def create(path: Path, instances: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(_ROW.size * instances))


def held(path: Path) -> list[int]:
    """How many queue messages each instance holds now."""
    return [int(row[-1]) for row in _ROW.iter_unpack(path.read_bytes())]


class Counts:
    def __init__(self, path: Path, instance: int) -> None:
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)
        self._offset = instance * _ROW.size
        self._own = list(_ROW.unpack_from(self._memory, self._offset))
        # What an earlier process of this instance held is not held any more.
        self._own[-1] = 0
        self._lock = threading.Lock()

    def add(self, operation: str) -> None:
        with self._lock:
            self._own[OPERATIONS.index(operation)] += 1
            _ROW.pack_into(self._memory, self._offset, *self._own)

    def hold(self, more: int) -> None:
        """So many messages more (or less, if negative) are under way."""
        with self._lock:
            self._own[-1] += more
            _ROW.pack_into(self._memory, self._offset, *self._own)

    @property
    def held(self) -> int:
        """Messages under way in this instance."""
        return int(self._own[-1])

    def totals(self) -> dict[str, int]:
        rows = [
            _ROW.unpack_from(self._memory, offset)
            for offset in range(0, len(self._memory), _ROW.size)
        ]
        return {name: sum(row[i] for row in rows) for i, name in enumerate(OPERATIONS)}

    def close(self) -> None:
        self._memory.close()
