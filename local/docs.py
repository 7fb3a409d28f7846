"""Writes docs/errors.md from the catalogues in `shared/`: `python -m local.docs`.

The page says what the code says; a test holds the file equal to what `errors_page()` makes.
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
        "The worker that sent the mail ended before it wrote down what became of it. Look into "
        "the mailbox's Sent Items.",
    ),
    "mailbox_busy": ("tried again", "Four other mails of the mailbox were being sent."),
    "finding_out": (
        "`unknown`, for now",
        "Whether the mail was sent was left open, and Postroom looks into the mailbox for it; "
        "`next_look_at` says when next. Nothing is to be done.",
    ),
    "not_found": (
        "`unknown`",
        "Postroom looked for as long as it does and found neither the sent mail nor its draft. "
        "Look into the mailbox's Sent Items.",
    ),
    "could_not_look": (
        "`unknown`",
        "The mailbox could not be looked into for too long. Look into its Sent Items.",
    ),
    "not_sent": (
        "sent now, or `failed`",
        "Postroom looked, and the mail's draft was still one: it was not sent. It is sent now; after the "
        "last attempt it has failed, and its draft is removed.",
    ),
    "sent_again": (
        "tried again",
        "It may have been sent, and `POSTROOM_UNKNOWN` says to send it again: it may arrive twice.",
    ),
    "worker_failed": (
        "`unknown`, or tried again where it was certainly not sent",
        "Postroom itself failed while it sent the mail; the log event `internal_error` says where. Report "
        "it. A verified mail is looked for; for a direct one look into the mailbox's Sent Items.",
    ),
    "out_of_time": (
        "tried again",
        "Its attachments could not be uploaded in the time that one run has; its draft was removed.",
    ),
    "draft_used": (
        "`unknown`, for now",
        "The mail's draft is not there any more, as after it was sent. Postroom looks for it.",
    ),
    "draft_unanswered": (
        "tried again",
        "The mail's draft was asked for, and no answer came back; nothing was sent. Where the draft was "
        "made all the same, it is removed before the next one is made.",
    ),
    "draft_missing": ("tried again", "A draft that was just made was not found; nothing was sent."),
    "upload_elsewhere": (
        "`failed`",
        "Microsoft named a place to upload an attachment to that is not one of its own. Report it.",
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
        "The mail fitted when it was accepted; its account has been signed in with fewer rights since. "
        "Sign it in with Mail.ReadWrite, then send the mail anew.",
    ),
    "payload_unreadable": ("tried again", "The mail's content could not be read from storage."),
    "mailbox_replaced": (
        "`failed`",
        "Another mailbox was put under the mail's alias before it went out. Send it anew.",
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
        "A queue message did not hold one JSON object, in none of the forms that "
        "[api.md](api.md#what-a-queue-message-may-look-like) lists; the mail's `help` says what it looks "
        "like. Its [raw text](api.md#a-queue-message-that-is-refused) is kept. Correct the message and put "
        "it on the queue again.",
    ),
    "message_too_old": (
        "`failed`",
        "A queue message came back that is older than `POSTROOM_RETENTION_DAYS`. It may have been "
        "sent, and its row have gone since; its [raw text](api.md#a-queue-message-that-is-refused) is "
        "kept. Look into the mailbox's Sent Items; if it is not there, put it on the queue again.",
    ),
    "rescheduled": ("`scheduled` or `queued`", "A caller gave it another time."),
    "retried": ("`queued`", "A person had it tried again."),
    "recipients_changed": (
        "`queued`",
        "A person had it tried again, to other recipients; `former_recipients` are those before.",
    ),
    "account_changed": ("`queued`", "A person had it tried again, from another account."),
    "released": ("`queued`", "A person let it go, since its account can send again."),
    "send_again": (
        "`queued`",
        "A person found that it had not been sent, and had it sent again.",
    ),
    "marked_sent": ("`sent`", "A person found that it had been sent."),
    "poisoned": (
        "`failed`",
        "The host gave up on the queue message after five failures. See the logs of that time. A whole "
        "mail may have been sent all the same: look for it in the ledger and in Sent Items before it is "
        "put on the queue again.",
    ),
}
"""Reasons that Postroom itself finds, with what becomes of the mail, and the remedy."""

_HEAD = """\
# Errors

<!-- Made by `python -m local.docs` from shared/mail: change the catalogues there, not this page. -->

Three lists: what a request can be answered, why a mail is where it is, and why a sign-in or an account
is refused. Codes do not change once they are published; titles and sentences may. Each code has an
anchor of its own, in lower case: `errors.md#aadsts50173`; those of the first list begin with `answer-`.
"""

_PROBLEMS = """\
## Answers of the API

An error is a problem document (RFC 9457, `application/problem+json`). `code` is what a program
should look at; `errors` names each field that is wrong; `help` says what to do; `request_id` is also
in the header `X-Request-Id` and in the log. Every 503 carries `Retry-After`, in seconds.
The Functions host itself answers 401 (no key, or a wrong one) and 404 (no such address), with an
empty body.
"""

_REASONS = """\
## Reasons of a mail

`GET /api/mails/{id}` shows a mail's `reason`, in its history too. What is tried again is given up,
with the last reason, when `POSTROOM_MAX_ATTEMPTS` or `POSTROOM_GIVE_UP_AFTER_HOURS` is reached; the
mail is `failed` then. A mail that came by the queue and was refused is `failed` with a code of the
list above as its reason, and its `help` says what to do at a queue.
"""

_GRAPH = """\
### Microsoft Graph's codes

The first that fits counts. Codes that are not listed are judged by the HTTP status alone, below.
"""

_STATUSES = """\
### HTTP statuses without a known code

The reason is Graph's own code where it sent one, else the word given here.
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

They decide where the number is unknown.
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
"""A status that Graph sends a code with; 400 for the rest. Some decide together with it."""

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
    """A status that Graph sends a code with."""
    return next((status for status, codes in SENT_WITH.items() if code in codes.split()), 400)


def anchor(code: str) -> str:
    """Where the page says what a code means: `errors.md#aadsts50173`."""
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
    """One row for all codes that mean the same. Those that the page has elsewhere get no anchor."""
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
