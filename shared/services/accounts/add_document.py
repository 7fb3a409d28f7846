"""The JSON document that adds a mailbox that nobody signs in.

The type in this module validates the request, and `GET /api/openapi.json` is made from it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from shared.mail.account import AccountKind
from shared.services.accounts.adding_rules import Request
from shared.services.mails.change_document import decoded


class AddAccountDocument(msgspec.Struct, forbid_unknown_fields=True):
    """A shared mailbox with the account through which it is reached, or a mailbox in the app's own
    name."""

    alias: str
    kind: Literal["shared", "app"]
    mailbox: str
    """Its address."""
    through: str | None = None
    """Of a shared mailbox: the alias of a signed-in account that has rights there."""
    tenant: str | None = None
    """Of an app-only mailbox: the directory (tenant) id or a domain; needed if POSTROOM_TENANT
    names no directory."""
    verified: bool | None = False
    """Whether to try if drafts can be made, which verified sending and large mail need."""


def read_add(raw: bytes) -> Request:
    """The request. Raises RequestRejected."""
    document = decoded(raw, AddAccountDocument)
    return Request(
        alias=document.alias,
        kind=AccountKind(document.kind),
        mailbox=document.mailbox,
        through=document.through,
        tenant=document.tenant,
        verified=document.verified is True,
    )
