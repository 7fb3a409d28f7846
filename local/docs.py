"""Writes docs/errors.md from the catalogues in `shared/`: `python -m local.docs`.

A test checks that the file is equal to the result of `errors_page()`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from pathlib import Path

from shared.mail import known_errors, problems
from shared.mail.known_errors import Actor, KnownError, Retry, app, entra, graph, oauth
from shared.mail.outcome import GraphAnswer, Verdict, judge_send

ERRORS = Path(__file__).parents[1] / "docs" / "errors.md"

BECOMES = {
    Verdict.AGAIN: "tried again",
    Verdict.THROTTLED: "tried again; the mailbox's other mails wait as long; beyond 15 minutes `held`",
    Verdict.REFRESH: "tried once more with a fresh token; refused again: `held`",
    Verdict.HOLD_ACCOUNT: "`held`, and the account until Postroom tries again",
    Verdict.NEEDS_SIGN_IN: "`held`, until the mailbox is signed in again",
    Verdict.UNKNOWN: "`unknown`",
    Verdict.FAILED: "`failed`",
}

OWN_REASONS = {
    "answer_lost": (
        "`unknown`",
        "The request left and no answer came back. Look into the mailbox's Sent Items.",
    ),
    "worker_lost": (
        "`unknown`",
        "The worker that sent the mail ended before it stored the result. Look into "
        "the mailbox's Sent Items.",
    ),
    "mailbox_busy": ("tried again", "Four other mails of the mailbox were being sent."),
    "finding_out": (
        "`unknown`, for now",
        "Microsoft's answer left open whether the mail was sent, and Postroom searches the mailbox for it; "
        "`next_look_at` is the time of the next search. Do nothing.",
    ),
    "not_found": (
        "`unknown`",
        "After its last search, Postroom has found neither the sent mail nor its draft. "
        "Look into the mailbox's Sent Items.",
    ),
    "could_not_look": (
        "`unknown`",
        "Postroom could not search the mailbox for too long. Look into its Sent Items.",
    ),
    "not_sent": (
        "sent now, or `failed`",
        "A search found that the mail's draft was still a draft: it was not sent. It is sent now; after the "
        "last attempt it has failed, and its draft is removed.",
    ),
    "sent_again": (
        "tried again",
        "It may have been sent, and `POSTROOM_UNKNOWN` says to send it again: it may arrive twice.",
    ),
    "worker_failed": (
        "`unknown`, or tried again where it was certainly not sent",
        "Postroom itself failed while it sent the mail; the log event `internal_error` says where. Report "
        "it. Postroom searches for a verified mail; for a direct one look into the mailbox's Sent Items.",
    ),
    "out_of_time": (
        "tried again",
        "Its attachments could not be uploaded in the time that one run has; its draft was removed.",
    ),
    "draft_used": (
        "`unknown`, for now",
        "The mail's draft is gone, as it is after it was sent. Postroom searches for the mail.",
    ),
    "draft_unanswered": (
        "tried again",
        "Postroom asked for the mail's draft and got no answer; nothing was sent. If the draft was "
        "made after all, it is removed before the next one is made.",
    ),
    "draft_missing": ("tried again", "A draft that was just made was not found; nothing was sent."),
    "upload_elsewhere": (
        "`failed`",
        "Microsoft gave an upload address for an attachment that is not on one of its own hosts. Report it.",
    ),
    "not_reached": ("tried again", known_errors.find("not_reached").words),
    "entra_unreachable": ("tried again", known_errors.find("entra_unreachable").words),
    "vault_unreachable": ("tried again", known_errors.find("vault_unreachable").words),
    "identity_unreachable": ("tried again", known_errors.find("identity_unreachable").words),
    "lease_spent": ("tried again", "Getting a token took so long that no time was left to send."),
    "attachment_unreadable": ("tried again", "A file of the mail could not be read from storage."),
    "attachment_changed": (
        "`failed`",
        "A file that the mail names was changed in storage after the mail was accepted. Send it anew.",
    ),
    "attachment_gone": (
        "`failed`",
        "A file that the mail names was removed from storage before the mail was sent. Put it back and "
        "send the mail anew.",
    ),
    "mail_too_large": (
        "`failed`",
        "The mail fitted when it was accepted; its account has been signed in with fewer permissions since. "
        "Sign it in with Mail.ReadWrite, then send the mail anew.",
    ),
    "payload_unreadable": ("tried again", "The mail's content could not be read from storage."),
    "mailbox_replaced": (
        "`failed`",
        "Another mailbox got the mail's alias before the mail was sent. Send it anew.",
    ),
    "sender_not_allowed": (
        "`failed`",
        "The account may not send from the mail's From address any more. Send it anew, from another.",
    ),
    "not_composed": ("`failed`", "Postroom could not write the mail as a message. Report it."),
    "account_gone": ("`held`", known_errors.find("account_gone").words),
    **{
        code: ("`held`, and the account for two minutes at a time", known_errors.find(code).words)
        for code in (
            "vault_refused",
            "ForbiddenByRbac",
            "ForbiddenByPolicy",
            "ForbiddenByFirewall",
            "no_managed_identity",
            "no_client_secret",
            "no_client_certificate",
            "unusable_certificate",
        )
    },
    "no_grant": (
        "`held`, until the mailbox is signed in again",
        known_errors.find("no_grant").words,
    ),
    "daily_cap": (
        "`queued`, for another day",
        "The account's daily cap is used up; the mail goes by itself on the first day that has room. An "
        "administrator may raise the cap on the account's page.",
    ),
    "no_content": ("`failed`", "The mail has no content to send."),
    "unreadable_message": (
        "`failed`",
        "A queue message did not hold one JSON object in any of the forms that "
        "[api.md](api.md#what-a-queue-message-may-look-like) lists; the mail's `help` says what it looks "
        "like. Its [raw text](api.md#a-queue-message-that-is-refused) is kept. Correct the message and put "
        "it on the queue again.",
    ),
    "message_too_old": (
        "`failed`",
        "A queue message came back that is older than `POSTROOM_RETENTION_DAYS`. It may have been "
        "sent, and its row deleted since; its [raw text](api.md#a-queue-message-that-is-refused) is "
        "kept. Look into the mailbox's Sent Items; if it is not there, put it on the queue again.",
    ),
    "rescheduled": ("`scheduled` or `queued`", "A caller gave it another time."),
    "retried": ("`queued`", "A person retried it."),
    "recipients_changed": (
        "`queued`",
        "A person retried it with other recipients; `former_recipients` are the earlier ones.",
    ),
    "account_changed": ("`queued`", "A person retried it from another account."),
    "released": ("`queued`", "A person released it, because its account can send again."),
    "send_again": (
        "`queued`",
        "A person said that it was not sent, and had it sent again.",
    ),
    "marked_sent": ("`sent`", "A person said that it was sent."),
    "poisoned": (
        "`failed`",
        "The host gave up on the queue message after five failures. See the logs of that time. A valid "
        "mail may have been sent: look for it in the ledger and in Sent Items before it is "
        "put on the queue again.",
    ),
}
"""Reasons that Postroom itself finds, each with the resulting status of the mail and the remedy."""

_HEAD = """\
# Errors

