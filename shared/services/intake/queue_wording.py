"""Why a queue message did not become a mail, and what to do, in words for people who write queue
messages. The catalogue of problems (`shared.mail.problems`) is for callers over HTTP: it tells them
to repeat a request, and a queue has no requests."""

from __future__ import annotations

import re
from collections.abc import Mapping

from shared.errors import FieldProblem, RequestRejected
from shared.mail import problems

LONGEST_HELP = 2_000
"""The most characters: the row of a mail keeps the text."""

PUT_AGAIN = "put the message on the queue again"
CORRECT = (
    "Correct it and put the message on the queue again, as a new message: an idempotency_key in it can "
    "stay the same."
)

REMEDIES: Mapping[str, str] = {
    problems.INVALID_MAIL.code: CORRECT,
    problems.INVALID_JSON.code: f"A queue message holds one JSON object, the mail. {CORRECT}",
    problems.NO_ACCOUNT.code: "An administrator signs a mailbox in on the page /accounts; then "
    f"{PUT_AGAIN}.",
    problems.UNKNOWN_ACCOUNT.code: "Name an account that GET /api/accounts lists, or leave 'account' "
    f"out; then {PUT_AGAIN}.",
    problems.SENDER_NOT_ALLOWED.code: "Leave 'from' out, or have an administrator allow the address "
    f"for an account; then {PUT_AGAIN}.",
    problems.OVERRIDE_NOT_ALLOWED.code: "Leave these fields out, or have an administrator allow them "
    f"for the account; then {PUT_AGAIN}.",
    problems.MAIL_TOO_LARGE.code: f"Send fewer or smaller attachments; then {PUT_AGAIN}.",
    problems.ATTACHMENT_MISSING.code: "Put the file into the container attachments of Postroom's "
    f"storage account, under the name that 'blob' says; then {PUT_AGAIN}, as it is.",
    problems.IDEMPOTENCY_CONFLICT.code: "A mail with this key and other content was taken before, "
    "within 24 hours: GET /api/mails with ?idempotency_key= and the key shows it. Nothing of this "
    f"message was sent. If it is another mail, give it a key of its own and {PUT_AGAIN}.",
}
"""By the code of the problem that rejects a queue message."""

POISONED = (
    "The queue message could not be processed in several attempts; the log of that time says why. It may "
    "have been sent all the same: look for the mail in the list of mails and in the mailbox's Sent "
    f"Items, and {PUT_AGAIN} only if it is in neither. Its raw text is kept."
)
TOO_OLD = (
    "The queue message is older than mails are kept (POSTROOM_RETENTION_DAYS), so it may have been sent "
    f"before: look into the mailbox's Sent Items, and {PUT_AGAIN} only if it is not there. Its raw text "
    "is kept."
)


def help_for(refused: RequestRejected, *, mask: bool = False) -> str:
    """What is wrong with a message, and what to do. With `mask` it has no name that the sender
    chose."""
    shown = _masked_field if mask else _field
    told = "; ".join(f"{shown(problem)} {problem.message}" for problem in refused.errors)
    remedy = _remedy(refused)
    room = LONGEST_HELP - len(remedy) - 2
    what = f"{_of_message(refused.detail)} {told}".strip()
    if len(what) > room:
        what = f"{what[: room - 1]}…"
    return f"{what}{'' if what[-1] in '.…' else '.'} {remedy}"


def help_for_unreadable(fault: str) -> str:
    """What to do about a message that holds no JSON object. `fault` follows "The queue message"."""
    return (
        f"The queue message {fault}. It must be one JSON object, the mail, as plain text or in base64. "
        f"{CORRECT} Its raw text is kept."
    )


def _remedy(refused: RequestRejected) -> str:
    """The rejection's own advice if it has one, else the advice for its kind."""
    if refused.help == refused.kind.help:
        return REMEDIES.get(refused.kind.code, CORRECT)
    return f"{refused.help} Then {PUT_AGAIN}."


def _of_message(detail: str) -> str:
    body = "The body "
    return f"The queue message {detail.removeprefix(body)}" if detail.startswith(body) else detail


def _masked_field(problem: FieldProblem) -> str:
    from shared.services.intake.mail_document import MailDocument

    first = re.split(r"[.\[]", problem.field, maxsplit=1)[0]
    known = first in MailDocument.__struct_encode_fields__ or first in ("body", "Idempotency-Key")
    return _field(FieldProblem(first, problem.message)) if known else "a field"


def _field(problem: FieldProblem) -> str:
    # A document can also have a field called `body`; its problem says that there is no such field.
    is_whole = problem.field == "body" and not problem.message.startswith("is not a field")
    return "the message" if is_whole else problem.field
