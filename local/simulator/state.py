"""The state of the whole simulator, and the hooks by which a service joins it.

Each service is a package with `routes.py` (`routes(state) -> list[Route]`), `handlers.py` (reads
requests and writes answers), `state.py` (the rules) and `errors.py` (its errors).
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local.simulator.clock import Clock
from local.simulator.directory import Directory
from local.simulator.entra.flows import Flows
from local.simulator.entra.state import EntraState
from local.simulator.entra.tokens import AccessTokens
from local.simulator.faults import Fault, Faults
from local.simulator.graph.state import GraphState
from local.simulator.identity.state import IdentityState
from local.simulator.key_vault.state import VaultState
from local.simulator.organisations import Organisations
from local.simulator.urls import Urls
from local.simulator.wire import Request, Response

REQUESTS_KEPT = 500


def _no_mailbox(_: Request) -> str | None:
    return None


@dataclass(frozen=True)
class Hooks:
    """What a service provides to the fault machinery and to the request log."""

    error: Callable[[Fault, Request], Response]
    """The service's own error document for a fault."""
    mailbox_of: Callable[[Request], str | None] = _no_mailbox
    """The address that a request is about, if it can be read cheaply."""


class RequestLog:
    """Counts the requests of each operation, and keeps the last requests without their content."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._answers: Counter[tuple[str, int | None]] = Counter()
        self._last: deque[dict[str, Any]] = deque(maxlen=REQUESTS_KEPT)

    def clear(self) -> None:
        """Start counting again."""
        with self._lock:
            self._counts.clear()
            self._answers.clear()
            self._last.clear()

    def count(self, operation: str) -> None:
        """Count a request. This happens before it is answered."""
        with self._lock:
            self._counts[operation] += 1

    def add(self, entry: dict[str, Any]) -> None:
        """Add an answered request."""
        with self._lock:
            self._last.append(entry)
            self._answers[entry["operation"], entry["status"]] += 1

    def counts(self) -> dict[str, int]:
        """Requests per operation."""
        with self._lock:
            return dict(self._counts)

    def answers(self) -> dict[str, dict[str, int]]:
        """Answers by operation and status; `none` if the connection broke instead."""
        found: dict[str, dict[str, int]] = {}
        with self._lock:
            for (operation, status), count in self._answers.items():
                found.setdefault(operation, {})[str(status or "none")] = count
        return found

    def last(self) -> list[dict[str, Any]]:
        """The last requests, oldest first."""
        with self._lock:
            return list(self._last)


class SimulatorState:
    """One simulated Microsoft: shared parts, one state for each service, and the hooks."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.urls = Urls()
        self.directory = Directory()
        self.organisations = Organisations()
        self.tokens = AccessTokens(self.clock)
        self.faults = Faults()
        self.log = RequestLog()
        self.hooks: dict[str, Hooks] = {}
        self.operations: frozenset[str] = frozenset()
        """The operations that can have faults; known once the routes are."""
        self.entra = EntraState(self.clock, self.directory, self.organisations, self.tokens)
        self.flows = Flows(self.entra)
        self.identity = IdentityState(self.tokens)
        self.vault = VaultState(self.clock, self.tokens)
        self.graph = GraphState(self.clock, self.directory, self.organisations, self.tokens)

    @property
    def services(self) -> dict[str, Any]:
        """The services' states by the first part of their operations' names."""
        return {
            "entra": self.entra,
            "identity": self.identity,
            "key_vault": self.vault,
            "graph": self.graph,
        }

    def set_urls(self, urls: Urls) -> None:
        """Called once, when the ports are bound."""
        self.urls = urls
        self.entra.urls = urls

    def reset(self) -> None:
        """Return to the seed; URLs, signing keys and certificates stay."""
        self.clock.reset()
        self.directory.reset()
        self.organisations.reset()
        self.tokens.reset()
        self.faults.clear()
        self.log.clear()
        self.flows.reset()
        for service in self.services.values():
            service.reset()
