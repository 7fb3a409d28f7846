"""Decides what an answer of Graph means for a mail. No other module decides it.

The table follows Microsoft Graph's error reference, the field reports about it, and one rule: a
mail that may have been sent is `unknown`, and is not sent again without evidence.
https://learn.microsoft.com/graph/errors
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from shared.mail import message_ids
from shared.mail.known_errors import KnownError, Retry


class GraphAnswer(msgspec.Struct, frozen=True):
    """The parts of Graph's HTTP answer that decide about a mail. It holds no text that Graph
    wrote."""

    status: int
    code: str | None = None
    """Graph's own error code, such as `ErrorSendAsDenied`."""
    retry_after: float | None = None
    """Seconds."""
    request_id: str | None = None


class Verdict(StrEnum):
    """What happens to a mail after an attempt."""

    SENT = "sent"
    AGAIN = "again"
    """Certainly not sent; try again later."""
    THROTTLED = "throttled"
    """Certainly not sent; the mailbox pauses as long as Microsoft asked, then the mail is tried
    again."""
    REFRESH = "refresh"
    """The token was refused: get a new one and try once more."""
    HOLD_ACCOUNT = "hold-account"
    """Certainly not sent; the account cannot send now, and its other mails cannot be sent
    either."""
    NEEDS_SIGN_IN = "needs-sign-in"
    """Certainly not sent; a person must sign the mailbox in again."""
    UNKNOWN = "unknown"
    """May have been sent."""
    FAILED = "failed"
    """Certainly not sent; the mail cannot be sent as it is."""


class Outcome(msgspec.Struct, frozen=True):
    """A verdict with its reason: a stable code, and a sentence that says who must do what."""

    verdict: Verdict
    reason: str | None = None
    help: str | None = None
    retry_after: float | None = None
    request_id: str | None = None
    draft_is_gone: bool = False
    """The mail's draft is gone and was certainly not sent: the next attempt makes a new one."""
    final: bool = False
    """For `UNKNOWN` only: if the mail turns out not to be sent, it has failed with this code."""


class Evidence(StrEnum):
    """What a search for a mail found."""

    SENT = "sent"
    DRAFT = "draft"
    """The mail's own draft is still a draft: nothing was sent."""
    NOTHING = "nothing"
    UNSEEN = "unseen"
    """The mailbox could not be searched: there is no evidence of anything."""


class SearchResult(msgspec.Struct, frozen=True):
    """The evidence; if the mailbox could not be searched, also the reason."""

    evidence: Evidence
    outcome: Outcome | None = None


class Sought(msgspec.Struct, frozen=True):
    """What a search finds the messages of a mail by."""

    key: str
    """The mail's id, which its messages carry."""
    draft_id: str | None = None
    message_id: str | None = None
    """The draft's Message-ID."""
    message_id_given: bool = False
    """Whether the caller gave the mail a Message-ID, in raw MIME. Other messages may have the
    same."""
    since: datetime | None = None
    """When the mail was accepted: a message that was sent before that time is another one."""

    @property
    def is_told_by_message_id(self) -> bool:
        """Whether a sent copy with the Message-ID counts as this mail though it does not show the
        key.

        Everybody who sees the mail can read its Message-ID and put it into raw MIME; only the form
        of `own_message_id` is refused there. A mail that came with a Message-ID of its own has no
        other mark if Exchange drops its key.
        """
        return self.message_id_given or message_ids.mail_id_in(self.message_id) == self.key


class Copy(msgspec.Struct, frozen=True):
    """A message of the mailbox that was found by a mail's key, Message-ID or draft."""

    message_id: str
    """The message's id in Graph."""
    is_draft: bool
    key: str | None = None
    """The key that the message carries, if known. Exchange can drop the key of a mail that went as
    MIME."""
    sent_at: datetime | None = None


DAY = 24 * 3600.0

CLOCKS_DIFFER = timedelta(minutes=2)
"""The largest difference between the clocks of Exchange and of this machine that is accepted."""

LONG_REST_SECONDS = 900.0
"""A pause up to this long only delays mails; a longer one is shown as a hold of the account."""

# Codes that stop the whole mailbox, with the seconds of the hold if Microsoft names none.
_LIMITS = {
    "ErrorSubmissionQuotaExceeded": DAY,
    "ErrorExceededMessageLimit": DAY,
    "ErrorExceededHourlyMessageLimit": 3600.0,
}

_BUSY = frozenset(
    {
        "ApplicationThrottled",
        "TooManyRequests",
        "ErrorMessageThrottled",
    }
)
_PASSING = frozenset({"ErrorMessageTransientError"})

