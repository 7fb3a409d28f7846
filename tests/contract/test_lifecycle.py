"""The whole life of mails against real tables: callers, workers and people of three instances, a
Graph that answers as it likes, lost answers, dying workers and moving clocks, in any order.

`POSTROOM_LIFECYCLE_EXAMPLES=2000` looks at that many histories, new ones in each run; without it
the same few are looked at each time.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import hypothesis.strategies as st
import pytest
from azure.data.tables import TableServiceClient
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from local.azurite import Azurite
from shared.adapters.storage.accounts_table import AccountsTable
from shared.adapters.storage.clients import Storage
from shared.adapters.storage.keys_table import KeysTable
from shared.adapters.storage.mails_table import MailsTable
from shared.adapters.storage.timetable_rows import TimetableRows
from shared.adapters.storage.waiting_table import WaitingTable
from shared.errors import AnswerLost, LostRace, NotSent, PostroomError
from shared.mail.account import Account, AccountState
from shared.mail.account_list import AccountList
from shared.mail.address import Address
from shared.mail.mail import MAX_EVENTS, Event, Mail, MailFilter, MailPage
from shared.mail.outcome import GraphAnswer
from shared.mail.pace import Timetable
from shared.mail.status import WAITING, Status, may_follow
from shared.services.intake.ports import KeyClaim
from shared.services.mails.change_rules import Recipients
from shared.services.mails.changes import Decision
from shared.services.mails.ports import MailSummary, Span, Versioned, WaitingPage
from shared.settings import StorageSettings
from tests.fakes import (
    ACCEPTED,
    LOST,
    NOT_REACHED,
    Crash,
    FakeServices,
    Faults,
    MemoryAccounts,
    MemoryKeys,
    MemoryLedger,
    MemoryTimetables,
    Outside,
    account_of,
    document_of,
)

EXAMPLES = int(os.environ.get("POSTROOM_LIFECYCLE_EXAMPLES", "0"))
INSTANCES = 3
PATIENT = pytest.mark.timeout(0 if EXAMPLES else 300)
GRACE = Recipients(to=(Address("grace@example.com"),))

# What a Graph that was reached did, and what it said: (delivered, answer).
ANSWERS: dict[str, tuple[bool, GraphAnswer | BaseException]] = {
    "202": (True, ACCEPTED),
    "202 lost": (True, AnswerLost("graph", "no answer came back")),
    "lost on the way": (False, AnswerLost("graph", "no answer came back")),
    "not reached": (False, NotSent("graph", "not reached")),
    "504 after sending": (True, GraphAnswer(504, "UnknownError")),
    "503": (False, GraphAnswer(503)),
    "429": (False, GraphAnswer(429, "ApplicationThrottled", 30.0)),
    "limit": (False, GraphAnswer(429, "ErrorExceededHourlyMessageLimit")),
    "403": (False, GraphAnswer(403, "ErrorSendAsDenied")),
    "worker dies before": (False, Crash()),
    "worker dies after": (True, Crash()),
}
FAULTS: dict[str, tuple[str, BaseException]] = {
    "lost": ("after", LOST),
    "lost without effect": ("before", LOST),
    "not reached": ("before", NOT_REACHED),
    "dies before": ("before", Crash()),
    "dies after": ("after", Crash()),
}
CALLS = ("ledger.insert", "ledger.get", "ledger.update", "wake_ups.enqueue", "keys.claim")
OPERATIONS = ("cancel", "put off", "now", "retry", "other", "sent", "again", "release")
MEANWHILE = ("hear", "sweep", "lease runs out", *OPERATIONS)


class TableLedger(MemoryLedger):
    """The real table behind the fakes' faults."""

    def __init__(self, faults: Faults, table: MailsTable, *, careless: bool) -> None:
        super().__init__(faults)
        self._table = table
        self._careless = careless

    def insert(self, mail: Mail) -> str:
        with self._faults.around("ledger.insert"):
            return self._table.insert(mail)

    def get(self, mail_id: str) -> Versioned | None:
        with self._faults.around("ledger.get"):
            return self._table.get(mail_id)

    def update(self, mail: Mail, etag: str, *, new_payload: bool = False) -> str:
        with self._faults.around("ledger.update"):
            if self._careless:
                found = self._table.get(mail.mail_id)
                etag = found.etag if found is not None else etag
            return self._table.update(mail, etag, new_payload=new_payload)

    def page(self, wanted: MailFilter, size: int, cursor: str | None) -> MailPage:
        with self._faults.around("ledger.page"):
            return self._table.page(wanted, size, cursor)

    def summary(self, mail_id: str) -> MailSummary | None:
        with self._faults.around("ledger.summary"):
            return self._table.summary(mail_id)

    def waiting(
        self, span: Span, most: int, cursor: str | None = None, *, held_for: str | None = None
    ) -> WaitingPage:
        with self._faults.around("ledger.waiting"):
            return self._table.waiting(span, most, cursor, held_for=held_for)


