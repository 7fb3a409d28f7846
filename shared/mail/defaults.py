"""The values that an administrator sets for all mails of an account, and which of them a caller may
override."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar

from shared.discreet import Discreet
from shared.errors import FieldProblem
from shared.mail.address import MAX_NAME, Address, has_control_characters

MAX_SIGNATURE = 8 * 1024
"""Bytes of each form of a signature, in UTF-8."""
MAX_REPLY_TO = 10
MAX_ALLOWED_FROM = 50
MAX_DAILY_CAP = 1_000_000
MAX_STORED = 30_000
"""Characters of all defaults together, as they are stored: a property of a table row holds
32,768."""

# Tabs and line ends are text. No mail program shows the other control characters, and some cannot
# be encoded.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


class Overridable(StrEnum):
    """What a caller may give for a mail instead of the account's default. The names are those of
    the mail document."""

    DISPLAY_NAME = "display_name"
    """The name in `from`."""
    REPLY_TO = "reply_to"
    SIGNATURE = "signature"
    """Whether the mail has a signature: `signature` set to false leaves it off."""
    SENT_ITEMS = "save_to_sent_items"


USUALLY = frozenset({Overridable.DISPLAY_NAME, Overridable.REPLY_TO, Overridable.SENT_ITEMS})
"""All but the signature: an administrator who sets a signature expects it under every mail."""


class Defaults(Discreet, frozen=True):
    """The defaults of one account. An empty value is not set."""

    unshown: ClassVar = frozenset({"signature_text", "signature_html"})

    display_name: str = ""
    """The name in From, instead of the one in the directory."""
    reply_to: tuple[Address, ...] = ()
    signature_text: str = ""
    signature_html: str = ""
    save_to_sent_items: bool = True
    daily_cap: int | None = None
    """The most mails in one day (UTC). Further mails wait for the next day."""
    overridable: frozenset[Overridable] = USUALLY

    @property
    def has_signature(self) -> bool:
        """Whether there is a signature, as text or as html."""
        return bool(self.signature_text or self.signature_html)

    def may_override(self, what: Overridable) -> bool:
        """Whether a caller may give another value than the default."""
        return what in self.overridable


NO_DEFAULTS = Defaults()


def clean(text: str) -> str:
    """A signature as it is stored: lines end with a line feed, and there are no blank lines around
    it."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def problems_of(defaults: Defaults) -> list[FieldProblem]:
    """Every fault of the defaults, field by field. Addresses are not checked: `Address` is always
    valid."""
    found: list[FieldProblem] = []

    def problem(name: str, text: str) -> None:
        found.append(FieldProblem(name, text))

    if has_control_characters(defaults.display_name):
        problem("display_name", "must not hold line breaks or control characters")
    if len(defaults.display_name) > MAX_NAME:
        problem("display_name", f"has more than {MAX_NAME} characters: shorten it")
    if len(defaults.reply_to) > MAX_REPLY_TO:
        problem("reply_to", f"has {len(defaults.reply_to)} addresses: at most {MAX_REPLY_TO}")
    for name, text in (
        ("signature_text", defaults.signature_text),
        ("signature_html", defaults.signature_html),
    ):
        fault = _signature_fault(name, text)
        if fault is not None:
            problem(name, fault)
    if defaults.daily_cap is not None and not 1 <= defaults.daily_cap <= MAX_DAILY_CAP:
        problem("daily_cap", f"must be a whole number from 1 to {MAX_DAILY_CAP}, or left out")
    if not found and _stored_length(defaults) > MAX_STORED:
        problem("signature_html", "is too long together with the other defaults: shorten it")
    return found


def allowed_from_problems(addresses: Sequence[str]) -> list[FieldProblem]:
    """The faults of a list of From addresses. Each address is already valid."""
    if len(addresses) <= MAX_ALLOWED_FROM:
        return []
    return [FieldProblem("allowed_from", f"has more than {MAX_ALLOWED_FROM} addresses")]


def _signature_fault(name: str, text: str) -> str | None:
    if _UNPRINTABLE.search(text):
        return "must not hold control characters: remove them"
    if len(text.encode()) > MAX_SIGNATURE:
        return f"has more than {MAX_SIGNATURE} bytes: shorten it"
    if name == "signature_html":
        # Imported here: only a change of a signature needs the parser, sending does not.
        from shared.mail.signature import html_fault

        return html_fault(text)
    return None


def _stored_length(defaults: Defaults) -> int:
    texts = (
        defaults.display_name,
        defaults.signature_text,
        defaults.signature_html,
        *(str(address) for address in defaults.reply_to),
    )
    # As JSON: an escaped character takes two, and a character beyond the first plane counts twice.
    return sum(
        len(text.encode("utf-16-le")) // 2 + sum(map(text.count, '"\\\n\t')) for text in texts
    )
