"""What each process of the stack spends, from /proc (Linux; elsewhere nothing is known)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from local.stack import Stack


def spent(stack: Stack) -> dict[str, float]:
    """Processor seconds so far of Azurite, the simulator and all instances (host and worker) together."""
    azurite = stack.info["pids"].get("azurite")
    found = {
        "Azurite": [azurite],
        "simulator": [stack.info["pids"].get("simulator")],
        "workers": [pid for each in stack.instances() for pid in (each.host, each.worker)],
    }
    return {
        name: sum(_seconds(pid) for pid in pids if pid is not None) for name, pids in found.items()
    }


def difference(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What was spent between."""
    return {name: after[name] - before[name] for name in after}


def _seconds(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return 0.0
    # The name, in brackets, may hold blanks: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    user, system = text.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
