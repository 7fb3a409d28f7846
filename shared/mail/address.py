"""E-mail addresses as callers write them: `a@b`, `Name <a@b>`, or two fields."""

from __future__ import annotations

import re

import msgspec

MAX_ADDRESS = 254
"""Characters of an address that fits an SMTP path (RFC 5321, 4.5.3.1.3, without the brackets)."""
MAX_NAME = 256

MAX_WRITTEN = 2 * MAX_NAME + MAX_ADDRESS + 100
"""Characters of name and address in one text, every one of the name escaped."""

# Half a surrogate pair is no character at all, and cannot be written as UTF-8.
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029\ud800-\udfff]")
# RFC 5322 dot-atom. Quoted local parts and address literals are legal there, refused by Exchange.
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
# Letters that the older IDNA standard, which Python has, turns into others: `straße.de` would
# become `strasse.de`, somebody else's domain. https://www.unicode.org/reports/tr46/#Deviations
_TWO_READINGS = re.compile(r"[\u00df\u1e9e\u03c2\u200c\u200d]")
_WITH_NAME = re.compile(r"(?P<name>.*?)<(?P<email>[^<>]*)>", re.DOTALL)


class BadAddress(ValueError):
    """Not an address. The message says what is wrong and how it should look; it quotes nothing."""


class Address(msgspec.Struct, frozen=True):
    """A mailbox address (addr-spec) with an optional display name."""

    email: str
    name: str = ""

    def __str__(self) -> str:
        if not self.name:
            return self.email
        if re.fullmatch(r"[\w !#$%&'*+/=?^`{|}~-]+", self.name):
            return f"{self.name} <{self.email}>"
        escaped = self.name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}" <{self.email}>'


def parse(text: str) -> Address:
    """Read `a@b` or `Name <a@b>`. Raises BadAddress."""
    if has_control_characters(text):
        raise BadAddress("must not hold line breaks or control characters")
    stripped = text.strip()
    if len(stripped) > MAX_WRITTEN:
        raise BadAddress(f"is longer than a name of {MAX_NAME} characters and an address can be")
    found = _WITH_NAME.fullmatch(stripped)
    if found is None:
        return make(stripped)
    return make(found["email"].strip(), _unquoted(found["name"].strip()))


def make(email: str, name: str = "") -> Address:
    """An address from its two parts. Raises BadAddress."""
    if has_control_characters(email) or has_control_characters(name):
        raise BadAddress("must not hold line breaks or control characters")
    if len(name) > MAX_NAME:
        raise BadAddress(f"has a display name of more than {MAX_NAME} characters")
    local, at, domain = email.rpartition("@")
    if not at:
        raise BadAddress(
            "has no '@': write it as name@example.com, alone or in angle brackets after a name"
        )
    if len(email) > MAX_ADDRESS:
        # Before anything else: the IDNA codec takes a time that grows with the square of the length.
        raise BadAddress(f"is longer than {MAX_ADDRESS} characters")
    if not local.isascii():
        raise BadAddress("has letters before the '@' that Exchange does not deliver to: use ASCII")
    if not _LOCAL.fullmatch(local) or len(local) > 64:
        raise BadAddress("has a part before the '@' that is not valid")
    ascii_domain = _ascii(domain)
    labels = ascii_domain.split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadAddress("has a domain that is not valid: write it as name@example.com")
    if len(local) + 1 + len(ascii_domain) > MAX_ADDRESS:
        raise BadAddress(f"is longer than {MAX_ADDRESS} characters")
    return Address(f"{local}@{ascii_domain}", name)


def has_control_characters(text: str) -> bool:
    """Whether a text holds anything that could end a header line."""
    return _CONTROL.search(text) is not None


def _unquoted(name: str) -> str:
    if len(name) >= 2 and name[0] == name[-1] == '"':
        return re.sub(r"\\(.)", r"\1", name[1:-1])
    return name


def _ascii(domain: str) -> str:
    if domain.isascii():
        return domain
    if _TWO_READINGS.search(domain):
        raise BadAddress("has a domain with letters of two readings: write its xn-- form")
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise BadAddress("has a domain that is not valid: write it as name@example.com") from error
