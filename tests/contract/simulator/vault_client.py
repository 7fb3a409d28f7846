"""Key Vault by the SDK and by hand."""

from __future__ import annotations

from typing import Any

from azure.core.exceptions import HttpResponseError

from local.simulator.entra.tokens import VAULT_AUDIENCE, Claims
from local.simulator.state import SimulatorState


def set_options(state: SimulatorState, **changes: Any) -> None:
    state.vault.options = state.vault.options.changed(changes)


def inner_code(error: HttpResponseError) -> str:
    """`innererror.code`, which tells one 403 or 409 from another."""
    response: Any = error.response
    return str(response.json()["error"]["innererror"]["code"])


def vault_token(state: SimulatorState, audience: str = VAULT_AUDIENCE) -> dict[str, str]:
    claims = Claims(audience, "tenant", "object", "client", state.clock.time() + 60)
    return {"Authorization": f"Bearer {state.tokens.issue(claims)}"}
