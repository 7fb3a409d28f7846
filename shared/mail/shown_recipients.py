"""Recipients as a row of the ledger keeps them for people to see. No address is left out."""

from __future__ import annotations

from collections.abc import Sequence

WITH_NAMES = 16_000
"""Characters of recipients with their names. Of more the addresses alone are kept."""
MOST_FORMER = 140_000
"""Characters of former recipients: 500 of the longest addresses have fewer."""


def shown(recipients: Sequence[str], *, mask: bool) -> tuple[str, ...]:
    """All of them: with their names if these are short enough; masked (`a***@contoso.com`) if `mask`
    is set."""
    return _kept([_masked(address) for address in recipients] if mask else recipients)


def former(recipients: Sequence[str]) -> tuple[str, ...]:
    """The latest of all recipients that a mail had before it was retried to others."""
    kept = _kept(recipients)
    left = MOST_FORMER
    for index, address in enumerate(kept):
        left -= len(address) + 4
        if left < 0:
            return kept[:index]
    return kept


def _kept(recipients: Sequence[str]) -> tuple[str, ...]:
    if sum(len(address) + 4 for address in recipients) <= WITH_NAMES:
        return tuple(recipients)
    return tuple(map(_address_of, recipients))


def _address_of(recipient: str) -> str:
    return recipient.rpartition("<")[2].removesuffix(">")


def _masked(address: str) -> str:
    local, _, domain = _address_of(address).rpartition("@")
    return f"{local[:1]}***@{domain}"
