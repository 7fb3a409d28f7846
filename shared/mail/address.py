"""E-mail addresses as callers write them: `a@b`, `Name <a@b>`, or two fields."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import msgspec

MAX_ADDRESS = 254
"""Characters of an address that fits an SMTP path (RFC 5321, 4.5.3.1.3, without the brackets)."""
MAX_NAME = 256

MAX_IDN = 100
"""Characters of a domain beyond ASCII. To convert one takes ten times as long as the rest of the
reading: about 2 microseconds for each character."""
MAX_IDN_LABELS = 10
MAX_IDN_DOMAINS = 100
"""Different domains beyond ASCII in one mail, or in one list of addresses."""
MAX_IDN_FAULTS = 100
"""After so many texts beyond ASCII that are no addresses, the rest of a mail's addresses is not read."""
TOO_MANY_IDN_FAULTS = (
    f"has more than {MAX_IDN_FAULTS} addresses beyond ASCII with faults: correct these first"
)
MAX_WRITTEN = 2 * MAX_NAME + MAX_ADDRESS + 100
"""Characters of name and address in one text, if every character of the name is escaped."""

# Half a surrogate pair is not a character, and cannot be written as UTF-8.
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029\ud800-\udfff]")
# RFC 5322 dot-atom. RFC 5322 also allows quoted local parts and address literals, but Exchange
# refuses them.
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
# Letters that the older IDNA standard, which Python implements, maps to others: `straße.de` would
# become `strasse.de`, a domain of another owner. https://www.unicode.org/reports/tr46/#Deviations
_TWO_READINGS = re.compile(r"[\u00df\u1e9e\u03c2\u200c\u200d]")
# An address of another kind, encapsulated in an SMTP address: Exchange unpacks it and may deliver
# to the inner address. The hyphen may be escaped. (MS-OXCMAIL, "IMCEA Encapsulation",
# https://learn.microsoft.com/openspecs/exchange_server_protocols/ms-oxcmail)
# What the codec takes for a dot (RFC 3490, 3.1).
_DOTS = re.compile(r"[.\u3002\uff0e\uff61]")
_ENCAPSULATED = re.compile(r"IMCEA[A-Z0-9+_=/]*(-|(?<=\+2D))", re.IGNORECASE)


class BadAddress(ValueError):
    """The text is not an address. The message says what is wrong and how to write it; it does not
    quote the text."""


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


def make(email: str, name: str = "") -> Address:
    """An address from its two parts. Raises BadAddress."""
    if has_control_characters(email) or has_control_characters(name):
        raise BadAddress("must not hold line breaks or control characters")
    if len(name) > MAX_NAME:
        raise BadAddress(f"has a display name of more than {MAX_NAME} characters")
    local, at, domain = email.rpartition("@")
    if not at:
        raise BadAddress("has no '@': write it as name@example.com")
    if len(email) > MAX_ADDRESS:
        # First of all checks: the IDNA codec takes time that grows with the square of the length.
        raise BadAddress(f"is longer than {MAX_ADDRESS} characters")
    _check_local(local)
    ascii_domain = _ascii(domain)
    labels = ascii_domain.split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadAddress("has a domain that is not valid: write it as name@example.com")
    if len(local) + 1 + len(ascii_domain) > MAX_ADDRESS:
        raise BadAddress(f"is longer than {MAX_ADDRESS} characters")
    return Address(f"{local}@{ascii_domain}", name)


class IdnDomains:
    """Counts the different domains beyond ASCII of one mail or list, and the texts with faults that
    may have some. To convert a domain takes time."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._faults = 0

    @property
    def has_too_many_faults(self) -> bool:
        """Whether no more addresses may be read."""
        return self._faults >= MAX_IDN_FAULTS

    def count_fault(self, text: str) -> None:
        """Count a text that is not an address, if it may have a domain beyond ASCII."""
        self._faults += not text.isascii()

    def add(self, *addresses: Address) -> None:
        """Count the domains of these addresses. Raises BadAddress for too many."""
        for address in addresses:
            domain = address.email.rpartition("@")[2].lower()
            if domain.startswith("xn--") or ".xn--" in domain:
                self._seen.add(domain)
        if len(self._seen) > MAX_IDN_DOMAINS:
            raise BadAddress(
                f"has more than {MAX_IDN_DOMAINS} different domains beyond ASCII: send several mails"
            )


def has_control_characters(text: str) -> bool:
    """Whether a text has a character that could end a header line."""
    return _CONTROL.search(text) is not None


def _check_local(local: str) -> None:
    if not local.isascii():
        raise BadAddress("has letters before the '@' that Exchange does not deliver to: use ASCII")
    if not _LOCAL.fullmatch(local) or len(local) > 64:
        raise BadAddress(
            "has a part before the '@' that is not valid: write the address alone and without "
            "spaces"
        )
    if "=?" in local:
        # Some readers decode it (RFC 2047) and get another address.
        raise BadAddress("has an encoded word before the '@': write the address itself")
    if _ENCAPSULATED.match(local):
        raise BadAddress("has another address encapsulated before the '@': write that address")


def _ascii(domain: str) -> str:
    if domain.isascii():
        return domain
    if _TWO_READINGS.search(domain):
        raise BadAddress("has a domain with letters of two readings: write its xn-- form")
    # Compatibility forms are expanded first: the codec does it, and one character can become eighteen.
    expanded = unicodedata.normalize("NFKC", domain)
    if len(expanded) > MAX_IDN or len(_DOTS.findall(expanded)) >= MAX_IDN_LABELS:
        raise BadAddress(
            f"has a domain of more than {MAX_IDN} characters or {MAX_IDN_LABELS} labels beyond ASCII: "
            "write its xn-- form"
        )
    from shared.mail.idna_domain import MOST_CHARACTER

    if max(expanded) > MOST_CHARACTER:
        raise BadAddress("has a domain with rare characters: write its xn-- form")
    encoded = _idna(domain)
    if encoded is None:
        raise BadAddress("has a domain that is not valid: write it as name@example.com")
    return encoded


@lru_cache(maxsize=1024)
def _idna(domain: str) -> str | None:
    """A domain in ASCII; None if it is not a domain. The results are cached: the addresses of one
    list often share a domain, and the codec is slow."""
    from shared.mail.idna_domain import to_ascii

    return to_ascii(domain)