<!-- Made by `python -m local.docs` from shared/mail: change the catalogues there, not this page. -->

Three lists: the errors that answer a request, the reasons for a mail's status, and why a sign-in or an account
is refused. Published codes do not change; titles and sentences may. Each code has an
anchor of its own, in lower case: `errors.md#aadsts50173`; those of the first list begin with `answer-`.
"""

_PROBLEMS = """\
## Answers of the API

An error is a problem document (RFC 9457, `application/problem+json`). A program should read
`code`; `errors` names each field that is wrong; `help` says what to do; `request_id` is also
in the header `X-Request-Id` and in the log. Every 503 carries `Retry-After`, in seconds.
The Functions host itself answers 401 (no key, or a wrong one) and 404 (no such address), with an
empty body.
"""

_REASONS = """\
## Reasons of a mail

`GET /api/mails/{id}` shows a mail's `reason`, in its history too. Postroom gives up a mail that it tries again,
with the last reason, when `POSTROOM_MAX_ATTEMPTS` or `POSTROOM_GIVE_UP_AFTER_HOURS` is reached. The
mail is then `failed`. A refused queue message is `failed` with a code of the
list above as its reason, and its `help` says what to do on the queue.
"""

_GRAPH = """\
### Microsoft Graph's codes

The first row that fits counts. For a code that is not listed, only the HTTP status counts (below).
"""

_STATUSES = """\
### HTTP statuses without a known code

The reason is Graph's own code if it sent one, else the word in this table.
"""

_REFUSALS = """\
## Refusals of a sign-in or an account

They appear on `/accounts`, as an account's `reason` and `trouble`, as the reason of a held mail, on the
page that ends a sign-in, and as `code` in the log. *Passes* says whether the same request may succeed
later without anybody acting.

### Microsoft's sign-in codes
"""

_NAMES = """\
### OAuth error names

