"""The JSON documents that change an account: merge patches (RFC 7396), read strictly.

The types in this module validate requests, and `GET /api/openapi.json` is made from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from shared.errors import FieldProblem, RequestRejected
from shared.mail import problems
from shared.mail.defaults import (
    MAX_ALLOWED_FROM,
    MAX_REPLY_TO,
    NO_DEFAULTS,
    Overridable,
    clean,
)
from shared.services.accounts.changes import AccountChange
from shared.services.intake.address_fields import AddressesField, read_addresses
from shared.services.mails.change_document import decoded

MAX_BYTES = 256 * 1024
"""The most bytes: two signatures of 8 KB with every character escaped."""

OverridableName = Literal["display_name", "reply_to", "signature", "save_to_sent_items"]


class DefaultsDocument(msgspec.Struct, forbid_unknown_fields=True):
    """An account's defaults. A field that is left out stays; null removes it."""

    display_name: str | UnsetType | None = UNSET
    reply_to: AddressesField | UnsetType | None = UNSET
    signature_text: str | UnsetType | None = UNSET
    signature_html: str | UnsetType | None = UNSET
    save_to_sent_items: bool | UnsetType | None = UNSET
    daily_cap: int | UnsetType | None = UNSET
    overridable: list[OverridableName] | OverridableName | UnsetType | None = UNSET


class AccountDocument(msgspec.Struct, forbid_unknown_fields=True):
    """The changeable fields of an account. A field that is left out stays; null removes it."""

    defaults: DefaultsDocument | UnsetType | None = UNSET
    allowed_from: list[str] | str | UnsetType | None = UNSET
    default: bool | UnsetType = UNSET
    """True makes it the default account; the account that was the default is not any more."""


def read_change(raw: bytes) -> AccountChange:
    """The change in a request. Raises RequestRejected, which names every wrong field."""
    document = decoded(raw, AccountDocument)
    found: list[FieldProblem] = []
    allowed = document.allowed_from
    if document.default is False:
        found.append(FieldProblem("default", "can only be true: make another account the default"))
    change = AccountChange(
        defaults=_values(document.defaults, found) if document.defaults else {},
        forgets_defaults=document.defaults is None,
        allowed_from=None if allowed is UNSET else read_allowed_from(allowed, found),
        becomes_default=document.default is True,
    )
    if found:
        raise RequestRejected(
            problems.INVALID_REQUEST, "The account cannot be changed like this.", found
        )
    return change


def read_allowed_from(
    value: Sequence[str] | str | None, found: list[FieldProblem]
) -> tuple[str, ...]:
    """From addresses in the form in which they are compared. Problems are added to `found`. Names
    are not kept: an address is allowed under any name."""
    given: AddressesField | None = value if value is None or isinstance(value, str) else list(value)
    read = read_addresses("allowed_from", given, found, MAX_ALLOWED_FROM)
    return tuple(dict.fromkeys(address.email.lower() for address in read))


def _values(document: DefaultsDocument, found: list[FieldProblem]) -> dict[str, Any]:
    """The new values by their names in `Defaults`; null becomes the value of an account without
    defaults."""
    values: dict[str, Any] = {}
    for name in document.__struct_fields__:
        given = getattr(document, name)
        if given is UNSET:
            continue
        values[name] = getattr(NO_DEFAULTS, name) if given is None else given
    if isinstance(document.display_name, str):
        values["display_name"] = document.display_name.strip()
    for name in ("signature_text", "signature_html"):
        if isinstance(getattr(document, name), str):
            values[name] = clean(getattr(document, name))
    if not isinstance(document.reply_to, UnsetType | None):
        values["reply_to"] = read_reply_to(document.reply_to, found)
    if not isinstance(document.overridable, UnsetType | None):
        names = document.overridable
        values["overridable"] = frozenset(
            map(Overridable, [names] if isinstance(names, str) else names)
        )
    return values


def read_reply_to(
    value: AddressesField, found: list[FieldProblem], field: str = "defaults.reply_to"
) -> tuple[Any, ...]:
    """Reply addresses. Problems are added to `found`."""
    return tuple(dict.fromkeys(read_addresses(field, value, found, MAX_REPLY_TO)))
