"""What follows from the outcome of an attempt: the mail as the ledger has it next.

Pure: sending and writing are `services.delivery`'s.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from shared.mail.backoff import Jitter, RetryLimit, is_exhausted, seconds_until_next
from shared.mail.delivery_mode import DeliveryMode
from shared.mail.mail import FINDING_OUT, Mail
from shared.mail.outcome import Outcome, Verdict, doubted
from shared.mail.search_plan import NOT_SENT, SearchPlan, refusal_of
from shared.mail.status import SETTLED, Status

SENT_AGAIN = "sent_again"
"""In the history of a mail that is sent again because of the setting: it may arrive twice."""


class AfterAttempt(msgspec.Struct, frozen=True):
    """What to write after an attempt."""

    mail: Mail
    outcome: Outcome
    """As it counts: a pause that is too long for a mail counts as the account's."""
    rest_until: datetime | None = None
    """Until when the mailbox rests, where Microsoft asked for a pause."""


class AttemptRules(msgspec.Struct, frozen=True):
    """The rules of an installation."""

    retry_limit: RetryLimit
    search_plan: SearchPlan
    jitter: Jitter
    send_unknown_again: bool = False
    """Whether a direct mail whose answer was lost is sent again: the setting POSTROOM_UNKNOWN."""

    def after(
        self, mail: Mail, outcome: Outcome, now: datetime, *, has_account: bool
    ) -> AfterAttempt:
        """What becomes of a mail that a worker had claimed. `has_account`: whether the account that it
        was tried with is known."""
        if has_account and self._outlasts_the_mail(mail, outcome):
            outcome = replace(outcome, verdict=Verdict.HOLD_ACCOUNT)
        match outcome.verdict:
            case Verdict.SENT:
                sent = mail.moved(
                    Status.SENT, now, request_id=outcome.request_id, help=_may_be_twice(mail)
                )
                return AfterAttempt(sent, outcome)
            case Verdict.UNKNOWN:
                return AfterAttempt(self._left_open(mail, outcome, now), outcome)
            case Verdict.AGAIN | Verdict.THROTTLED:
                next_try = self._next_try(mail, outcome, now)
                rest = next_try if outcome.verdict is Verdict.THROTTLED else None
                return AfterAttempt(self._again(mail, outcome, next_try, now), outcome, rest)
            case Verdict.HOLD_ACCOUNT | Verdict.NEEDS_SIGN_IN:
                return AfterAttempt(moved_by(mail, Status.HELD, outcome, now), outcome)
            case _:
                return AfterAttempt(moved_by(mail, Status.FAILED, outcome, now), outcome)

    def why_not_again(self, mail: Mail, now: datetime) -> str | None:
        """Why a mail that was not sent fails; None if it is sent again."""
        began = _first_attempt(mail, now)
        tried_enough = is_exhausted(self.retry_limit, mail.attempts, began, now)
        return refusal_of(mail) or (NOT_SENT if tried_enough else None)

    def _outlasts_the_mail(self, mail: Mail, outcome: Outcome) -> bool:
        """Whether a pause is longer than any mail may be retried: then the account cannot send, and
        nothing is wrong with the mail."""
        outlasts = (outcome.retry_after or 0.0) > self.retry_limit.give_up_after_seconds
        has_failed = mail.attempts >= self.retry_limit.max_attempts or outcome.draft_is_gone
        return outcome.verdict is Verdict.AGAIN and outlasts and not has_failed

    def _next_try(self, mail: Mail, outcome: Outcome, now: datetime) -> datetime:
        seconds = seconds_until_next(mail.attempts, outcome.retry_after, self.jitter)
        return now + timedelta(seconds=seconds)

    def _left_open(self, mail: Mail, outcome: Outcome, now: datetime) -> Mail:
        """It may have been sent: Postroom searches for it, a person decides, or the setting does."""
        if mail.delivery is DeliveryMode.VERIFIED:
            return self.search_plan.begun(mail, outcome, now)
        if not self.send_unknown_again:
            return moved_by(mail, Status.UNKNOWN, outcome, now)
        again = replace(
            outcome,
            reason=SENT_AGAIN,
            help=f"It may have been sent ({outcome.reason}) and is sent again all the same, as "
            "POSTROOM_UNKNOWN says: it may arrive twice.",
        )
        after = self._again(mail, again, self._next_try(mail, again, now), now)
        if after.status is not Status.FAILED:
            return after
        return moved_by(mail, Status.UNKNOWN, outcome, now)

    def _again(self, mail: Mail, outcome: Outcome, next_try: datetime, now: datetime) -> Mail:
        if outcome.draft_is_gone:
            mail = replace(mail, draft_id=None, message_id=None)
        if is_exhausted(self.retry_limit, mail.attempts, _first_attempt(mail, now), next_try):
            gave_up = replace(
                outcome,
                verdict=Verdict.FAILED,
                help=f"Given up after {mail.attempts} attempts. {outcome.help or ''}".strip(),
            )
            if mail.draft_id is not None:
                # An earlier attempt may have sent it, and its draft has to be removed.
                return self.search_plan.begun(mail, doubted(gave_up), now)
            return moved_by(mail, Status.FAILED, gave_up, now)
        return replace(moved_by(mail, Status.QUEUED, outcome, now), due_at=next_try)


def moved_by(mail: Mail, status: Status, outcome: Outcome, now: datetime) -> Mail:
    """The mail in another status, with what the outcome says of it."""
    return mail.moved(
        status,
        now,
        reason=outcome.reason,
        help=outcome.help,
        request_id=outcome.request_id,
    )


def _may_be_twice(mail: Mail) -> str | None:
    twice = any(step.reason == SENT_AGAIN for step in mail.events)
    return "It was sent again after a lost answer: it may have arrived twice." if twice else None


def _first_attempt(mail: Mail, now: datetime) -> datetime:
    """When the present attempts began. Attempts before a hold, before a person's retry, or before a
    later time that the caller asked for do not count."""
    began = now
    for step in reversed(mail.events):
        settled = step.status in SETTLED and step.reason != FINDING_OUT
        if settled or step.status is Status.SCHEDULED:
            break
        if step.status is Status.SENDING:
            began = step.at
    return began
