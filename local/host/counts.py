"""Counts the storage operations of the host itself, summed over all workers.

Each worker writes its own row of a small shared file and reads all rows.
"""

from __future__ import annotations

import mmap
import struct
import threading
from pathlib import Path

OPERATIONS = ("receive", "delete", "update", "put-poison", "exists", "put-output")
_ROW = struct.Struct(f"{len(OPERATIONS)}Q")


def create(path: Path, workers: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(_ROW.size * workers))


class Counts:
    def __init__(self, path: Path, worker: int) -> None:
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)
        self._offset = worker * _ROW.size
        self._own = list(_ROW.unpack_from(self._memory, self._offset))
        self._lock = threading.Lock()

    def add(self, operation: str) -> None:
        with self._lock:
            self._own[OPERATIONS.index(operation)] += 1
            _ROW.pack_into(self._memory, self._offset, *self._own)

    def totals(self) -> dict[str, int]:
        rows = [
            _ROW.unpack_from(self._memory, offset)
            for offset in range(0, len(self._memory), _ROW.size)
        ]
        return {name: sum(row[i] for row in rows) for i, name in enumerate(OPERATIONS)}

    def close(self) -> None:
        self._memory.close()