# Field reports describe mails that arrived after each of these codes, with any status.
_OPEN = frozenset({"UnknownError", "ErrorMessageTimeout", "CommandConcurrencyLimitReached"})

TOO_LARGE = "ErrorMessageSizeExceeded"

# With any status below 500: a person has to act first.
_PERSON = frozenset(
    {
        "ErrorSendAsDenied",
        "ErrorAccessDenied",
        "Authorization_RequestDenied",
        "ErrorQuotaExceeded",
        "ErrorInvalidRecipients",
        "ErrorExceededMaxRecipientLimit",
        TOO_LARGE,
    }
)

# The mail is not at fault: its mailbox cannot send until a person acts, and only another attempt
# shows that the person did.
_MAILBOX = frozenset(
    {
        "ErrorAccountSuspend",
        "ErrorMessageSubmissionBlocked",
        "MailboxNotEnabledForRESTAPI",
        "ErrorInvalidUser",
        "ResourceNotFound",
    }
)
_MAILBOX_SECONDS = 3600.0

ACCESS_DENIED = "ErrorAccessDenied"

# The account's grant is missing; all its mails wait for it.
DENIED = frozenset({ACCESS_DENIED, "Authorization_RequestDenied"})

FITTING = {
    Verdict.AGAIN: frozenset({Retry.LATER}),
    Verdict.THROTTLED: frozenset({Retry.LATER}),
    Verdict.REFRESH: frozenset({Retry.ONCE}),
    Verdict.HOLD_ACCOUNT: frozenset({Retry.NO, Retry.LATER}),
    Verdict.NEEDS_SIGN_IN: frozenset({Retry.NO}),
    Verdict.FAILED: frozenset({Retry.NO}),
    Verdict.UNKNOWN: frozenset({Retry.LOOK}),
}
"""The values of `retry` in a row of the catalogue that fit each verdict."""


def judge_send(answer: GraphAnswer) -> Outcome:
    """Decide what the answer to a send means.

    Only an exact 202 is success: a 200 with nothing sent has been seen for oversized MIME
    (microsoft-graph-docs#13979), and a `Retry-After` beside a 202 is no request to send again
    (msgraph-sdk-java#1487).
    """
    status, code = answer.status, answer.code
    if status == 202:
        return Outcome(Verdict.SENT, request_id=answer.request_id)
    # Imported here: only an answer that is an error needs it.
    from shared.mail.known_errors import graph

    hold = _hold(answer)
    if hold is not None:
        return hold
    if status == 401:
        return _outcome(Verdict.REFRESH, answer)
    if status == 413:
        return _outcome(Verdict.FAILED, answer)
    if status >= 500 or status == 408 or code in _OPEN:
        return _outcome(Verdict.UNKNOWN, answer)
    if code not in _BUSY | _PASSING and (status in (403, 404) or code in _PERSON):
        return _outcome(Verdict.NEEDS_SIGN_IN if code in DENIED else Verdict.FAILED, answer)
    if status == 429 or code in _BUSY:
        wait = min(answer.retry_after or 0.0, DAY)
        verdict = Verdict.HOLD_ACCOUNT if wait > LONG_REST_SECONDS else Verdict.THROTTLED
        return _outcome(verdict, answer, retry_after=wait or None)
    if code in _PASSING or status in graph.CONFLICT:
        return _outcome(Verdict.AGAIN, answer)
    if status in graph.REFUSED:
        return _outcome(Verdict.FAILED, answer)
    return _outcome(Verdict.UNKNOWN, answer)


def judge_draft(answer: GraphAnswer) -> Outcome:
    """Decide what an answer to making or finishing a draft means, if it is not the success that was
    expected.

    Nothing was sent, whatever the answer is. An answer that would leave a send open is tried again
    here.
    """
    if is_missing_draft(answer):
        # A draft that was just made can be missing for a moment.
        return _told(Verdict.AGAIN, "draft_missing", "The draft was not found.", answer)
    outcome = judge_send(answer)
    if outcome.verdict in (Verdict.SENT, Verdict.UNKNOWN):
        help_text = "Microsoft's answer leaves open whether the draft was made: nothing was sent."
        return _told(Verdict.AGAIN, answer.code or f"http_{answer.status}", help_text, answer)
    return outcome


