"""The form on an account's page: turns an account into the form's values, and the form into a
change."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from shared.errors import FieldProblem, RequestRejected
from shared.mail import problems
from shared.mail.account import Account
from shared.mail.defaults import MAX_DAILY_CAP, NO_DEFAULTS, Overridable, clean, problems_of
from shared.services.accounts.change_document import read_allowed_from, read_reply_to
from shared.services.accounts.changes import AccountChange, version_of

TICKED = "yes"
_TEXTS = (
    "display_name",
    "signature_text",
    "signature_html",
    "daily_cap",
    "reply_to",
    "allowed_from",
)
_IN_A_LIST = re.compile(r"\[(\d+)\]$")


def values_of(account: Account) -> dict[str, str]:
    """The form's values for an account."""
    defaults = account.defaults
    cap = defaults.daily_cap
    return {
        "display_name": defaults.display_name,
        "reply_to": "\n".join(map(str, defaults.reply_to)),
        "signature_text": defaults.signature_text,
        "signature_html": defaults.signature_html,
        "daily_cap": "" if cap is None else str(cap),
        "save_to_sent_items": TICKED if defaults.save_to_sent_items else "",
        "allowed_from": "\n".join(account.allowed_from),
        "version": version_of(account),
        **{_tick(one): TICKED if defaults.may_override(one) else "" for one in Overridable},
    }


def typed(form: Mapping[str, str]) -> dict[str, str]:
    """The form as a person filled it in, to be shown again."""
    ticks = ("save_to_sent_items", *(_tick(one) for one in Overridable))
    found = {name: form.get(name, "") for name in (*_TEXTS, "version")}
    return found | {name: TICKED if form.get(name) == TICKED else "" for name in ticks}


def change_in(form: Mapping[str, str]) -> AccountChange:
    """The change that a form asks for. Raises RequestRejected, which names every wrong field."""
    found: list[FieldProblem] = []
    values: dict[str, Any] = {
        "display_name": form.get("display_name", "").strip(),
        "reply_to": read_reply_to(_lines(form, "reply_to"), found),
        "signature_text": clean(form.get("signature_text", "")),
        "signature_html": clean(form.get("signature_html", "")),
        "save_to_sent_items": form.get("save_to_sent_items") == TICKED,
        "daily_cap": _cap(form.get("daily_cap", "").strip(), found),
        "overridable": frozenset(one for one in Overridable if form.get(_tick(one)) == TICKED),
    }
    allowed_from = read_allowed_from(_lines(form, "allowed_from"), found)
    named = {one.field for one in found}
    for one in problems_of(replace(NO_DEFAULTS, **values)):
        if f"defaults.{one.field}" not in named:
            found.append(FieldProblem(f"defaults.{one.field}", one.message))
    if found:
        raise RequestRejected(problems.INVALID_REQUEST, "Nothing was saved.", found)
    return AccountChange(values, allowed_from=allowed_from)


def told_by_field(refused: RequestRejected) -> dict[str, str]:
    """The faults by the form's fields, as sentences to be shown beside them."""
    told: dict[str, list[str]] = {}
    for problem in refused.errors:
        place = _IN_A_LIST.search(problem.field)
        name = _IN_A_LIST.sub("", problem.field).removeprefix("defaults.")
        subject = f"Line {int(place[1]) + 1}" if place else "This"
        told.setdefault(name, []).append(f"{subject} {problem.message}.")
    return {name: " ".join(sentences) for name, sentences in told.items()}


def differences(form: Mapping[str, str], account: Account) -> dict[str, str]:
    """The saved values, by field, that differ from the form."""
    saved = values_of(account)
    return {
        name: f"Saved is now: {_shortly(name, saved[name])}."
        for name, value in typed(form).items()
        if name != "version" and clean(value) != clean(saved[name])
    }


def _tick(one: Overridable) -> str:
    return f"override_{one.value}"


def _lines(form: Mapping[str, str], name: str) -> list[Any]:
    return [line.strip() for line in form.get(name, "").splitlines() if line.strip()]


def _cap(text: str, found: list[FieldProblem]) -> int | None:
    if not text:
        return None
    if not re.fullmatch("[0-9]{1,9}", text):
        found.append(
            FieldProblem(
                "defaults.daily_cap",
                f"must be a whole number from 1 to {MAX_DAILY_CAP}, or left empty",
            )
        )
        return None
    return int(text)


def _shortly(name: str, saved: str) -> str:
    if name == "save_to_sent_items" or name.startswith("override_"):
        return "ticked" if saved else "not ticked"
    if not saved:
        return "nothing"
    return f"“{saved}”" if len(saved) <= 200 else f"“{saved[:200]}…”"
