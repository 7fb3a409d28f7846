"""A simulator that is called by Microsoft's names, and the resolver that leads to it."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

import pytest

from local.simulator.server import Simulator

SIGN_IN = "login.microsoftonline.com"
GRAPH = "graph.microsoft.com"
VAULT = "contoso.vault.azure.net"
NAMES = (SIGN_IN, GRAPH, VAULT)


def resolve_here(monkeypatch: pytest.MonkeyPatch, names: Sequence[str] = NAMES) -> None:
    """Let this process find these names on this computer, as a line in the hosts file does."""
    resolve = socket.getaddrinfo

    def here(host: Any, *more: Any, **named: Any) -> Any:
        return resolve("127.0.0.1" if host in names else host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", here)


def address(simulator: Simulator, name: str) -> str:
    """The simulator under a name, on its https port."""
    return f"https://{name}:{simulator.urls.https.rpartition(':')[2]}"
