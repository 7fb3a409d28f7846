"""Mutations of what happens to a mail in the ledger: claim, lease, outcome, pacing."""

from __future__ import annotations

from tests.mutations.mutation import Mutation, unit

_DELIVERY = "shared/services/delivery/delivery.py"
_OUTCOME = "shared/mail/outcome.py"

CLAIM_AND_LEASE = (
    Mutation(
        "lost-claim-is-sent",
        "shared/services/delivery/claiming.py",
        "return Versioned(claimed, etag) if etag else None",
        "return Versioned(claimed, etag or found.etag)",
        "A worker that lost the race for the claim does not send.",
        unit("services/delivery/test_delivery", "services/delivery/test_interleavings"),
    ),
    Mutation(
        "living-lease-is-taken-over",
        _DELIVERY,
        "return self._abandoned(found) if mail.lease_has_run_out(now) else DeliveryResult.LEFT",
        "return self._abandoned(found)",
        "A mail whose lease has not run out is left to the worker that has it.",
        unit("services/delivery/test_delivery"),
    ),
    Mutation(
        "lease-never-runs-out",
        "shared/mail/mail.py",
        "and self.lease_until <= now\n        )",
        "and self.lease_until <= now - timedelta(days=1)\n        )",
        "A lease runs out at its time, so that the mail of a dead worker moves on.",
        unit("services/delivery/test_delivery"),
    ),
    Mutation(
        "direct-mail-of-a-dead-worker-goes-again",
        _DELIVERY,
        "if mail.delivery is not DeliveryMode.VERIFIED:",
        "if mail.draft_id is not None and mail.delivery is not DeliveryMode.VERIFIED:",
        "A mail that a dead worker may have sent directly is unknown, and is not sent again.",
        unit("services/delivery/test_delivery"),
    ),
    Mutation(
        "every-worker-has-the-same-lease-id",
        "shared/services/delivery/claiming.py",
        "lease_id=self._random(8).hex(),",
        'lease_id="0" * 16,',
        "The lease id tells the worker that holds the lease from all others.",
        unit("services/delivery/test_delivery", "services/delivery/test_interleavings"),
    ),
    Mutation(
        "request-starts-without-time",
        "shared/services/delivery/mail_lease.py",
        "return most.total_seconds() > self._request_seconds",
        "return most.total_seconds() > -1e9",
        "No request starts that could last longer than the lease or the run.",
        unit("services/delivery/test_delivery", "services/delivery/test_verified_delivery"),
    ),
    Mutation(
        "lease-is-not-renewed",
        "shared/services/delivery/mail_lease.py",
        "if self._left() <= self._lease * 2 / 3:",
        "if self._left() <= self._lease / 1000:",
        "A long upload renews the lease, so that no other worker takes the mail meanwhile.",
        unit("services/delivery/test_large", "services/delivery/test_verified_delivery"),
    ),
    Mutation(
        "lost-race-for-the-draft-is-overlooked",
        "shared/services/delivery/mail_lease.py",
        '            raise LostRace("the mail is another worker\'s by now")',
        "            etag = self.held.etag",
        "A worker whose mail is another's by now does not send its draft.",
        unit("services/delivery/test_verified_delivery"),
    ),
    Mutation(
        "mail-goes-before-its-time",
        _DELIVERY,
        "        if mail.due_at > now:\n            self._wake_ups.enqueue(mail)",
        "        if mail.due_at > now and mail.finding_out:\n            self._wake_ups.enqueue(mail)",
        "A mail that is due later is not sent now.",
        unit("services/delivery/test_delivery"),
    ),
    Mutation(
        "another-mailbox-sends-it",
        "shared/services/delivery/mailboxes.py",
        "return mail.account_id is None or account.account_id == mail.account_id",
        "return True",
        "A mail goes only from the mailbox for which it was accepted.",
        unit("services/delivery/test_delivery"),
    ),
    Mutation(
        "late-success-is-not-recorded",
        "shared/services/delivery/ledger_writes.py",
        "if mail.status is not Status.SENT or not may_follow(found.mail.status, Status.SENT):",
        "if mail.status is not Status.CANCELLED:",
        "A 202 that comes after the lease has run out makes an unknown mail sent.",
        unit("services/delivery/test_delivery"),
    ),
)

