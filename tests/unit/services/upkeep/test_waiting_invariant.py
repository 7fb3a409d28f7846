"""Whatever happens, in any order and cut short anywhere: no waiting mail is lost from sight."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from unittest.mock import patch

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from shared.errors import PostroomError
from shared.mail import ids
from shared.mail.account import AccountState
from shared.mail.mail import Caller, Mail
from shared.mail.status import Status
from shared.services.upkeep import sweep
from tests.fakes import LOST, NOT_REACHED, Crash, FakeServices, account_of

STEPS = (
    "waiting.snapshot",
    "waiting.note_all",
    "waiting.mark",
    "waiting.hold_all",
    "waiting.drop",
    "waiting.unmark",
    "waiting.advance",
    "ledger.summary",
    "ledger.waiting",
    "wake_ups.enqueue",
)
WAITS = (Status.SCHEDULED, Status.QUEUED, Status.SENDING, Status.HELD)
ENDS = (Status.SENT, Status.FAILED, Status.CANCELLED, Status.UNKNOWN)


class Evidence(RuleBasedStateMachine):
    """Writers that keep to the rules of `upkeep.ports.Waiting`, and sweeps that die or overlap."""

    def __init__(self) -> None:
        super().__init__()
        self.services = FakeServices(account_of("billing", is_default=True), account_of("hr"))
        self.small = [patch.object(sweep, "PAGE", 2), patch.object(sweep, "MOST_ENQUEUED", 3)]
        for each in self.small:
            each.start()

    def teardown(self) -> None:
        for each in self.small:
            each.stop()

    @rule(
        status=st.sampled_from(WAITS),
        alias=st.sampled_from(["billing", "hr"]),
        minutes=st.integers(0, 14),
    )
    def insert(self, status: Status, alias: str, minutes: int = 0) -> None:
        """A mail, written some minutes after its id was made."""
        made = self.services.clock() - timedelta(minutes=minutes)
        self._write(ids.new_id(made, self.services.random.randbytes), status, alias)

    @rule(status=st.sampled_from(WAITS), hours=st.integers(1, 50))
    def insert_late(self, status: Status, hours: int) -> None:
        """A mail with an old id: noted first."""
        made = self.services.clock() - timedelta(hours=hours)
        mail_id = ids.new_id(made, self.services.random.randbytes)
        self.services.waiting.note(mail_id, self.services.clock())
        self._write(mail_id, status, "billing")

    @rule(data=st.data(), status=st.sampled_from((*WAITS, *ENDS)))
    def move(self, data: st.DataObject, status: Status) -> None:
        """A waiting mail moves on, or a settled one waits again, noted first."""
        if not self.services.ledger.mails:
            return
        mail = data.draw(st.sampled_from(self.services.ledger.mails))
        if mail.next_check_at is None:
            self.services.waiting.note(mail.mail_id, self.services.clock())
        self._write(mail.mail_id, status, mail.account or "")

    @rule(data=st.data(), minutes=st.integers(0, 9), meanwhile=st.integers(0, 2))
    def retry_slowly(self, data: st.DataObject, minutes: int, meanwhile: int) -> None:
        """Between the note and the change others sweep, for less than ten minutes."""
        settled = [mail for mail in self.services.ledger.mails if mail.next_check_at is None]
        if not settled:
            return
        mail = data.draw(st.sampled_from(settled))
        self.services.waiting.note(mail.mail_id, self.services.clock())
        for _ in range(meanwhile):
            self.sweep()
        self.services.clock.forward(minutes=minutes)
        self.sweep()
        self._write(mail.mail_id, Status.QUEUED, mail.account or "")

    @rule(alias=st.sampled_from(["billing", "hr"]), state=st.sampled_from(AccountState))
    def change_account(self, alias: str, state: AccountState) -> None:
        self.services.accounts.change(alias, state=state)

    @rule(minutes=st.sampled_from([0, 1, 2, 5, 14, 16, 61, 3000]))
    def wait(self, minutes: int) -> None:
        self.services.clock.forward(minutes=minutes)

    @rule()
    def sweep(self) -> None:
        self.services.upkeep.requeue_overdue()

    @rule(
        call=st.sampled_from(STEPS),
        nth=st.integers(1, 4),
        trouble=st.sampled_from([NOT_REACHED, LOST, Crash()]),
        early=st.booleans(),
    )
    def sweep_that_fails(self, call: str, nth: int, trouble: BaseException, *, early: bool) -> None:
        plan = self.services.faults.before if early else self.services.faults.after
        plan(call, trouble, nth=nth)
        with contextlib.suppress(PostroomError, Crash):
            self.services.upkeep.requeue_overdue()
        self.services.faults.forget()

    @rule(call=st.sampled_from(STEPS), nth=st.integers(1, 4), minutes=st.integers(0, 9))
    def sweeps_that_overlap(self, call: str, nth: int, minutes: int) -> None:
        def other() -> None:
            self.services.clock.forward(minutes=minutes)
            self.services.upkeep.requeue_overdue()

        self.services.faults.before(call, other, nth=nth)
        self.services.upkeep.requeue_overdue()
        self.services.faults.forget()

    @rule(call=st.sampled_from(STEPS), nth=st.integers(1, 4), status=st.sampled_from(WAITS))
    def insert_during_a_sweep(self, call: str, nth: int, status: Status) -> None:
        self.services.faults.before(call, lambda: self.insert(status, "billing"), nth=nth)
        self.services.upkeep.requeue_overdue()
        self.services.faults.forget()

    @invariant()
    def every_waiting_mail_is_in_the_range_or_in_the_index(self) -> None:
        mark = self.services.waiting.watermark
        for mail in self.services.ledger.mails:
            behind = mark is not None and ids.time_of(mail.mail_id) < mark.noted_before
            if mail.next_check_at is not None and behind:
                assert mail.mail_id in self.services.waiting.noted

    def _write(self, mail_id: str, status: Status, alias: str) -> None:
        now = self.services.clock()
        lease = now + timedelta(minutes=5) if status is Status.SENDING else None
        mail = Mail(mail_id, status, now, now, now, Caller.HTTP, alias, lease_until=lease)
        self.services.ledger.overwrite(replace(mail, reason=None))


TestSight = Evidence.TestCase
TestSight.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
