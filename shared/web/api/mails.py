"""The calls about mails: read the request, call a use case, answer with a document."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime

import azure.functions as func
import msgspec

from shared.errors import PostroomError, RequestRejected
from shared.mail import ids, problems
from shared.mail.mail import Mail, MailFilter
from shared.mail.status import ATTENTION, Status
from shared.services.accounts.ports import Accounts
from shared.services.intake.file_fields import given
from shared.services.intake.idempotency import Idempotency
from shared.services.intake.mail_document import KEY_FORM, Limits, is_key
from shared.services.intake.submission import Submission
from shared.services.json_reading import shown_name
from shared.services.mails.ports import Ledger
from shared.telemetry import event
from shared.web.api import documents, request_body, views
from shared.web.problem import bad_request

POLL_SECONDS = 0.25
LONGEST_PAGE = 100

_PLUS_LOST = re.compile(r"[T ][0-9:.,]{2,20} [0-9]{2}(:?[0-9]{2})?$")
"""A time zone such as +01:00 at the end of a time, in the form that it has if the `+` was not
escaped in the URL."""

# The Functions host reads a function key from `code`.
_HOST_PARAMETERS = frozenset({"code", "clientid"})


def send(
    req: func.HttpRequest,
    submission: Submission,
    ledger: Ledger,
    limits: Limits,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> func.HttpResponse:
    """`POST /api/send`."""
    only(req.params, {"wait"})
    wait = request_body.wait_seconds(req)
    receipt = submission.accept(request_body.read_order(req, limits))
    if receipt.dry_run:
        return answer(200, views.checked(receipt))
    mail = receipt.mail
    headers = {"Location": f"/api/mails/{mail.mail_id}"}
    if receipt.replayed:
        headers["Idempotent-Replayed"] = "true"
    # If all threads waited, none would be left to deliver the mails that they wait for. A caller
    # above the limit is answered at once, and the missing header shows that Postroom did not wait.
    if wait and limits.waiting.acquire(blocking=False):
        try:
            mail = _settled(mail, ledger, wait, sleep)
        finally:
            limits.waiting.release()
        headers["Preference-Applied"] = f"wait={wait:.0f}"
    return answer(202, views.accepted(mail, receipt.warnings), headers)


def check_mail(req: func.HttpRequest, submission: Submission, limits: Limits) -> func.HttpResponse:
    """`POST /api/send/check`: reads and refuses as `POST /api/send` does, and stores nothing."""
    only(req.params, set())
    order = request_body.read_order(req, limits)
    receipt = submission.accept(msgspec.structs.replace(order, dry_run=True))
    return answer(200, views.checked(receipt))


def show_mail(req: func.HttpRequest, ledger: Ledger) -> func.HttpResponse:
    """`GET /api/mails/{id}`."""
    only(req.params, set())
    mail_id = req.route_params.get("id", "").lower()
    found = ledger.get(mail_id) if ids.is_id(mail_id) else None
    if found is None:
        raise RequestRejected(problems.UNKNOWN_MAIL, "No mail has this id.")
    return answer(200, views.mail_view(found.mail, history=True))


def list_mails(
    req: func.HttpRequest, ledger: Ledger, idempotency: Idempotency
) -> func.HttpResponse:
    """`GET /api/mails`."""
    only(
        req.params,
        {
            *("status", "attention", "account", "tag", "since", "until"),
            *("idempotency_key", "limit", "cursor"),
        },
    )
    key = req.params.get("idempotency_key")
    if key is not None:
        return _with_key(req, key, idempotency)
    wanted = MailFilter(
        statuses=_statuses(req),
        account=given(req.params.get("account")),
        tag=given(req.params.get("tag")),
        since=_moment(req, "since"),
        until=_moment(req, "until"),
    )
    try:
        page = ledger.page(wanted, _limit(req.params.get("limit")), req.params.get("cursor"))
    except ValueError as error:
        raise bad_request("cursor", "is not one that this list gave out") from error
    return answer(
        200,
        documents.MailList(
            [views.mail_view(mail, history=False) for mail in page.mails], page.cursor
        ),
    )


def _with_key(req: func.HttpRequest, key: str, idempotency: Idempotency) -> func.HttpResponse:
    for name in req.params:
        if name != "idempotency_key" and name.lower() not in _HOST_PARAMETERS:
            raise bad_request(
                shown_name(name), "cannot go with idempotency_key: remove one of them"
            )
    if not is_key(key):
        raise bad_request("idempotency_key", KEY_FORM)
    mails = idempotency.find(key)
    return answer(200, documents.MailList([views.mail_view(mail, history=False) for mail in mails]))


def list_accounts(req: func.HttpRequest, accounts: Accounts) -> func.HttpResponse:
    """`GET /api/accounts`."""
    only(req.params, set())
    rows = sorted(accounts.all(fresh=True), key=lambda account: account.alias)
    return answer(200, documents.AccountList([views.account_view(row) for row in rows]))


def _settled(mail: Mail, ledger: Ledger, wait: float, sleep: Callable[[float], None]) -> Mail:
    """The mail once it has a final status, or as it is when the time is up.

    If the ledger cannot be read, the mail as last known: it is accepted, and after an error a
    caller without a key would send it again.
    """
    until = time.monotonic() + wait
    pause = POLL_SECONDS
    while mail.moves_on and time.monotonic() < until:
        sleep(min(pause, max(0.0, until - time.monotonic())))
        pause = min(2.0, pause * 1.3)
        try:
            found = ledger.get(mail.mail_id)
        except PostroomError:
            event("wait_cut_short", level=logging.WARNING, mail_id=mail.mail_id)
            return mail
        mail = found.mail if found is not None else mail
    return mail


def _statuses(req: func.HttpRequest) -> tuple[Status, ...]:
    """The statuses that `status` names, those that need a person (`attention=true`), or none for
    all."""
    text, attention = req.params.get("status"), req.params.get("attention")
    if attention not in (None, "true", "false"):
        raise bad_request("attention", "must be true or false")
    if attention == "true":
        if text is not None:
            raise bad_request("attention", "stands for statuses: give it or 'status'")
        return ATTENTION
    if text is None:
        return ()
    try:
        return tuple(dict.fromkeys(Status(name.strip()) for name in text.split(",")))
    except ValueError as error:
        raise bad_request(
            "status",
            f"must be one or several, with commas, of {', '.join(s.value for s in Status)}",
        ) from error


def _moment(req: func.HttpRequest, name: str) -> datetime | None:
    text = req.params.get(name)
    if text is None:
        return None
    if _PLUS_LOST.search(text):
        raise bad_request(
            name,
            "has a space where the '+' of its time zone was: in a URL write '+' as %2B, or give the "
            "time in UTC as 2026-12-01T08:00:00Z",
        )
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise bad_request(name, "must be a time such as 2026-12-01T08:00:00Z") from error
    if moment.tzinfo is None:
        raise bad_request(name, "has no time zone: write it as 2026-12-01T08:00:00Z")
    if not 2000 <= moment.year < 3000:
        raise bad_request(name, "must be a year of this millennium")
    return moment


def _limit(text: str | None) -> int:
    if text is None:
        return 50
    if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= LONGEST_PAGE:
        raise bad_request("limit", f"must be a whole number from 1 to {LONGEST_PAGE}")
    return int(text)


def only(params: Mapping[str, str], known: set[str]) -> None:
    """Refuse query parameters that a call does not know."""
    for name in params:
        if name not in known and name.lower() not in _HOST_PARAMETERS:
            raise bad_request(shown_name(name), "is not a parameter of this call: remove it")


def answer(
    status: int, document: msgspec.Struct, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    """A document as JSON."""
    return func.HttpResponse(
        views.encoded(document),
        status_code=status,
        headers={"Cache-Control": "no-store", **(headers or {})},
        mimetype="application/json",
    )