class TableKeys(MemoryKeys):
    """The real table behind the fakes' faults."""

    def __init__(self, faults: Faults, table: KeysTable) -> None:
        super().__init__(faults)
        self._table = table

    def claim(self, key: str, claim: KeyClaim) -> KeyClaim:
        with self._faults.around("keys.claim"):
            return self._table.claim(key, claim)

    def find(self, key: str) -> KeyClaim | None:
        with self._faults.around("keys.find"):
            return self._table.find(key)


class TableAccounts(MemoryAccounts):
    """The real table behind the fakes' faults; each instance has a memory of its own."""

    def __init__(self, faults: Faults, table: AccountsTable) -> None:
        super().__init__(faults)
        self._table = table

    def all(self, *, fresh: bool = False) -> AccountList:
        with self._faults.around("accounts.fresh" if fresh else "accounts.all"):
            return self._table.all(fresh=fresh)

    def save(self, account: Account) -> Account:
        with self._faults.around("accounts.save"):
            return self._table.save(account)


class TableTimetables(MemoryTimetables):
    """The real table behind the fakes' faults."""

    def __init__(self, faults: Faults, table: TimetableRows) -> None:
        super().__init__(faults)
        self._table = table

    def read(self, account_id: str) -> tuple[Timetable, str | None]:
        return self._table.read(account_id)

    def write(self, account_id: str, timetable: Timetable, etag: str | None) -> str:
        return self._table.write(account_id, timetable, etag)


class Tables:
    """Azurite, and new tables of it."""

    def __init__(self, connection_string: str) -> None:
        self._service = TableServiceClient.from_connection_string(connection_string)
        self._storage = Storage(StorageSettings(connection_string=connection_string), None)

    def close(self) -> None:
        self._service.close()
        self._storage.close()

    def instances(self, *, careless: bool) -> list[FakeServices]:
        """Instances of the app that share nothing but storage, Microsoft and the time."""
        mails, keys, accounts, waiting = (self._new() for _ in range(4))
        first = Outside()
        rooms = []
        for number in range(INSTANCES):
            outside = Outside()
            outside.clock, outside.faults = first.clock, first.faults
            outside.graph, outside.wake_ups, outside.tokens = (
                first.graph,
                first.wake_ups,
                first.tokens,
            )
            outside.payloads, outside.files = first.payloads, first.files
            outside.drafts = first.drafts
            outside.ledger = TableLedger(first.faults, MailsTable(lambda: mails), careless=careless)
            outside.waiting = WaitingTable(lambda: waiting, first.clock)  # type: ignore[assignment]
            outside.keys = TableKeys(first.faults, KeysTable(lambda: keys))
            seconds = lambda: first.clock.now.timestamp()  # noqa: E731
            outside.accounts = TableAccounts(first.faults, AccountsTable(lambda: accounts, seconds))
            outside.timetables = TableTimetables(first.faults, TimetableRows(lambda: accounts))
            rooms.append(FakeServices(seed=number, mails_per_minute=30, outside=outside))
        rooms[0].accounts.save(account_of())
        return rooms

    def _new(self) -> Any:
        name = f"t{uuid4().hex}"
        self._service.create_table(name)
        return self._storage.table(name)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tables]:
    with Azurite(log=tmp_path_factory.mktemp("azurite") / "azurite.log") as azurite:
        found = Tables(azurite.connection_string)
        yield found
        found.close()


