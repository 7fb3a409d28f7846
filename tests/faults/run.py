"""One run: callers send, things break, everything comes to rest, and then it is compared."""

from __future__ import annotations

import heapq
import itertools
import random
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TextIO

import requests

from local.browser import BrowserError
from local.demo import DemoError
from tests.faults.callers import Callers, TokenResponse
from tests.faults.comparison import (
    Copy,
    Entry,
    Evidence,
    Mailbox,
    Violation,
    is_settled,
    violations,
)
from tests.faults.plan import KILLS, Act, Amounts, Step, draw, kind_of
from tests.faults.world import WRITTEN_SECONDS, World, until, wake_up_for

DIRECT = tuple(Mailbox(f"direct{n}", f"direct{n}@contoso.com") for n in range(1, 5))
"""Accounts with Mail.Send alone."""

VERIFIED = tuple(
    Mailbox(f"verified{n}", f"verified{n}@contoso.com", verified=True) for n in range(1, 4)
)
"""Accounts with Mail.ReadWrite as well."""
BOTH = (*DIRECT[:3], *VERIFIED)

_REST_SECONDS = 150.0
_SWEEP_EVERY = 2.0
_AHEAD_SECONDS = 3.0
"""How far the plan may be ahead of the mails that were taken on."""
_LONGEST = 15
"""A run may take so many times as long as its plan."""
_COUNTED_ELSEWHERE = (Act.MICROSOFT, Act.STORAGE_LOST, Act.STORAGE_UNANSWERED)
"""Set up in advance; whether they meet anything shows later."""


@dataclass(frozen=True)
class Result:
    """What a run came to."""

    seed: int
    seconds: float
    told: TokenResponse
    evidence: Evidence
    violations: Sequence[Violation]
    faults: Counter[str]
    """How often each kind of fault really met something."""
    phases: Mapping[str, float]
    """Seconds at which each ended."""
    trouble: Sequence[str] = ()
    """What kept the run from being a fair one, such as a mailbox that could not be signed in."""

    @property
    def kills(self) -> int:
        """How many instances, hosts and workers were killed."""
        return sum(self.faults[act] for act in KILLS)


@dataclass
class Progress:
    """One line that is written anew on a terminal; nothing elsewhere."""

    stream: TextIO = field(default_factory=lambda: sys.stderr)

    def show(self, text: str) -> None:
        """What is going on now."""
        if self.stream.isatty():
            self.stream.write(f"\r\x1b[2K{text}")
            self.stream.flush()

    def clear(self) -> None:
        """Nothing is going on any more."""
        self.show("")


