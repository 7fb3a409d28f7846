"""Child processes that never outlive the process that started them.

Linux can send a signal to a child when its parent dies, even by SIGKILL (prctl(2),
PR_SET_PDEATHSIG). "Parent" means the *thread* that forked: start children from a thread that lives
as long as they should. On other systems, children end only if the parent stops them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
# Loaded before any fork: loading a library between fork and exec can deadlock.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(signal_number: int = signal.SIGTERM, parent: int | None = None) -> None:
    """Let the kernel signal this process when its parent dies; exit if the parent is already
    gone."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        os._exit(0)


def _in_child(death_signal: int, parent: int) -> Callable[[], None]:
    return lambda: die_with_parent(death_signal, parent)


def spawn(
    command: Sequence[str],
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    death_signal: int = signal.SIGTERM,
    stdin: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start `command` in a process group of its own, with its output appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - the commands are this project's own
            list(command),
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if environment is None else dict(environment),
            cwd=directory,
            start_new_session=True,
            preexec_fn=_in_child(death_signal, os.getpid()),
        )


def stop(child: subprocess.Popen[bytes], grace: float = 10.0) -> None:
    """Send SIGTERM, wait, then kill the whole group: no process of it is left when this returns."""
    if child.poll() is None:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(grace)
    # Also if the leader has ended by itself: its children may still run.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    if child.stdin is not None:
        child.stdin.close()


def last_lines(log: Path, count: int = 5) -> str:
    """The last lines of a child's log, to be shown if the child has died."""
    if not log.exists():
        return ""
    text = log.read_bytes()[-8192:].decode(errors="replace")
    return "\n".join([line for line in text.splitlines() if line.strip()][-count:])