class Life(RuleBasedStateMachine):
    """Things that happen, and what holds after each of them."""

    tables: Tables
    careless = False

    @initialize()
    def open(self) -> None:
        self.rooms = self.tables.instances(careless=self.careless)
        self.services = self.rooms[0]
        self.faults, self.clock, self.graph = (
            self.services.faults,
            self.services.clock,
            self.services.graph,
        )
        self.known: list[str] = []
        """Mails of which somebody was told that they are accepted."""
        self.messages: list[Any] = []
        self.delivered: Counter[str] = Counter()
        self.stories: dict[str, tuple[Event, ...]] = {}
        self.graph.default = lambda: self._answer("202")

    @rule(
        instance=st.integers(0, INSTANCES - 1),
        key=st.sampled_from([None, None, "a", "b"]),
        later=st.sampled_from([0, 0, 60, 86400 * 8]),
        fault=st.none() | st.tuples(st.sampled_from(CALLS), st.sampled_from(sorted(FAULTS))),
    )
    def accept(self, instance: int, key: str | None, later: int, fault: Any) -> None:
        due = (self.clock.now + timedelta(seconds=later)).isoformat() if later else None
        self._plan(fault)
        with self._tolerant():
            receipt = self.rooms[instance].accept(idempotency_key=key, scheduled_at=due)
            self._note(receipt.mail.mail_id)

    @rule(
        instance=st.integers(0, INSTANCES - 1),
        repeated=st.booleans(),
        answer=st.sampled_from(sorted(ANSWERS)),
        fault=st.none() | st.tuples(st.sampled_from(CALLS), st.sampled_from(sorted(FAULTS))),
    )
    def drop(self, instance: int, repeated: bool, answer: str, fault: Any) -> None:
        if not (repeated and self.messages):
            self.messages.append(self.services.message(json.loads(json.dumps(document_of()))))
        self._plan(fault)
        self.graph.answers = [lambda: self._answer(answer)]
        with self._tolerant():
            self.rooms[instance].outbox.handle(self.messages[-1])

    @precondition(lambda self: self.known)
    @rule(
        instance=st.integers(0, INSTANCES - 1),
        which=st.integers(0, 20),
        answer=st.sampled_from(sorted(ANSWERS)),
        fault=st.none() | st.tuples(st.sampled_from(CALLS), st.sampled_from(sorted(FAULTS))),
    )
    def handle(self, instance: int, which: int, answer: str, fault: Any) -> None:
        """A worker hears a bell, early, late or for the tenth time."""
        self._plan(fault)
        self.graph.answers = [lambda: self._answer(answer)]
        with self._tolerant():
            self.rooms[instance].handle(self._mail(which))

    @precondition(lambda self: self.known)
    @rule(
        instance=st.integers(0, INSTANCES - 1),
        which=st.integers(0, 20),
        answer=st.sampled_from(sorted(ANSWERS)),
        meanwhile=st.lists(st.sampled_from(MEANWHILE), min_size=1, max_size=3),
        moment=st.sampled_from(["ledger.update", "tokens.access_token", "graph.send_mail"]),
    )
    def hear_slowly(
        self, instance: int, which: int, answer: str, meanwhile: list[str], moment: str
    ) -> None:
        """A worker is at a mail, and other things happen to that mail meanwhile."""
        mail_id = self._mail(which)
        in_sending = moment == "graph.send_mail"

        def others() -> None:
            for action in meanwhile:
                with self._tolerant():
                    self._act((instance + 1) % INSTANCES, action, mail_id)

        def answered() -> GraphAnswer:
            # Delivered first: a request that the lease allowed does not reach Graph after its end.
            found = self._outcome(answer)
            if in_sending:
                others()
            return self._given(found)

        self.graph.answers = [answered]
        if not in_sending:
            self.faults.before(moment, others)
        with self._tolerant():
            self.rooms[instance].handle(mail_id)

    @precondition(lambda self: self.known)
    @rule(
        instance=st.integers(0, INSTANCES - 1),
        which=st.integers(0, 20),
        operation=st.sampled_from(OPERATIONS),
        fault=st.none() | st.tuples(st.sampled_from(CALLS), st.sampled_from(sorted(FAULTS))),
    )
    def change(self, instance: int, which: int, operation: str, fault: Any) -> None:
        """A caller or a person changes a mail."""
        self._plan(fault)
        with self._tolerant():
            self._act(instance, operation, self._mail(which))

    @precondition(lambda self: self.known)
    @rule(
        instance=st.integers(0, INSTANCES - 1),
        which=st.integers(0, 20),
        operation=st.sampled_from(OPERATIONS),
        meanwhile=st.lists(st.sampled_from(MEANWHILE), min_size=1, max_size=3),
    )
    def change_slowly(
        self, instance: int, which: int, operation: str, meanwhile: list[str]
    ) -> None:
        """Other things happen to the mail between reading and writing it."""
        mail_id = self._mail(which)

        def others() -> None:
            for action in meanwhile:
                with self._tolerant():
                    self._act((instance + 1) % INSTANCES, action, mail_id)

        self.faults.before("ledger.update", others)
        with self._tolerant():
            self._act(instance, operation, mail_id)

    @rule(instance=st.integers(0, INSTANCES - 1))
    def sweep(self, instance: int) -> None:
        with self._tolerant():
            self._act(instance, "sweep", "")

    @rule(seconds=st.sampled_from([1, 20, 130, 301, 3600, 86400]))
    def pass_time(self, seconds: int) -> None:
        self.clock.forward(seconds=seconds)

    @rule(state=st.sampled_from([AccountState.READY, AccountState.NEEDS_SIGN_IN]))
    def sign(self, state: AccountState) -> None:
        self._sign(state)

    @invariant()
    def holds(self) -> None:
        """What was accepted is there; stories are legal and final ones stay; nobody gets two."""
        if not hasattr(self, "rooms"):
            return
        self.faults.forget()
        self.graph.answers = []
        mails = {mail.mail_id: mail for mail in self._all()}
        assert set(self.known) <= mails.keys(), "an accepted mail is missing"
        assert self.stories.keys() <= mails.keys(), "a mail has gone"
        for mail_id, mail in mails.items():
            self._check_story(mail)
            copies = self.delivered[mail_id]
            allowed = 1 + sum(event.reason == "send_again" for event in mail.events)
            assert copies <= allowed, f"{copies} copies of one mail"
            if copies == allowed:
                settled = mail.status in (Status.SENDING, Status.SENT, Status.UNKNOWN)
                assert settled, f"delivered, and {mail.status}"
            if mail.status is Status.SENT and mail.reason != "marked_sent":
                assert copies, "said to be sent, and never was"
            self.stories[mail_id] = mail.events
            self._note(mail_id)

    def teardown(self) -> None:
        """Once nothing goes wrong any more, every mail comes to an end, by bells and timer alone."""
        if not hasattr(self, "rooms"):
            return
        self.holds()
        self._sign(AccountState.READY)
        for _ in range(12):
            waiting = [
                mail.mail_id
                for mail in self._all()
                if mail.status in WAITING or mail.status is Status.HELD
            ]
            if not waiting:
                break
            self.clock.forward(days=1)
            self.rooms[1].upkeep.requeue_overdue()
            for ring in self.services.wake_ups.take_due():
                self.rooms[2].handle(ring.mail_id)
        else:
            raise AssertionError(f"{len(waiting)} mails wait for ever")
        self.holds()

    def _check_story(self, mail: Mail) -> None:
        history, before = mail.events, self.stories.get(mail.mail_id, ())
        assert history[-1].status is mail.status
        if len(history) < MAX_EVENTS:
            assert history[: len(before)] == before, "a story was written anew"
            for one, other in pairwise(history):
                legal = one.status is other.status or may_follow(one.status, other.status)
                assert legal, f"{one.status} to {other.status}"
        if before and before[-1].status in (Status.SENT, Status.CANCELLED):
            assert mail.status is before[-1].status, "what was final has changed"

    def _act(self, instance: int, action: str, mail_id: str) -> None:
        services = self.rooms[instance]
        actions: dict[str, Callable[[], object]] = {
            "hear": lambda: services.handle(mail_id),
            "sweep": lambda: self._ring(services),
            "lease runs out": lambda: self.clock.forward(seconds=301),
            "cancel": lambda: services.changes.cancel(mail_id),
            "put off": lambda: services.changes.reschedule(
                mail_id, self.clock.now + timedelta(hours=1)
            ),
            "now": lambda: services.changes.reschedule(mail_id, None),
            "retry": lambda: services.changes.retry(mail_id),
            "other": lambda: services.changes.retry(mail_id, GRACE),
            "sent": lambda: services.changes.resolve(mail_id, Decision.SENT),
            "again": lambda: services.changes.resolve(mail_id, Decision.SEND_AGAIN),
            "release": lambda: services.changes.release(mail_id),
        }
        actions[action]()

    def _ring(self, services: FakeServices) -> None:
        services.upkeep.requeue_overdue()
        for ring in services.wake_ups.take_due():
            services.handle(ring.mail_id)

    def _sign(self, state: AccountState) -> None:
        # A repeated write whose first answer was lost is told as a lost race: it is looked at anew.
        for _ in range(3):
            (account,) = self.services.accounts.all(fresh=True)
            try:
                self.services.accounts.save(
                    replace(account, state=state, reason=None, held_until=None)
                )
            except LostRace:
                continue
            return
        raise AssertionError("the account was never saved")

    def _answer(self, name: str) -> GraphAnswer:
        return self._given(self._outcome(name))

    def _outcome(self, name: str) -> GraphAnswer | BaseException:
        delivered, answer = ANSWERS[name]
        self.delivered[self.graph.posts[-1].mail_id] += delivered
        return answer

    @staticmethod
    def _given(answer: GraphAnswer | BaseException) -> GraphAnswer:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _plan(self, fault: tuple[str, str] | None) -> None:
        if fault is not None:
            call, name = fault
            when, trouble = FAULTS[name]
            (self.faults.before if when == "before" else self.faults.after)(call, trouble)

    def _tolerant(self) -> Any:
        """Refusals, outages and deaths are part of life; a bug is not."""
        return _Tolerant()

    def _mail(self, which: int) -> str:
        """One of those that can still change, as long as there are any."""
        final = (Status.SENT, Status.CANCELLED)
        moving = [
            mail_id
            for mail_id in self.known
            if mail_id not in self.stories or self.stories[mail_id][-1].status not in final
        ]
        found = moving if moving and which < 18 else self.known
        return found[which % len(found)]

    def _note(self, mail_id: str) -> None:
        if mail_id not in self.known:
            self.known.append(mail_id)

    def _all(self) -> Iterator[Mail]:
        cursor = None
        while True:
            page = self.services.ledger.page(MailFilter(), 100, cursor)
            yield from page.mails
            cursor = page.cursor
            if cursor is None:
                return


class _Tolerant:
    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, PostroomError | Crash)


def run(machine: type[Life], **changes: Any) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            **{
                "max_examples": EXAMPLES or 15,
                "stateful_step_count": 30,
                "derandomize": not EXAMPLES,
                "deadline": None,
                "report_multiple_bugs": False,
                "database": None,
                "suppress_health_check": list(HealthCheck),
                **changes,
            }
        ),
    )


@PATIENT
def test_nothing_illegal_is_lost_or_doubled_in_any_order(tables: Tables) -> None:
    run(type("Life", (Life,), {"tables": tables}))
