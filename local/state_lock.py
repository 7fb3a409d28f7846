"""A lock that allows one running stack for each state directory: a second one would overwrite the
files of the first."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from local.stack_errors import StackError

NAME = "stack.lock"


class StateLock:
    """Held from `take()` to `release()`, or to the end of the process."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / NAME
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        return self._descriptor is not None

    def take(self) -> None:
        """Raises StackError if another process has it."""
        if self.is_held:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise StackError(
                f"a stack is running in {self._path.parent} already (process {holder}); stop it, or "
                "give this one a folder and ports of its own: make run "
                "POSTROOM_STATE_DIR=/tmp/second PORT=7081 SIMULATOR_PORT=7082"
            ) from error
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Release the lock. The file stays: a lock on a deleted file would not exclude other
        processes."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