They decide if the AADSTS number is unknown.
"""

_APP = """\
### The app's own vault, identity and grants
"""

SENT_WITH = {
    400: "BadRequest CommandConcurrencyLimitReached UnknownError ErrorMessageTimeout "
    "ErrorMessageTransientError",
    401: "InvalidAuthenticationToken",
    403: "ErrorAccessDenied Authorization_RequestDenied ErrorSendAsDenied ErrorQuotaExceeded "
    "ErrorAccountSuspend ErrorMessageSubmissionBlocked ErrorMessageBlocked",
    404: "MailboxNotEnabledForRESTAPI ErrorInvalidUser ResourceNotFound ErrorItemNotFound "
    "ErrorNonExistentMailbox",
    429: "ApplicationThrottled TooManyRequests ErrorMessageThrottled ErrorSubmissionQuotaExceeded "
    "ErrorExceededMessageLimit ErrorExceededHourlyMessageLimit",
    500: "ErrorInternalServerError",
    503: "ErrorServerBusy ResourceUnhealthy ErrorMailboxStoreUnavailable ErrorMailboxMoveInProgress "
    "ServiceNotAvailable MailboxInfoStale",
}
"""The HTTP status that Graph sends each code with; 400 for all others. Some codes count only with
their status."""

_STATUS_ROWS = (
    ("401", 401),
    ("403", 403),
    ("404", 404),
    ("400, 402, 405, 406, 410, 411, 415, 416, 422", 400),
    ("408", 408),
    ("409, 412, 423", 409),
    ("413", 413),
    ("429", 429),
    ("500 and above", 500),
    ("any other, 200 included", 200),
)


def errors_page() -> str:
    """The whole of docs/errors.md."""
    parts = [
        _HEAD,
        _PROBLEMS,
        _table(
            ("code", "status", "meaning", "what to do"),
            (
                (
                    _anchored(f"answer-{kind.code}", kind.code),
                    str(kind.status),
                    f"{kind.title}.",
                    kind.help,
                )
                for kind in problems.CATALOGUE
            ),
        ),
        _REASONS,
        "### Postroom's own\n",
        _table(
            ("reason", "the mail is", "meaning and remedy"),
            ((_anchored(reason), *told) for reason, told in OWN_REASONS.items()),
        ),
        _GRAPH,
        _table(("reason", "the mail is", *_SAYS), _graph_rows()),
        _STATUSES,
        _table(("status", "reason", "the mail is", *_SAYS), _status_rows()),
        _REFUSALS,
        _table(("code", *_SAYS), _refusal_rows(entra.ROWS)),
        _NAMES,
        _table(("name", *_SAYS), _refusal_rows(oauth.ROWS)),
        _APP,
        _table(("code", *_SAYS), _refusal_rows(app.ROWS, known=OWN_REASONS)),
    ]
    return "\n".join(parts)


def status_of(code: str) -> int:
    """The HTTP status that Graph sends a code with."""
    return next((status for status, codes in SENT_WITH.items() if code in codes.split()), 400)


def anchor(code: str) -> str:
    """The anchor of a code on the page, such as `aadsts50173` in `errors.md#aadsts50173`."""
    return code.lower()


_SAYS = ("meaning", "who acts", "what they do", "passes")
_PASSES = {
    Retry.NO: "no",
    Retry.ONCE: "sometimes, within a minute",
    Retry.LATER: "yes",
    Retry.LOOK: "look first",
}


def _graph_rows() -> Iterable[tuple[str, ...]]:
    alike: dict[tuple[str, ...], list[str]] = {}
    for code, row in graph.ROWS.items():
        verdict = judge_send(GraphAnswer(status_of(code), code)).verdict
        alike.setdefault((BECOMES[verdict], *_says(row)), []).append(_anchored(code))
    for told, codes in alike.items():
        yield ", ".join(codes), *told


def _status_rows() -> Iterable[tuple[str, ...]]:
    for named, status in _STATUS_ROWS:
        verdict = judge_send(GraphAnswer(status)).verdict
        row = graph.of_status(status)
        reason = row.code.replace(f"http_{status}", "http_<status>")
        yield named, f"`{reason}`", BECOMES[verdict], *_says(row)


def _refusal_rows(
    rows: Mapping[str, KnownError], known: Container[str] = ()
) -> Iterable[tuple[str, ...]]:
    """One row for all codes with the same meaning. A code that the page has elsewhere gets no
    anchor."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for code, row in rows.items():
        alike.setdefault(_says(row), []).append(f"`{code}`" if code in known else _anchored(code))
    for told, codes in alike.items():
        yield ", ".join(codes), *told


def _says(row: KnownError) -> tuple[str, ...]:
    who = "nobody" if row.who is Actor.NOBODY else row.who.value
    return row.meaning, who, row.step, _PASSES[row.retry]


def _anchored(name: str, code: str | None = None) -> str:
    return f'<a id="{anchor(name)}"></a>`{code or name}`'


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [_row(head), _row(("---",) * len(head)), *map(_row, rows)]
    return "\n".join(lines) + "\n"


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    ERRORS.write_text(errors_page(), encoding="utf-8")
