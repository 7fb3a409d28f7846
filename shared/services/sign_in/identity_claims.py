"""The checks of a sign-in's answer that MSAL does not make.

MSAL compares `state` and the nonce. It accepts an answer without id token, and does not check
`aud`, `iss` and `exp` any more. The token's signature needs no check: the token comes from the
token endpoint over TLS (OpenID Connect Core 1.0, section 3.1.3.7, point 6).
https://github.com/AzureAD/microsoft-authentication-library-for-python/pull/943
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

import msgspec

from shared.mail.account import PERSONAL_TENANT, Account
from shared.mail.guid import GUID
from shared.mail.known_errors import SignInRejected

CLOCK_SKEW_SECONDS = 300


class Expected(Protocol):
    """The values that the claims must have."""

    @property
    def client_id(self) -> str: ...
    @property
    def authority_host(self) -> str: ...


class Person(msgspec.Struct, frozen=True):
    """Who signed in. Tenant and object id never change; the label is for people only."""

    tenant_id: str
    object_id: str
    label: str | None

    def owns(self, account: Account) -> bool:
        """Whether an account is this person's mailbox."""
        return (self.tenant_id, self.object_id) == (
            account.tenant_id.lower(),
            account.object_id.lower(),
        )


def check_client_info(value: str | None) -> None:
    """Reject a malformed `client_info`. MSAL reads it before it checks `state`, and fails there."""
    if value is None:
        return
    try:
        padded = value + "=" * (-len(value) % 4)
        parsed = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, RecursionError) as error:
        raise _unreadable() from error
    if not isinstance(parsed, dict) or not all(
        isinstance(parsed.get(key), str) for key in ("uid", "utid")
    ):
        raise _unreadable()


def read_person(
    claims: Mapping[str, object] | None, authority: str, expected: Expected, now: datetime
) -> Person:
    """The person in the id token, after the checks that the token is for this app, from the right
    issuer, and valid now."""
    if claims is None:
        raise _doubtful("Microsoft's answer does not say who signed in.")
    label = claims.get("preferred_username")
    tenant, subject = str(claims.get("tid", "")).lower(), str(claims.get("oid", "")).lower()
    if not GUID.fullmatch(tenant) or not GUID.fullmatch(subject):
        raise _doubtful("Microsoft's answer does not name the account.")
    if claims.get("aud") != expected.client_id:
        raise _doubtful("The sign-in was meant for another application.")
    if claims.get("iss") != f"{expected.authority_host}/{tenant}/v2.0":
        raise _doubtful("The sign-in was confirmed by somebody else than was asked.")
    if not _in_time(claims, now):
        raise _doubtful("The sign-in's confirmation has expired, or a clock is wrong.")
    _check_tenant(authority.lower(), tenant)
    return Person(tenant, subject, label if isinstance(label, str) else None)


def _in_time(claims: Mapping[str, object], now: datetime) -> bool:
    ends, begins = claims.get("exp"), claims.get("nbf", 0)
    if not isinstance(ends, int | float) or not isinstance(begins, int | float):
        return False
    moment = now.timestamp()
    return begins - CLOCK_SKEW_SECONDS <= moment < ends + CLOCK_SKEW_SECONDS


def _check_tenant(authority: str, tenant: str) -> None:
    """Reject an answer from another directory than the one that was asked. If a domain was asked,
    its id is not known here."""
    personal = tenant == PERSONAL_TENANT
    wrong = (
        (bool(GUID.fullmatch(authority)) and tenant != authority)
        or (authority == "consumers" and not personal)
        or (authority == "organizations" and personal)
    )
    if wrong:
        raise SignInRejected(
            "The account belongs to another directory than the one Postroom is set up for.",
            "Choose an account of the right kind, or have whoever runs Postroom set "
            "POSTROOM_TENANT to admit it.",
        )


def _unreadable() -> SignInRejected:
    return SignInRejected(
        "Microsoft's answer cannot be read: part of it is malformed.",
        "Open /accounts and start the sign-in again.",
    )


def _doubtful(detail: str) -> SignInRejected:
    return SignInRejected(
        detail,
        "Open /accounts and start the sign-in again. If it happens again, check the server's "
        "clock, POSTROOM_CLIENT_ID and POSTROOM_TENANT.",
    )