OUTCOME = (
    Mutation(
        "200-counts-as-sent",
        _OUTCOME,
        "    if status == 202:\n",
        "    if status in (200, 202):\n",
        "Only an exact 202 says that a mail was sent.",
        unit("mail/test_outcome"),
    ),
    Mutation(
        "5xx-is-sent-again",
        _OUTCOME,
        "if status >= 500 or status == 408 or code in _OPEN:\n"
        "        return _outcome(Verdict.UNKNOWN, answer)",
        "if status >= 500 or status == 408 or code in _OPEN:\n"
        "        return _outcome(Verdict.AGAIN, answer)",
        "An answer that leaves open whether the mail was sent makes it unknown.",
        unit("mail/test_outcome"),
    ),
    Mutation(
        "lost-answer-is-sent-again",
        "shared/services/delivery/sending.py",
        'Verdict.UNKNOWN,\n                "answer_lost",',
        'Verdict.AGAIN,\n                "answer_lost",',
        "A direct send whose answer is lost makes the mail unknown.",
        unit("services/delivery/test_sending", "services/delivery/test_delivery"),
    ),
    Mutation(
        "used-draft-counts-as-lost",
        _OUTCOME,
        "        if untouched:\n            gone = _told(",
        "        if True:\n            gone = _told(",
        "A draft that is missing, and may have been sent before, leaves the mail unknown.",
        unit("mail/test_outcome", "services/delivery/test_verified_delivery"),
    ),
    Mutation(
        "refusal-of-a-used-draft-is-believed",
        _OUTCOME,
        "return replace(outcome, verdict=Verdict.UNKNOWN, final=True)",
        "return outcome",
        "A refusal says nothing about an earlier attempt with the same draft.",
        unit("mail/test_outcome", "services/delivery/test_verified_delivery"),
    ),
    Mutation(
        "draft-of-another-worker-counts",
        _OUTCOME,
        "any(copy.message_id == sought.draft_id for copy in found if copy.is_draft)",
        "any(copy.is_draft for copy in found)",
        "Of the drafts with a mail's key only its own says that it was not sent.",
        unit("mail/test_outcome", "services/delivery/test_verified_delivery"),
    ),
    Mutation(
        "first-look-decides",
        "shared/mail/search_plan.py",
        "if look.evidence is Evidence.DRAFT and number >= DECIDING_SEARCH:",
        "if look.evidence is Evidence.DRAFT:",
        "A draft that still is one is sent again only after several looks.",
        unit("services/delivery/test_verified_delivery"),
    ),
    Mutation(
        "own-fault-after-the-request-is-sent-again",
        "shared/services/delivery/attempts.py",
        "if mail.draft_id is not None if verified else claim.may_have_asked:",
        "if mail.draft_id is not None:",
        "A fault of Postroom's after the request may have left makes the mail unknown.",
        unit("services/delivery/test_delivery"),
    ),
    Mutation(
        "every-broken-connection-never-left",
        "shared/adapters/http/client.py",
        "            if never_left(error):\n",
        "            if error:\n",
        "Only a request of which no byte was written counts as not sent.",
        ("tests/contract/test_graph_adapter.py",),
    ),
    Mutation(
        "unknown-mail-can-be-cancelled",
        "shared/mail/status.py",
        "Status.UNKNOWN: frozenset({Status.SENT, Status.QUEUED, Status.FAILED}),",
        "Status.UNKNOWN: frozenset(\n"
        "        {Status.SENT, Status.QUEUED, Status.FAILED, Status.CANCELLED}\n    ),",
        "A mail that may have been sent cannot be cancelled.",
        unit("mail/test_status", "mail/test_mail"),
    ),
    Mutation(
        "unknown-mail-keeps-its-draft",
        "shared/mail/mail.py",
        "again = self.status in (Status.UNKNOWN, Status.FAILED)",
        "again = self.status is Status.FAILED",
        "A mail that a person sends again begins with a new draft.",
        unit("services/delivery/test_verified_delivery"),
    ),
    Mutation(
        "retry-after-is-ignored",
        "shared/mail/backoff.py",
        "return min(max(1.0, retry_after), LONGEST_ASKED_SECONDS) * (1 + jitter() / 10)",
        "return min(max(1.0, retry_after), LONGEST_ASKED_SECONDS) * jitter() / 10",
        "Nothing is tried again before the time for which Microsoft asked.",
        unit("mail/test_backoff"),
    ),
    Mutation(
        "one-attempt-too-many",
        "shared/mail/backoff.py",
        "return attempts >= patience.max_attempts or",
        "return attempts > patience.max_attempts or",
        "A mail is tried POSTROOM_MAX_ATTEMPTS times, and no more.",
        unit("mail/test_backoff", "services/delivery/test_delivery"),
    ),
)

PACING = (
    Mutation(
        "other-instances-do-not-rest",
        "shared/services/delivery/pacing.py",
        "lambda timetable: ((), timetable.rested(until))",
        "lambda timetable: ((), timetable)",
        "A pause for which Microsoft asked counts for every instance.",
        unit("services/delivery/test_pacing"),
    ),
    Mutation(
        "slots-lie-within-the-pause",
        "shared/mail/pace.py",
        "            first = max(first, self.resting_until)\n",
        "            first = max(first, self.next_at)\n",
        "No slot lies before the end of a pause.",
        unit("mail/test_pace"),
    ),
    Mutation(
        "unasked-mails-are-not-counted",
        "shared/services/delivery/pacing.py",
        "        box.unasked.append(now)\n        box.owed += 1\n        return True",
        "        box.unasked.append(now)\n        return True",
        "A mail that went without a slot counts for the pace that all instances share.",
        unit("services/delivery/test_pacing"),
    ),
    Mutation(
        "one-mail-above-the-daily-cap",
        "shared/mail/pace.py",
        "if (given < cap and slot.date() == day)",
        "if (given <= cap and slot.date() == day)",
        "A mailbox sends at most as many mails a day as its cap says.",
        unit("mail/test_pace", "services/delivery/test_daily_cap"),
    ),
    Mutation(
        "twice-the-pace",
        "shared/mail/pace.py",
        "return timedelta(minutes=1) / self.mails_per_minute",
        "return timedelta(minutes=1) / (2 * self.mails_per_minute)",
        "Slots are as far apart as the pace says.",
        unit("mail/test_pace"),
    ),
    Mutation(
        "eight-requests-at-a-time",
        "shared/services/delivery/concurrency.py",
        "AT_A_TIME = 4\n",
        "AT_A_TIME = 8\n",
        "At most four requests for one mailbox are under way at a time.",
        unit("services/delivery/test_pacing"),
    ),
)

MUTATIONS = (*CLAIM_AND_LEASE, *OUTCOME, *PACING)
