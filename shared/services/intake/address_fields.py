"""The fields of documents and forms that hold addresses: one address, several in one text, or a
list."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from shared.errors import FieldProblem
from shared.mail.address import TOO_MANY_IDN_FAULTS, Address, BadAddress, IdnDomains, make
from shared.mail.address_list import MAX_ADDRESSES, SeveralAddresses, read_list, read_one

MAX_TEXT = 512 * 1024
"""The most characters of all addresses in one field. 500 addresses with the longest names have
fewer."""


class AddressObject(msgspec.Struct, forbid_unknown_fields=True):
    """An address and its name, in fields of their own."""

    email: str
    name: str | None = None


AddressField = str | AddressObject
AddressesField = str | AddressObject | list[str | AddressObject | None]
"""A text, or a text in a list, may hold several addresses with commas or semicolons between them.
Null in a list counts as left out: PowerShell's `@($null)` writes it."""


def entries_of(value: AddressesField | None) -> Sequence[AddressField | None]:
    """The value of a field as a list."""
    if value is None:
        return ()
    return value if isinstance(value, list) else (value,)


def crowded(name: str, entries: Sequence[AddressField | None], most: int) -> list[FieldProblem]:
    """The problem of a field that holds too much to be read."""
    if len(entries) > most:
        return [FieldProblem(name, f"has {len(entries)} entries: at most {most} addresses")]
    if sum(map(_length, entries)) > MAX_TEXT:
        return [FieldProblem(name, f"has more than {MAX_TEXT} characters of addresses: send fewer")]
    return []


def read_addresses(
    name: str,
    value: AddressesField | None,
    found: list[FieldProblem],
    most: int = MAX_ADDRESSES,
    domains: IdnDomains | None = None,
) -> tuple[Address, ...]:
    """The addresses of a field, at most `most`. The problems of its entries are added to
    `found`. `domains` counts those of all fields of a document."""
    entries = entries_of(value)
    problems = crowded(name, entries, most)
    if problems:
        found.extend(problems)
        return ()
    read: list[Address] = []
    domains = domains or IdnDomains()
    for index, entry in enumerate(entries):
        if domains.has_too_many_faults:
            found.append(FieldProblem(name, TOO_MANY_IDN_FAULTS))
            break
        try:
            some = _read(entry)
            domains.add(*some)
            read.extend(some)
        except BadAddress as error:
            at = f"{name}[{index}]" if isinstance(value, list) else name
            found.append(FieldProblem(at, str(error)))
            domains.count_fault(_text_of(entry))
    if len(read) > most:
        found.append(FieldProblem(name, f"has {len(read)} addresses: at most {most}"))
        return ()
    return tuple(read)


def read_address(
    name: str, value: AddressField | None, takes_several: str, found: list[FieldProblem]
) -> Address | None:
    """The address of a field that holds one. `takes_several` names the field that may hold more."""
    if value is None:
        return None
    try:
        return read_one(value) if isinstance(value, str) else _made(value)
    except SeveralAddresses as error:
        found.append(FieldProblem(name, f"{error}; {takes_several}"))
    except BadAddress as error:
        found.append(FieldProblem(name, str(error)))
    return None


def _read(entry: AddressField | None) -> Sequence[Address]:
    if entry is None:
        return ()
    if not isinstance(entry, str):
        return (_made(entry),)
    return read_list(entry) if entry.strip() else ()


def _made(entry: AddressObject) -> Address:
    email = entry.email.strip()
    try:
        return make(email, (entry.name or "").strip())
    except BadAddress:
        if holds_several(email):
            raise BadAddress(
                "has several addresses in 'email': give an object for each, or one text"
            ) from None
        raise


def holds_several(text: str) -> bool:
    """Whether a text looks like a list of addresses. This only chooses the words of a rejection."""
    return text.count("@") > 1 and ("," in text or ";" in text)


def _length(entry: AddressField | None) -> int:
    return len(_text_of(entry))


def _text_of(entry: AddressField | None) -> str:
    """All addresses that the entry holds."""
    if entry is None:
        return ""
    return entry if isinstance(entry, str) else f"{entry.email}{entry.name or ''}"