class Run:
    """Disturbs a world while callers send."""

    def __init__(
        self, world: World, seed: int, mails: int, amounts: Amounts, progress: Progress
    ) -> None:
        self._world = world
        self._seed = seed
        self._mails = mails
        self._amounts = amounts
        self._progress = progress
        self._faults: Counter[str] = Counter()
        self._trouble: list[str] = []
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._began = time.monotonic()
        self._storage_is_down = False
        self._signing_in: list[threading.Thread] = []
        self._dice = random.Random(seed)  # noqa: S311 - repeats, and is no secret
        self._callers = Callers(world.stack, world.queue, world.mailboxes, seed)

    def go(self) -> Result:
        """All of it."""
        plan = draw(self._seed, self._amounts)
        self._began = time.monotonic()
        self._callers.start(self._mails / self._amounts.seconds)
        phases = {}
        self._disturb(plan)
        phases["plan"] = self._now()
        self._callers.finish(120.0)
        phases["callers"] = self._now()
        self._mend()
        phases["mended"] = self._now()
        ledger, copies = self._rest()
        told = self._callers.told
        evidence = Evidence(
            told.accepted,
            told.dropped,
            ledger,
            copies,
            {box.alias: box for box in self._world.mailboxes},
        )
        self._progress.clear()
        return Result(
            self._seed,
            self._now(),
            told,
            evidence,
            violations(evidence),
            self._faults,
            phases,
            self._trouble,
        )

    def _disturb(self, plan: Sequence[Step]) -> None:
        steps, sweep = deque(plan), 0.0
        while steps or self._later or self._callers.told.count < self._mails:
            now = self._now()
            while steps and steps[0].at <= self._plan_time(now):
                self._do(steps.popleft())
            while self._later and self._later[0][0] <= now:
                heapq.heappop(self._later)[2]()
            if now > sweep:
                self._world.sweep()
                sweep = now + _SWEEP_EVERY
            self._tell("sending")
            time.sleep(0.02)
            if now > _LONGEST * self._amounts.seconds + 120:
                raise AssertionError("the callers do not get rid of their mails")

    def _plan_time(self, now: float) -> float:
        """The plan goes on as the mails do: on a slow machine instances would be killed faster
        than they start, and nothing else would ever happen."""
        done = self._callers.told.count / self._mails
        return min(now, done * self._amounts.seconds + _AHEAD_SECONDS)

    def _now(self) -> float:
        return time.monotonic() - self._began

    def _after(self, seconds: float, work: Callable[[], None]) -> None:
        heapq.heappush(self._later, (self._now() + seconds, next(self._numbers), work))

    def _do(self, step: Step) -> None:
        """One act. What cannot be done now is done a little later."""
        acts: dict[Act, Callable[[Step], float | None]] = {
            Act.KILL: lambda step: _later(0.3, self._world.kill(step.choice)),
            Act.KILL_HOST: lambda step: _later(0.3, self._world.kill_host(step.choice)),
            Act.KILL_WORKER: lambda step: _later(0.3, self._world.kill_worker(step.choice)),
            Act.STOP: lambda step: _later(0.05, self._world.stop_one(step.choice)),
            Act.FREEZE: self._freeze,
            Act.MICROSOFT: self._break_microsoft,
            Act.STORAGE_LOST: lambda step: self._world.relay.cut_next("before"),
            Act.STORAGE_UNANSWERED: lambda step: self._world.relay.cut_next("after"),
            Act.STORAGE_RESTART: self._kill_storage,
            Act.BELLS: self._ring,
            Act.EXPIRE: self._expire,
            Act.REVOKE: self._revoke,
        }
        later = acts[step.act](step)
        if later is not None:
            self._after(later, lambda: self._do(step))
        elif step.act not in _COUNTED_ELSEWHERE:
            self._faults[step.act] += 1

    def _freeze(self, step: Step) -> float | None:
        instance = self._world.freeze(step.choice)
        if instance is None:
            return 1.0
        beyond_the_lease = self._world.terms.lease + 1 + 3 * step.choice
        self._after(beyond_the_lease, lambda: self._world.thaw(instance))
        return None

    def _break_microsoft(self, step: Step) -> None:
        self._world.control("POST", "faults", _dated(step))

    def _kill_storage(self, step: Step) -> float | None:
        if self._storage_is_down:
            return 3.0
        self._storage_is_down = True
        self._world.cut_storage()
        self._after(WRITTEN_SECONDS, self._restart_storage)
        return None

    def _restart_storage(self) -> None:
        self._world.restart_storage()
        self._storage_is_down = False

    def _ring(self, step: Step) -> float | None:
        """Ring for some mails again, now and later, and for one that never was."""
        if self._storage_is_down:
            return 3.0
        told = self._callers.told.accepted
        known = [answer.mail_id for answer in self._dice.sample(told, min(4, len(told)))]
        forged = f"0199a000-0000-7000-8000-{self._dice.getrandbits(48):012x}"
        with self._world.queue(through_the_wire=False) as queue:
            for mail_id in [*known, *known[:2], forged]:
                late = self._dice.choice((0, 0, 1, 4))
                queue.send_message(wake_up_for(mail_id), visibility_timeout=late)
        return None

    def _box(self, step: Step) -> Mailbox:
        return self._world.mailboxes[int(step.choice * len(self._world.mailboxes))]

    def _expire(self, step: Step) -> None:
        self._world.control("POST", "expire-access-tokens", {"mailbox": self._box(step).address})

    def _revoke(self, step: Step) -> None:
        # The stories are about direct ones.
        boxes = [box for box in self._world.mailboxes if box.verified] or self._world.mailboxes
        box = boxes[int(step.choice * len(boxes))]
        self._world.control("POST", "revoke", {"mailbox": box.address, "access_tokens": True})
        thread = threading.Thread(target=self._sign_in_again, args=(box, 5.0), daemon=True)
        thread.start()
        self._signing_in.append(thread)

    def _sign_in_again(self, box: Mailbox, after: float) -> None:
        """An administrator who tries until it works, whatever else is broken."""
        time.sleep(after)
        for _ in range(40):
            try:
                self._world.sign_in(box)
                return
            except (DemoError, BrowserError, OSError, requests.RequestException):
                time.sleep(1.0)
        self._trouble.append(f"{box.alias} could not be signed in again")

    def _mend(self) -> None:
        """Nothing is broken from here on."""
        world = self._world
        world.thaw_all()
        for rule in world.control("GET", "faults")["faults"]:
            if rule["fired"]:
                self._faults[kind_of(rule)] += rule["fired"]
        world.control("DELETE", "faults")
        self._faults[Act.STORAGE_LOST] = world.relay.cuts["before"]
        self._faults[Act.STORAGE_UNANSWERED] = world.relay.cuts["after"]
        for thread in self._signing_in:
            thread.join(60.0)
        for _ in until(30.0):
            try:
                states = world.accounts()
            except requests.RequestException:
                continue
            sick = [box for box in world.mailboxes if states.get(box.alias) == "needs-sign-in"]
            if not sick:
                return
            # A token that was refused while the grant was dead may have been noticed late.
            for box in sick:
                self._sign_in_again(box, 0.0)

    def _rest(self) -> tuple[list[Entry], list[Copy]]:
        """Wait until nothing moves any more, for a bounded time."""
        world = self._world
        ledger, copies, still_since, sweep = world.ledger(), world.copies(), 0.0, 0.0
        expected = {drop.subject for drop in self._callers.told.dropped if drop.certain}
        for passed in until(_REST_SECONDS):
            if passed > sweep:
                world.sweep()
                sweep = passed + _SWEEP_EVERY
            before = (ledger, copies)
            ledger, copies = world.ledger(), world.copies()
            self._tell("coming to rest", ledger)
            missing = expected - {entry.subject for entry in ledger}
            settled = all(map(is_settled, ledger)) and not missing
            if not settled or (ledger, copies) != before:
                still_since = passed
            elif passed - still_since > 3.0:
                break
        return ledger, copies

    def _tell(self, what: str, ledger: Sequence[Entry] = ()) -> None:
        told, seconds = self._callers.told, self._now()
        text = f"{seconds:5.0f} s  {what}: {told.count}/{self._mails} accepted, "
        text += f"{sum(self._faults[act] for act in KILLS)}/{self._amounts.all_kills} kills"
        if ledger:
            counts = Counter(entry.status for entry in ledger)
            text += "  " + ", ".join(f"{count} {status}" for status, count in counts.items())
        self._progress.show(text)


