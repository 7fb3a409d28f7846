"""Recipients as a row of the ledger keeps them for people to see."""

from __future__ import annotations

from collections.abc import Sequence

ROW_CHARACTERS = 16_000
"""Characters of recipients that a row keeps."""


def shown(recipients: Sequence[str], *, mask: bool) -> tuple[str, ...]:
    """As many of them as a row holds; masked (`a***@contoso.com`) if `mask` is set."""
    return as_many_as_fit([_masked(address) for address in recipients] if mask else recipients)


def as_many_as_fit(recipients: Sequence[str]) -> tuple[str, ...]:
    """The first of them, up to what a property of a row holds: 32,768 units of UTF-16."""
    fitting: list[str] = []
    room = ROW_CHARACTERS
    for address in recipients:
        room -= len(address) + 4
        if room < 0:
            break
        fitting.append(address)
    return tuple(fitting)


def _masked(address: str) -> str:
    spec = address.rpartition("<")[2].rstrip(">")
    local, _, domain = spec.rpartition("@")
    return f"{local[:1]}***@{domain}"