def judge_draft_send(answer: GraphAnswer, *, untouched: bool) -> Outcome:
    """Decide what the answer to sending a draft means.

    A 404 means that the draft is not a draft any more. If nobody can have sent it before
    (`untouched`), it was lost; else it may be gone because it was sent. That Graph refuses a used
    draft with a 404 is UNCONFIRMED, and no decision depends on it alone: a refusal of a draft that
    may have been sent before says nothing about the first send, and Postroom searches for the mail.
    """
    if is_missing_draft(answer):
        if untouched:
            gone = _told(Verdict.AGAIN, "draft_missing", "The draft was not found.", answer)
            return replace(gone, draft_is_gone=True)
        return _told(
            Verdict.UNKNOWN,
            "draft_used",
            "The draft is gone, as it is after it was sent.",
            answer,
        )
    if answer.code == "ErrorNonExistentMailbox":
        # Occurs from time to time while drafts are sent (microsoft-graph-docs-contrib#8823).
        return _told(
            Verdict.AGAIN, answer.code, "Exchange did not find the mailbox for a moment.", answer
        )
    outcome = judge_send(answer)
    if untouched:
        return outcome
    if outcome.verdict is Verdict.AGAIN and answer.status in (409, 412):
        # The item is in conflict or has changed, as a sent one has.
        return replace(outcome, verdict=Verdict.UNKNOWN)
    return doubted(outcome)


def doubted(outcome: Outcome) -> Outcome:
    """The failure of a mail whose draft may have been sent before: it is unknown until a search."""
    if outcome.verdict is not Verdict.FAILED:
        return outcome
    return replace(outcome, verdict=Verdict.UNKNOWN, final=True)


def remedy(code: str) -> str:
    """Who must do what about a mail that Graph refused with this code."""
    from shared.mail.known_errors import graph

    return (graph.ROWS.get(code) or graph.of_reason(code) or graph.of_status(403)).words


def is_missing_draft(answer: GraphAnswer) -> bool:
    """Whether the draft was not found (and not the mailbox or the user)."""
    return answer.status == 404 and answer.code in (None, "ErrorItemNotFound")


def judge_look(answer: GraphAnswer, copies: Iterable[Copy], sought: Sought) -> SearchResult:
    """Decide what the answer to a search for a mail means.

    A copy with the mail's key that is not a draft shows that the mail was sent. A copy without a
    key shows nothing, unless the mail is identified by its Message-ID (see `Sought`). Then it shows
    that the mail was sent, if the mail's own draft is gone. If the draft is still there, the copy
    can belong to another mail with the same Message-ID, and nothing is decided. Other drafts with
    the mail's key do not count: workers that died left them.
    """
    if answer.status != 200:
        return SearchResult(Evidence.UNSEEN, judge_draft(answer))
    found = [copy for copy in copies if _may_be(copy, sought)]
    sent = [copy for copy in found if not copy.is_draft]
    if any(copy.key is not None for copy in sent):
        return SearchResult(Evidence.SENT)
    has_draft = any(copy.message_id == sought.draft_id for copy in found if copy.is_draft)
    if has_draft == bool(sent):
        return SearchResult(Evidence.NOTHING)
    return SearchResult(Evidence.DRAFT if has_draft else Evidence.SENT)


def _may_be(copy: Copy, sought: Sought) -> bool:
    if copy.key is not None:
        return copy.key.casefold() == sought.key.casefold()
    if not copy.is_draft and not sought.is_told_by_message_id:
        return False
    if copy.sent_at is None or sought.since is None:
        return True
    return copy.sent_at >= sought.since - CLOCKS_DIFFER


def _hold(answer: GraphAnswer) -> Outcome | None:
    """The outcome of an answer that stops the whole mailbox, and not only this mail; else None."""
    code = answer.code or ""
    if code in _LIMITS:
        seconds = answer.retry_after or _LIMITS[code]
    elif code in _MAILBOX and answer.status < 500:
        seconds = _MAILBOX_SECONDS
    else:
        return None
    return _outcome(Verdict.HOLD_ACCOUNT, answer, retry_after=seconds)


def _outcome(verdict: Verdict, answer: GraphAnswer, *, retry_after: float | None = None) -> Outcome:
    """An outcome with the catalogue's words."""
    row = _row(verdict, answer)
    return _told(verdict, answer.code or row.code, row.words, answer, retry_after=retry_after)


def _row(verdict: Verdict, answer: GraphAnswer) -> KnownError:
    """The catalogue's row of the code, unless the status gives it another meaning."""
    from shared.mail.known_errors import graph

    row = graph.ROWS.get(answer.code or "")
    named = row is not None and row.retry in FITTING[verdict]
    if row is None or not named or (answer.status == 413 and answer.code != TOO_LARGE):
        return graph.of_status(answer.status)
    return row


def _told(
    verdict: Verdict,
    reason: str,
    help_text: str,
    answer: GraphAnswer,
    *,
    retry_after: float | None = None,
) -> Outcome:
    return Outcome(verdict, reason, help_text, retry_after or answer.retry_after, answer.request_id)
