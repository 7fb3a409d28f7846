"""The fields of the sign-in form, in and out."""

from __future__ import annotations

from collections.abc import Mapping

from shared.mail.account import AccountKind
from shared.services.sign_in.ports import Wish
from shared.services.sign_in.sign_in_request import read_wish

_KINDS = {"organizations": AccountKind.WORK, "consumers": AccountKind.PERSONAL}


def wish_of(form: Mapping[str, str], tenant: str) -> Wish:
    """The wish that a form holds. Raises Refused."""
    return read_wish(
        tenant,
        form.get("alias", ""),
        expected_address=form.get("expected_address", ""),
        expected_object_id=form.get("expected_object_id", ""),
        kind=form.get("kind", ""),
        replace=form.get("replace") == "yes",
        verified=form.get("verified") == "yes",
        shared=form.get("shared") == "yes",
    )


def fields_of(wish: Wish) -> tuple[tuple[str, str], ...]:
    """The fields that make the same wish again."""
    ticked = (("replace", wish.replace), ("verified", wish.verified), ("shared", wish.shared))
    fields = (
        ("alias", wish.alias),
        ("expected_address", wish.expected_address),
        ("expected_object_id", wish.expected_object_id),
        ("kind", _KINDS.get(wish.authority)),
        *((name, "yes" if wanted else None) for name, wanted in ticked),
    )
    return tuple((name, str(value)) for name, value in fields if value)
