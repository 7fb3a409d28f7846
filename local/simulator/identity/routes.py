"""Paths of the managed-identity endpoint."""

from __future__ import annotations

from functools import partial

from local.simulator.identity import handlers
from local.simulator.state import Hooks, SimulatorState
from local.simulator.wire import Route


def routes(state: SimulatorState) -> list[Route]:
    """One path, which App Service puts into IDENTITY_ENDPOINT."""
    state.hooks["identity"] = Hooks(error=handlers.fault)
    token = partial(handlers.token, state.identity)
    return [Route("identity.token", "GET", "/identity/token", token)]
