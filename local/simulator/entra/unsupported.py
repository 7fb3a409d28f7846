"""Endpoints of Entra that the simulator does not have. Each is refused as Entra refuses a request
that it cannot serve, and the request log says what was asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from local.simulator.entra.errors import EntraError
from local.simulator.entra.handlers import refusal
from local.simulator.entra.state import EntraState
from local.simulator.wire import Request, Response, Route

ENDPOINTS: tuple[tuple[str, str, int | None], ...] = (
    ("/{tenant}/saml2", "SAML 2.0", 75005),
    ("/{tenant}/wsfed", "WS-Federation", 90082),
    ("/{tenant}/kerberos", "Kerberos", None),
    ("/{tenant}/winauth/trust/{rest:path}", "WS-Trust", None),
    ("/{tenant}/oauth2/checksession", "the session frame", None),
    ("/{tenant}/federationmetadata/2007-06/federationmetadata.xml", "federation metadata", None),
    ("/{tenant}/getcredentialtype", "the sign-in page's own requests", None),
    ("/getuserrealm.srf", "the sign-in page's own requests", None),
)
"""Path, what it is, and the AADSTS number that answers; None is 404 without a body."""


def routes(entra: EntraState) -> Iterator[Route]:
    """Any method."""
    for template, what, number in ENDPOINTS:
        handler = partial(_refuse, entra, what, number)
        yield Route("entra.unsupported", "*", template, handler)


def _refuse(entra: EntraState, what: str, number: int | None, request: Request) -> Response:
    if number is None:
        return Response(404, unsupported=what)
    return refusal(entra, request, EntraError(number, unsupported=what))
