"""Decides when Postroom searches for a mail whose answer was lost, and what each search means.

This module is pure: `services.delivery` searches and writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from shared.mail.mail import FINDING_OUT, POISONED, Mail
from shared.mail.outcome import Evidence, Outcome, SearchResult, Verdict, remedy
from shared.mail.status import Status

DECIDING_SEARCH = 4
"""From this search on, a draft that is still a draft counts as not sent. Postroom then sends the
same draft: if it was used after all, Graph refuses it."""

NOT_SENT = "not_sent"
"""The reason of an event: a search found that the mail's draft is still a draft."""

LONGEST_UNSEEN_SECONDS = 6 * 3600.0
"""The longest wait until the next search, also if the remote asks for more."""

UNSEEN_SECONDS = 60.0
"""The wait if the mailbox cannot be searched for a moment."""
UNSEEN_ACCOUNT_SECONDS = 900.0
"""The wait if a person must first act on its account."""

_NEXT_LOOK = "Postroom searches the mailbox again at the time next_look_at."
_YOURSELF = "Look into the mailbox's Sent Items, then mark the mail as sent or have it sent again."
# These need a person. Every other cause that prevents a search ends by itself.
_PERSONS = frozenset({Verdict.HOLD_ACCOUNT, Verdict.NEEDS_SIGN_IN, Verdict.FAILED})


class SearchPlan(msgspec.Struct, frozen=True):
    """The times of the searches."""

    after_seconds: Sequence[float]
    """The waits before each search: from the lost answer to the first search, then from one to the
    next. The copy in Sent Items can appear minutes after the answer; no upper bound is published
    (UNCONFIRMED)."""
    give_up_after_seconds: float
    """How long Postroom tries to search a mailbox that cannot be searched."""

    def begun(self, mail: Mail, outcome: Outcome, now: datetime) -> Mail:
        """A verified mail after an answer that left open whether it was sent."""
        if outcome.final:
            # The last but one event says why it is not sent again: see `refusal_of`.
            mail = mail.noted(now, outcome.reason or NOT_SENT)
        return mail.moved(
            Status.UNKNOWN,
            now,
            reason=FINDING_OUT,
            help=f"Microsoft's answer left open whether it was sent ({outcome.reason}). {_NEXT_LOOK}",
            due_at=now + timedelta(seconds=self.after_seconds[0]),
            request_id=outcome.request_id,
        )

    def after(self, mail: Mail, look: SearchResult, number: int, now: datetime) -> Mail:
        """The mail after the search with this number, from 1. The mail was `unknown`, or its worker
        died.

        A mail that is not to be sent again must have lost its draft (`failed_unsent`) before this
        method counts a draft.
        """
        if look.evidence is Evidence.SENT:
            return mail.moved(Status.SENT, now)
        if look.evidence is Evidence.DRAFT and number >= DECIDING_SEARCH:
            return mail.moved(Status.QUEUED, now, reason=NOT_SENT, due_at=now, keep_draft=True)
        if look.outcome is not None:
            return self._unseen(mail, look.outcome, number, now)
        if number >= len(self.after_seconds):
            return _unsure(mail, now).given_up(
                now, "not_found", f"Neither the sent mail nor its draft was found. {_YOURSELF}"
            )
        next_look = now + timedelta(seconds=self.after_seconds[number])
        return _unsure(mail, now).looked_for(
            now, next_look, number, f"Not found in the mailbox so far. {_NEXT_LOOK}"
        )

    def _unseen(self, mail: Mail, outcome: Outcome, number: int, now: datetime) -> Mail:
        """No search took place: the same search is repeated later, within a limit."""
        if (now - _unknown_since(mail, now)).total_seconds() > self.give_up_after_seconds:
            return _unsure(mail, now).given_up(
                now,
                "could_not_look",
                f"The mailbox could not be searched ({outcome.reason}). {_YOURSELF}",
            )
        usual = UNSEEN_ACCOUNT_SECONDS if outcome.verdict in _PERSONS else UNSEEN_SECONDS
        asked = min(outcome.retry_after or usual, LONGEST_UNSEEN_SECONDS)
        next_look = now + timedelta(seconds=max(1.0, asked))
        return _unsure(mail, now).looked_for(
            now,
            next_look,
            number - 1,
            f"The mailbox could not be searched just now ({outcome.reason}). {_NEXT_LOOK}",
        )


def refusal_of(mail: Mail) -> str | None:
    """Why a mail that Postroom searches for has failed if it turns out not to be sent; else
    None."""
    before = [step for step in mail.events if step.reason != POISONED][-2:-1]
    refused = [step.reason for step in before if step.status is Status.SENDING]
    return refused[0] if refused and mail.finding_out else None


def failed_unsent(mail: Mail, now: datetime, reason: str) -> Mail:
    """A mail that was not sent and whose draft is removed: it has failed."""
    help_text = (
        f"Given up after {mail.attempts} attempts: Microsoft left each of them open, and none was "
        "sent. Retry the mail when the mailbox works again."
        if reason == NOT_SENT
        else f"{remedy(reason)} It was not sent."
    )
    return mail.moved(Status.FAILED, now, reason=reason, help=help_text)


def _unsure(mail: Mail, now: datetime) -> Mail:
    if mail.status is Status.UNKNOWN:
        return mail
    return mail.moved(Status.UNKNOWN, now, reason=FINDING_OUT)


def _unknown_since(mail: Mail, now: datetime) -> datetime:
    since = now
    for step in reversed(mail.events):
        if step.status is not Status.UNKNOWN:
            break
        since = step.at
    return since
