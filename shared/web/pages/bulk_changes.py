"""`POST /changes`: one button for all mails with one cause. It works in steps and shows the
progress."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping

import azure.functions as func
import msgspec
from msgspec.structs import asdict

from shared.errors import RemoteError, RequestRejected
from shared.mail import problems
from shared.mail.status import Status
from shared.services.mails.changes import Changes
from shared.services.mails.ports import AttentionIndex, AttentionItem
from shared.telemetry import event, where
from shared.web.forms import form_of, unreadable
from shared.web.pages import wording
from shared.web.pages.guard import guarded
from shared.web.pages.mail_list import MOST_CASES
from shared.web.pages.rendering import Site, page

SECONDS = 2.0
"""The longest time of one step: a person sees the progress, and no front end gives up."""
MOST_AT_A_STEP = 25


class Progress(msgspec.Struct, frozen=True):
    """The progress. A mail that was refused keeps its attention item, and is not tried again in
    this run."""

    action: str
    status: str
    reason: str
    account: str
    total: int
    done: int = 0
    refused: int = 0
    last: str = ""
    """The id of the last mail that was handled; the run goes through them newest first."""
    why: str = ""
    """The text of the latest refusal."""

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return self.done + self.refused >= self.total

    @classmethod
    def of(cls, form: Mapping[str, str]) -> Progress:
        """The progress from the form that each step passes to the next. Raises ValueError."""
        numbers = {name: int(form.get(name) or "0") for name in ("total", "done", "refused")}
        if any(not 0 <= number <= MOST_CASES for number in numbers.values()):
            raise ValueError("a number is out of range")
        return cls(
            action=form.get("action", ""),
            status=Status(form.get("status", "")).value,
            reason=form.get("reason", ""),
            account=form.get("account", ""),
            last=form.get("last", ""),
            why=form.get("why", "")[:500],
            **numbers,
        )


@guarded
def change_many(
    req: func.HttpRequest, site: Site, attention: AttentionIndex, changes: Changes
) -> func.HttpResponse:
    """One step. With script the page requests the next one by itself; without it a person clicks a
    button."""
    try:
        progress = Progress.of(form_of(req))
        act = {"release": changes.release, "retry": changes.retry}[progress.action]
    except (ValueError, KeyError):
        raise unreadable() from None
    progress = _step(progress, attention, act)
    if req.headers.get("Accept", "").startswith("application/json"):
        return func.HttpResponse(
            json.dumps({**asdict(progress), "over": progress.over}),
            headers={"Cache-Control": "no-store"},
            mimetype="application/json",
        )
    return page(
        site, "bulk.html", progress=progress, status_words=wording.STATUSES[Status(progress.status)]
    )


def _step(progress: Progress, attention: AttentionIndex, act: Callable[[str], object]) -> Progress:
    until = time.monotonic() + SECONDS
    mine = [case for case in attention.newest(MOST_CASES) if _is_of(case, progress)]
    total = progress.total or len(mine)
    # Mails that this run has handled and that still have an item were refused.
    rest = [case for case in mine if not progress.last or case.mail_id < progress.last]
    done, refused, last, why = progress.done, progress.refused, progress.last, progress.why
    for case in rest[:MOST_AT_A_STEP]:
        try:
            act(case.mail_id)
            done += 1
        except RequestRejected as error:
            refused, why = refused + 1, error.detail
            if error.kind in (problems.WRONG_STATUS, problems.UNKNOWN_MAIL):
                # The mail has left the status that the item is about.
                attention.close(case.mail_id, case.status)
        except RemoteError as error:
            refused, why = refused + 1, str(error)
        except Exception as error:  # noqa: BLE001 - the other mails go on without this one
            event(
                "internal_error", level=logging.ERROR, kind=type(error).__name__, where=where(error)
            )
            refused, why = refused + 1, "Postroom itself failed on this mail."
        last = case.mail_id
        if time.monotonic() >= until:
            break
    if len(rest) <= done + refused - progress.done - progress.refused:
        total = done + refused
    return Progress(
        progress.action,
        progress.status,
        progress.reason,
        progress.account,
        total,
        done,
        refused,
        last,
        why[:500],
    )


def _is_of(case: AttentionItem, progress: Progress) -> bool:
    return (case.status.value, case.reason or "", case.account or "") == (
        progress.status,
        progress.reason,
        progress.account,
    )
