"""The forms that add a shared or app-only mailbox: empty, or as a person filled them in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from shared.errors import PostroomError, RequestRejected
from shared.mail.account import Account, AccountKind

_FIELDS = {
    "shared": ("alias", "mailbox", "through"),
    "app": ("alias", "mailbox", "tenant", "verified"),
}
_TRY_LATER = "Nothing was added. What you typed is below: wait a little, then add it again."
_CORRECT = "Correct what is marked below, then add it again."


class Holder(msgspec.Struct, frozen=True):
    """An account through which shared mailboxes may be reached."""

    alias: str
    address: str


class AddForm(msgspec.Struct, frozen=True):
    """Both forms. `kind` names the form that was sent; it is shown open."""

    holders: tuple[Holder, ...]
    has_accounts: bool
    kind: str = ""
    typed: Mapping[str, str] = msgspec.field(default_factory=dict)
    told: Mapping[str, str] = msgspec.field(default_factory=dict)
    """The faults by field, in sentences."""
    detail: str = ""
    help: str = ""

    @classmethod
    def empty(cls, accounts: Sequence[Account]) -> AddForm:
        """The empty forms on /accounts."""
        return cls(_holders(accounts), bool(accounts))

    @classmethod
    def again(
        cls, accounts: Sequence[Account], form: Mapping[str, str], error: PostroomError
    ) -> AddForm:
        """The form that was sent, with the faults beside its fields."""
        kind = form.get("kind", "")
        shown = _FIELDS.get(kind, ())
        told: dict[str, str] = {}
        besides: list[str] = []
        for problem in error.errors if isinstance(error, RequestRejected) else ():
            sentence = _sentence(problem.message)
            if problem.field in shown:
                told[problem.field] = f"{told.get(problem.field, '')} {sentence}".strip()
            else:
                besides.append(f"{problem.field.capitalize()}: {sentence}")
        detail = error.detail if isinstance(error, RequestRejected) else _sentence(str(error))
        return cls(
            _holders(accounts),
            bool(accounts),
            kind if shown else "",
            {name: form.get(name, "") for name in shown},
            told,
            " ".join((detail, *besides)),
            _help(error, marked=bool(told)),
        )

    def value(self, kind: str, name: str) -> str:
        """The text that was typed into a field."""
        return self.typed.get(name, "") if kind == self.kind else ""

    def fault(self, kind: str, name: str) -> str:
        """The fault of a field."""
        return self.told.get(name, "") if kind == self.kind else ""


def _holders(accounts: Sequence[Account]) -> tuple[Holder, ...]:
    return tuple(
        Holder(account.alias, account.address)
        for account in sorted(accounts, key=lambda one: one.alias)
        if account.kind is AccountKind.WORK and account.may_send_shared
    )


def _help(error: PostroomError, *, marked: bool) -> str:
    """The remedy in this case. The remedy of the problem's kind is for callers of the API: it names
    their fields."""
    if not isinstance(error, RequestRejected):
        return _TRY_LATER
    if error.help != error.kind.help:
        return error.help
    return _CORRECT if marked else ""


def _sentence(message: str) -> str:
    """A problem's message, which continues the name of its field, as a sentence beside the
    field."""
    begins = message[:1]
    whole = message if begins.isupper() else f"This {message}"
    return whole if whole.endswith(".") else f"{whole}."
