"""Handles App Service's token request (entra-oauth.md 1.3)."""

from __future__ import annotations

from local.simulator.faults import Fault
from local.simulator.identity.errors import IdentityError, error_document, to_response
from local.simulator.identity.state import IdentityState
from local.simulator.wire import Request, Response


def token(state: IdentityState, request: Request) -> Response:
    """`GET /identity/token?api-version=…&resource=…`"""
    try:
        state.check(request.headers.get("x-identity-header"), request.query.get("api-version"))
        value, claims = state.token_for(request.query)
    except IdentityError as error:
        return to_response(error)
    document = {
        "access_token": value,
        "client_id": state.client_id,
        # A string of epoch seconds, as the real endpoint sends it.
        "expires_on": str(int(claims.expires_at)),
        "not_before": str(int(claims.expires_at - state.options.identity_token_seconds)),
        "resource": request.query["resource"],
        "token_type": "Bearer",
    }
    return Response.of_json(200, document)


def fault(fault: Fault, _: Request) -> Response:
    """A simulated failure in the form of this endpoint."""
    return error_document(fault.status, fault.message or "Simulated fault.")
