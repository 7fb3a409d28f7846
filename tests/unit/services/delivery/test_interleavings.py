"""Workers, bells, timers, crashes and failing ports in random order: what always holds."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from functools import cache

import pytest

from shared.errors import AnswerLost, NotSent, PostroomError
from shared.mail import ids
from shared.mail.account import AccountState
from shared.mail.outcome import GraphAnswer
from shared.mail.status import Status
from shared.services.intake.outbox_message import OutboxMessage
from tests.fakes import ACCEPTED, LOST, NOT_REACHED, Crash, FakeServices, account_of, document_of

SEEDS = range(40)

CALLS = (
    "ledger.insert",
    "ledger.get",
    "ledger.update",
    "ledger.summary",
    "ledger.waiting",
    "waiting.snapshot",
    "waiting.note",
    "waiting.note_all",
    "waiting.mark",
    "waiting.hold_all",
    "waiting.drop",
    "waiting.unmark",
    "waiting.advance",
    "wake_ups.enqueue",
    "accounts.all",
    "accounts.fresh",
    "accounts.save",
    "tokens.access_token",
)

CERTAIN_NO: tuple[GraphAnswer | NotSent, ...] = (
    NotSent("graph", "not reached"),
    GraphAnswer(429, "ApplicationThrottled", 30.0),
    GraphAnswer(429, "ErrorExceededHourlyMessageLimit"),
    GraphAnswer(401, "InvalidAuthenticationToken"),
    GraphAnswer(403, "ErrorAccessDenied"),
    GraphAnswer(403, "ErrorSendAsDenied"),
)
MAY_BE_SENT: tuple[GraphAnswer | BaseException, ...] = (
    ACCEPTED,
    ACCEPTED,
    GraphAnswer(202, retry_after=1.0),
    GraphAnswer(200),
    GraphAnswer(504, "UnknownError"),
    AnswerLost("graph", "no answer came back"),
    Crash(),
)


class World:
    """A room in which things happen at random, and a book of what Graph did."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self.services = FakeServices(
            account_of("billing", is_default=True), account_of("hr"), seed=seed
        )
        self.services.graph.default = self._answer
        self.posts: dict[str, list[bool]] = defaultdict(list)
        """Per mail, for each request in turn: whether it may have been sent."""
        self.accepted: set[str] = set()
        self.messages: list[OutboxMessage] = []
        self.calm = False

    def step(self) -> None:
        """One thing happens; a port may fail, or the process die, at any call of it."""
        if self.random.random() < 0.35:
            trouble = self.random.choice([NOT_REACHED, LOST, Crash()])
            plan = self.random.choice([self.services.faults.before, self.services.faults.after])
            plan(self.random.choice(CALLS), trouble, nth=self.random.randint(1, 3))
        self.attempt(
            self.random.choice(
                [self._accept, self._drop, self._hear, self._hear, self._hear, self._timer]
            )
        )
        self.services.clock.forward(seconds=self.random.choice([0, 1, 30, 130, 310, 3700]))

    def settle(self) -> None:
        """No more trouble: everything that can still move does."""
        self.calm = True
        self.services.faults.forget()
        for alias in self.services.accounts.rows:
            self.services.accounts.change(alias, state=AccountState.READY)
        for message in self.messages:
            self.services.outbox.handle(message)
        for _ in range(30):
            self.services.clock.forward(minutes=20)
            self.services.upkeep.requeue_overdue()
            for ring in self.services.wake_ups.take_due():
                self.services.handle(ring.mail_id)

    @staticmethod
    def attempt(act: Callable[[], object]) -> None:
        """What escapes is a dead process, or a message that comes back: both are allowed."""
        try:
            act()
        except (Crash, PostroomError):
            return

    def _answer(self) -> GraphAnswer:
        mail_id = self.services.graph.posts[-1].mail_id
        refused = not self.calm and self.random.random() < 0.4
        self.posts[mail_id].append(not refused)
        if not self.calm and self.random.random() < 0.2:
            # The worker freezes for longer than its lease, and the others go on.
            self.services.clock.forward(seconds=self.random.choice([50, 301]))
            self.attempt(self._timer)
            self.attempt(lambda: self.services.handle(mail_id))
        answers = (ACCEPTED,) if self.calm else CERTAIN_NO if refused else MAY_BE_SENT
        answer = self.random.choice(answers)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _accept(self) -> None:
        self.accepted.add(self.services.accepted(account=self.random.choice(["billing", "hr"])))

    def _drop(self) -> None:
        message = self.services.message(document_of())
        self.messages.append(message)
        self.services.outbox.handle(message)

    def _hear(self) -> None:
        if self.messages and self.random.random() < 0.2:
            self.services.outbox.handle(self.random.choice(self.messages))
        elif self.services.wake_ups.enqueued:
            self.services.handle(self.random.choice(self.services.wake_ups.enqueued).mail_id)

    def _timer(self) -> None:
        self.services.upkeep.requeue_overdue()


@cache
def lived(seed: int) -> World:
    world = World(seed)
    for _ in range(50):
        world.step()
    world.settle()
    return world


@pytest.mark.parametrize("seed", SEEDS)
def test_every_accepted_mail_comes_to_rest(seed: int) -> None:
    world = lived(seed)

    rest = {mail.mail_id: mail.status for mail in world.services.ledger.mails}
    assert world.accepted <= rest.keys()
    assert set(rest.values()) <= {Status.SENT, Status.UNKNOWN, Status.FAILED}


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_sent_again_that_may_have_been_sent(seed: int) -> None:
    world = lived(seed)

    again = {mail_id: sends for mail_id, sends in world.posts.items() if any(sends[:-1])}
    assert again == {}


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_called_sent_was_sent(seed: int) -> None:
    world = lived(seed)

    sent = [mail.mail_id for mail in world.services.ledger.mails if mail.status is Status.SENT]
    assert all(world.posts[mail_id].count(True) == 1 for mail_id in sent)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_dropped_message_is_one_mail(seed: int) -> None:
    world = lived(seed)

    expected = {ids.id_of_message(m.message_id, m.inserted_at) for m in world.messages}
    assert {
        mail.mail_id for mail in world.services.ledger.mails if mail.caller == "queue"
    } == expected


def test_the_worlds_are_rough_enough_to_mean_something() -> None:
    mails = [mail for seed in SEEDS for mail in lived(seed).services.ledger.mails]

    statuses = [mail.status for mail in mails]
    assert {Status.SENT, Status.UNKNOWN, Status.FAILED} == set(statuses)
    assert statuses.count(Status.SENT) > len(mails) / 3
    assert sum(mail.attempts > 1 for mail in mails) > 30
