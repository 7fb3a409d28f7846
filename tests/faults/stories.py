"""Stories told by themselves, with their figures: a grant that ends, instances or workers that die."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import requests

from tests.faults.comparison import Entry, Mailbox
from tests.faults.world import World, until

ALERTS = ("account_needs_sign_in", "account_cannot_send")
"""The events that an alert rests on."""

SWEEP_EVERY = 3.0
"""Seconds between two sweeps in the second story."""


@dataclass(frozen=True)
class Revoked:
    """A grant was revoked in the middle."""

    accepted: int
    before: Counter[str]
    """Mails by status, once all that could be sent were."""
    after: Counter[str]
    """Mails by status, after the mailbox was signed in again and all came to rest."""
    copies: Counter[str | None]
    alerts: Sequence[str]

    @property
    def ended_well(self) -> bool:
        """One alert, no mail failed, all sent once."""
        once = len(self.copies) == self.accepted and set(self.copies.values()) == {1}
        held = self.before["held"] > 0 and set(self.before) == {"held", "sent"}
        return len(self.alerts) == 1 and held and once and set(self.after) == {"sent"}


def revoked_grant(world: World, box: Mailbox, mails: int) -> Revoked:
    """Half of the mails, the grant is revoked, the other half, the mailbox is signed in again."""
    known = len(list(world.events()))
    with ThreadPoolExecutor(6) as callers:
        accepted = sum(callers.map(lambda n: _send(world, box, n), range(mails // 2)))
        # In the middle: some have gone, most have not.
        _await(world, lambda ledger: any(entry.status == "sent" for entry in ledger), sweep=None)
        world.control("POST", "revoke", {"mailbox": box.address, "access_tokens": True})
        accepted += sum(callers.map(lambda n: _send(world, box, n), range(mails // 2, mails)))
    before = _by_status(_await(world, lambda ledger: _waits_for_nothing(ledger, accepted)))
    alerts = [
        event["event"]
        for event in list(world.events())[known:]
        if event["event"] in ALERTS and event.get("account") == box.alias
    ]
    world.sign_in(box)
    after = _by_status(
        _await(
            world,
            lambda ledger: (
                _waits_for_nothing(ledger, accepted)
                and all(entry.status != "held" for entry in ledger)
            ),
        )
    )
    return Revoked(
        accepted, before, after, Counter(copy.mail_id for copy in world.copies()), alerts
    )


@dataclass(frozen=True)
class Whom:
    """Who is killed in the second story. `kill` gets a choice from 0 up to 1."""

    title: str
    folder: str
    kill: Callable[[World, float], bool]


KILL_INSTANCES = Whom("every instance killed", "killed-instances", World.kill)
KILL_WORKERS = Whom("every Python worker killed", "killed-workers", World.kill_worker)


@dataclass(frozen=True)
class Killed:
    """All of them were killed while they sent."""

    mails: int
    seconds: float
    """From the SIGKILL until no mail was left `sending` or `queued`."""
    after: Counter[str]

    def within(self, lease: float) -> bool:
        """Whether it took no longer than a lease and a sweep, a bell, and what a process takes to
        start on a busy machine."""
        return self.seconds < lease + SWEEP_EVERY + 6.0


def killed_under_way(world: World, box: Mailbox, mails: int, whom: Whom) -> Killed:
    """Kill all of them in the middle of a send; measure until each mail has gone on."""
    world.control(
        "POST",
        "faults",
        [
            {"where": where, "action": "slow", "seconds": 2.5, "times": mails}
            for where in ("graph.send_mail", "graph.send_message")
        ],
    )
    with ThreadPoolExecutor(mails) as callers:
        assert all(callers.map(lambda n: _send(world, box, n), range(mails)))
    _await(world, lambda ledger: any(entry.status == "sending" for entry in ledger), sweep=None)
    for place in range(world.terms.instances):
        # Each once: the list of the instances does not change as fast as this.
        assert whom.kill(world, place / world.terms.instances)
    began = time.monotonic()
    ledger = _await(
        world,
        lambda ledger: all(entry.status not in ("sending", "queued") for entry in ledger),
        sweep=SWEEP_EVERY,
    )
    return Killed(mails, time.monotonic() - began, _by_status(ledger))


def _send(world: World, box: Mailbox, number: int) -> bool:
    """By HTTP, or where the account is refused there, by the queue. True where it was accepted."""
    mail = {
        "account": box.alias,
        "to": "ada@contoso.com",
        "subject": f"story {number:05d}",
        "text": "Good day.",
    }
    if number % 2 == 0:
        answer = requests.post(
            f"{world.stack.app_url}/api/send",
            json=mail,
            headers={"x-functions-key": world.stack.function_key, "Connection": "close"},
            timeout=30,
        )
        if answer.status_code == 202:
            return True
        assert answer.json()["code"] == "account_needs_sign_in", answer.text
    with world.queue() as queue:
        queue.send_message(json.dumps(mail))
    return True


def _await(
    world: World, done: Callable[[Sequence[Entry]], bool], sweep: float | None = 2.0
) -> list[Entry]:
    """The ledger, once it is as wanted. Sweeps meanwhile, every so many seconds."""
    due = sweep
    for passed in until(120.0):
        ledger = world.ledger()
        if done(ledger):
            return ledger
        if due is not None and sweep is not None and passed >= due:
            world.sweep()
            due += sweep
    raise AssertionError(f"the ledger did not come so far: {_by_status(ledger)}")


def _waits_for_nothing(ledger: Sequence[Entry], accepted: int) -> bool:
    settled = all(entry.status not in ("sending", "queued", "scheduled") for entry in ledger)
    return settled and len(ledger) == accepted


def _by_status(ledger: Sequence[Entry]) -> Counter[str]:
    return Counter(entry.status for entry in ledger)
