"""When a mail whose answer was lost is looked for, and what each look says about it.

Pure: looking and writing are `services.delivery`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from shared.mail.mail import FINDING_OUT, POISONED, Mail
from shared.mail.outcome import Evidence, Outcome, SearchResult, Verdict, remedy
from shared.mail.status import Status

DECIDING_SEARCH = 4
"""From this look on a draft that still is one was not sent. It is sent then, the same one: were it
used after all, Graph would refuse it."""

NOT_SENT = "not_sent"
"""A look saw that the mail's draft still is one."""

LONGEST_UNSEEN_SECONDS = 6 * 3600.0
"""No look is put off for longer, whatever the remote asks for."""

UNSEEN_SECONDS = 60.0
"""Until the next look where the mailbox could not be looked into for a moment."""
UNSEEN_ACCOUNT_SECONDS = 900.0
"""And where a person has to do something about its account first."""

_NEXT_LOOK = "Postroom looks into the mailbox again at the time next_look_at."
_YOURSELF = "Look into the mailbox's Sent Items, then say that it was sent or send it again."
# A person's matter; whatever else keeps the mailbox shut passes by itself.
_PERSONS = frozenset({Verdict.HOLD_ACCOUNT, Verdict.NEEDS_SIGN_IN, Verdict.FAILED})


class SearchPlan(msgspec.Struct, frozen=True):
    """The plan of looks."""

    after_seconds: Sequence[float]
    """Before each look: from the lost answer to the first, then from one to the next. The copy in
    Sent Items can be minutes behind the answer; no upper bound is published (UNCONFIRMED)."""
    give_up_after_seconds: float
    """For how long a mailbox that cannot be looked into is tried."""

    def begun(self, mail: Mail, outcome: Outcome, now: datetime) -> Mail:
        """A verified mail whose answer left open whether it was sent."""
        if outcome.final:
            # The line before the last says why it is not sent again: see `refusal_of`.
            mail = mail.noted(now, outcome.reason or NOT_SENT)
        return mail.moved(
            Status.UNKNOWN,
            now,
            reason=FINDING_OUT,
            help=f"Whether it was sent was left open ({outcome.reason}). {_NEXT_LOOK}",
            due_at=now + timedelta(seconds=self.after_seconds[0]),
            request_id=outcome.request_id,
        )

    def after(self, mail: Mail, look: SearchResult, number: int, now: datetime) -> Mail:
        """The mail after its look of that number, from 1. It was `unknown`, or its worker died.

        One that is not to be sent again had its draft removed (`failed_unsent`) before its draft counts here.
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
        """No look took place: the same one again later, but not for ever."""
        if (now - _unknown_since(mail, now)).total_seconds() > self.give_up_after_seconds:
            return _unsure(mail, now).given_up(
                now,
                "could_not_look",
                f"The mailbox could not be looked into ({outcome.reason}). {_YOURSELF}",
            )
        usual = UNSEEN_ACCOUNT_SECONDS if outcome.verdict in _PERSONS else UNSEEN_SECONDS
        asked = min(outcome.retry_after or usual, LONGEST_UNSEEN_SECONDS)
        next_look = now + timedelta(seconds=max(1.0, asked))
        return _unsure(mail, now).looked_for(
            now,
            next_look,
            number - 1,
            f"The mailbox could not be looked into just now ({outcome.reason}). {_NEXT_LOOK}",
        )


def refusal_of(mail: Mail) -> str | None:
    """Why a mail that is being found out has failed if it turns out not to have been sent."""
    before = [step for step in mail.events if step.reason != POISONED][-2:-1]
    refused = [step.reason for step in before if step.status is Status.SENDING]
    return refused[0] if refused and mail.finding_out else None


def failed_unsent(mail: Mail, now: datetime, reason: str) -> Mail:
    """A mail that was not sent, and whose draft is removed: it has failed."""
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