def _later(seconds: float, done: bool) -> float | None:
    """So many seconds until another try of what could not be done."""
    return None if done else seconds


def _dated(step: Step) -> dict[str, object]:
    """A rule with its date filled in: a plan knows no time of day."""
    rule = dict(step.rule)
    headers = rule.get("headers")
    if isinstance(headers, dict):
        soon = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
        rule["headers"] = {name: value.format(date=soon) for name, value in headers.items()}
    return rule


def table(result: Result) -> str:
    """The run for a person to read."""
    phases = ", ".join(f"{name} at {seconds:.0f}" for name, seconds in result.phases.items())
    lines = [f"seed {result.seed}, {result.seconds:.0f} seconds; ended: {phases}", ""]
    lines += [f"{'faults':<62}{'count':>7}"]
    lines += [f"  {kind:<60}{count:>7}" for kind, count in sorted(result.faults.items()) if count]
    told, evidence = result.told, result.evidence
    lines += ["", f"{'callers':<62}{'count':>7}"]
    for name, count in (
        ("mails taken on", told.count),
        ("by HTTP, 202", len(told.accepted)),
        ("asked again with the same key", told.repeated),
        ("gave up without an answer (no key)", told.gave_up),
        ("refused", told.refused),
        ("dropped on the queue", len(told.dropped)),
    ):
        lines.append(f"  {name:<60}{count:>7}")
    lines += ["", f"{'mails by kind of account and status':<34}{'mails':>7}{'copies':>7}"]
    copies = Counter(copy.mail_id for copy in evidence.copies)
    rows: Counter[tuple[str, str, str]] = Counter()
    sent: Counter[tuple[str, str, str]] = Counter()
    for entry in evidence.ledger:
        box = evidence.mailboxes.get(entry.account or "")
        kind = "none" if box is None else "verified" if box.verified else "direct"
        row = (kind, entry.status, entry.reason or "")
        rows[row] += 1
        sent[row] += copies[entry.mail_id]
    for row, count in sorted(rows.items()):
        kind, status, reason = row
        lines.append(f"  {kind:<10}{status:<10}{count:>19}{sent[row]:>7}   {reason}".rstrip())
    lines += ["", f"violations: {len(result.violations)}"]
    lines += [f"  {violation}" for violation in result.violations]
    lines += [f"  {trouble}" for trouble in result.trouble]
    return "\n".join(lines)
