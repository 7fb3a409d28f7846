"""Reads and writes the fields of the sign-in form."""

from __future__ import annotations

from collections.abc import Mapping

from shared.mail.account import AccountKind
from shared.services.sign_in.ports import SignInRequest
from shared.services.sign_in.sign_in_request import read_request

_KINDS = {"organizations": AccountKind.WORK, "consumers": AccountKind.PERSONAL}


def request_of(form: Mapping[str, str], tenant: str) -> SignInRequest:
    """The request that a form holds. Raises RequestRejected."""
    return read_request(
        tenant,
        form.get("alias", ""),
        expected_address=form.get("expected_address", ""),
        expected_object_id=form.get("expected_object_id", ""),
        kind=form.get("kind", ""),
        replace=form.get("replace") == "yes",
        verified=form.get("verified") == "yes",
        shared=form.get("shared") == "yes",
    )


def fields_of(sign_in_request: SignInRequest) -> tuple[tuple[str, str], ...]:
    """The fields that repeat the same request."""
    ticked = (
        ("replace", sign_in_request.replace),
        ("verified", sign_in_request.verified),
        ("shared", sign_in_request.shared),
    )
    fields = (
        ("alias", sign_in_request.alias),
        ("expected_address", sign_in_request.expected_address),
        ("expected_object_id", sign_in_request.expected_object_id),
        ("kind", _KINDS.get(sign_in_request.authority)),
        *((name, "yes" if wanted else None) for name, wanted in ticked),
    )
    return tuple((name, str(value)) for name, value in fields if value)
