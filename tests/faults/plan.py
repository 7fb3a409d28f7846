"""What will go wrong and when, drawn from a seed: the same seed, the same plan.

Only the plan repeats. What it meets depends on the machine, as it does in a data centre.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Act(StrEnum):
    """One thing to do to the running stack."""

    KILL = "instance killed, host and worker"
    KILL_HOST = "host killed, its worker lives on"
    KILL_WORKER = "worker killed, its host lives on"
    STOP = "host stopped while it holds messages"
    FREEZE = "instance frozen beyond its lease"
    MICROSOFT = "fault at Microsoft"
    STORAGE_LOST = "storage request lost"
    STORAGE_UNANSWERED = "storage answer lost"
    STORAGE_RESTART = "storage killed and started again"
    BELLS = "bells doubled, late, forged"
    EXPIRE = "access tokens ended"
    REVOKE = "grant revoked, signed in again"


KILLS = (Act.KILL, Act.KILL_HOST, Act.KILL_WORKER)
"""What `make faults KILLS=` counts."""


@dataclass(frozen=True)
class Step:
    """One act. `choice`, from 0 up to 1, picks whom it meets; `rule` is for MICROSOFT."""

    at: float
    act: Act
    choice: float
    rule: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Amounts:
    """How much of each over how many seconds."""

    seconds: float
    kills: int
    host_kills: int
    worker_kills: int
    stops: int
    freezes: int
    rules: int
    storage_losses: int
    storage_restarts: int
    bells: int
    expiries: int
    revocations: int

    @property
    def all_kills(self) -> int:
        """Of instances, hosts and workers."""
        return self.kills + self.host_kills + self.worker_kills


RETRY_AFTER: Sequence[str | None] = ("1", "2", "0", "0.7", "1.5", None, "{date}", "soon", "-3")
"""Every form that has been seen, and some that should not be. `{date}` is an HTTP date to come."""

SENDS = ("graph.send_mail", "graph.send_message")
"""What commits a mail to transport."""

AROUND = (
    "graph.create_message",
    "graph.list_messages",
    "graph.get_message",
    "graph.delete_message",
    "entra.token",
    "entra.metadata",
    "key_vault.get_secret",
    "identity.token",
)
"""What a send needs before it, and what is asked when its answer was lost."""


def draw(seed: int, amounts: Amounts) -> list[Step]:
    """The plan, in order of time."""
    # A plan has to repeat; nothing here is a secret.
    dice = random.Random(seed)  # noqa: S311
    steps = [
        *_spread(dice, amounts, Act.KILL, amounts.kills),
        *_spread(dice, amounts, Act.KILL_HOST, amounts.host_kills),
        *_spread(dice, amounts, Act.KILL_WORKER, amounts.worker_kills),
        *_spread(dice, amounts, Act.STOP, amounts.stops),
        *_spread(dice, amounts, Act.FREEZE, amounts.freezes),
        *_spread(dice, amounts, Act.STORAGE_LOST, amounts.storage_losses),
        *_spread(dice, amounts, Act.STORAGE_UNANSWERED, amounts.storage_losses),
        *_spread(dice, amounts, Act.STORAGE_RESTART, amounts.storage_restarts),
        *_spread(dice, amounts, Act.BELLS, amounts.bells),
        *_spread(dice, amounts, Act.EXPIRE, amounts.expiries),
        *_spread(dice, amounts, Act.REVOKE, amounts.revocations),
    ]
    steps += [
        Step(dice.uniform(0, amounts.seconds), Act.MICROSOFT, dice.random(), rule(dice))
        for _ in range(amounts.rules)
    ]
    return sorted(steps, key=lambda step: step.at)


def rule(dice: random.Random) -> dict[str, object]:
    """One fault for the simulator's control surface."""
    where = dice.choice(SENDS) if dice.random() < 0.6 else dice.choice(AROUND)
    shape = dice.choice(_SHAPES)(dice)
    when = "before" if shape.get("status") in (429, 202) else dice.choice(("before", "after"))
    if shape.get("status") == 202:
        # Sent, and told to come again: it must not be (msgraph-sdk-java#1487).
        if where not in SENDS:
            return {"where": where, "when": "after", "action": "reset"}
        when = "after"
    return {"where": where, "when": when, **shape}


def kind_of(rule: Mapping[str, object]) -> str:
    """A rule's line in the table."""
    what = str(rule.get("action", "status"))
    if what in ("status", "html", "empty"):
        what = f"{rule.get('status', 503)}" + (f" {what}" if what != "status" else "")
    headers = rule.get("headers")
    if headers:
        what += " with Retry-After"
    return f"{rule['where']} {rule.get('when', 'before')}: {what}"


def _spread(dice: random.Random, amounts: Amounts, act: Act, count: int) -> Iterable[Step]:
    for _ in range(count):
        yield Step(dice.uniform(0, amounts.seconds), act, dice.random())


def _throttled(dice: random.Random) -> dict[str, object]:
    asked = dice.choice(RETRY_AFTER)
    headers = {} if asked is None else {"headers": {"Retry-After": asked}}
    return {"status": 429, "code": "ApplicationThrottled", **headers}


def _server_error(dice: random.Random) -> dict[str, object]:
    status = dice.choice((500, 502, 503, 504))
    found: dict[str, object] = {"status": status}
    if dice.random() < 0.4:
        found["headers"] = {"Retry-After": "1"}
    return found


_SHAPES = (
    lambda dice: {"action": "reset"},
    lambda dice: {"action": "reset"},
    # Longer than the suite's time-out of a send.
    lambda dice: {"action": "hang", "seconds": dice.choice((4.0, 6.0))},
    lambda dice: {"action": "slow", "seconds": dice.choice((0.5, 1.5))},
    lambda dice: {"action": "html", "status": dice.choice((502, 503, 504))},
    lambda dice: {"action": "empty", "status": dice.choice((500, 503))},
    lambda dice: {"action": "empty", "status": 202, "headers": {"Retry-After": "1"}},
    _throttled,
    _throttled,
    _server_error,
    _server_error,
)
