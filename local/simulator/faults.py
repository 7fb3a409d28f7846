"""Faults as data: for which operation, before or after its work is done, which fault, how often.

Services do not know about faults. `dispatch.py` asks this module around every handler, and a
service only provides the form of its error documents. "after" is the important case: the work is
done and the client does not learn it.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any, Literal

When = Literal["before", "after"]
ACTIONS = ("status", "aadsts", "html", "empty", "reset", "hang", "slow")
"""
status  the service's own error document with `status`, `code`, `message`
aadsts  Entra's error number `code`, with the `error` and HTTP status that belong to it
html    a gateway's HTML page with `status`
empty   `status` with no body at all
reset   the TCP connection is reset
hang    nothing for `seconds`, then the connection is reset
slow    `seconds` later, everything goes on as usual
"""


class BadFault(ValueError):
    """The fault's description cannot be used; the message says why."""


@dataclass
class Fault:
    """One rule. See ACTIONS for `action`; `where` may contain `*`, as in `graph.*`."""

    where: str
    when: When = "before"
    action: str = "status"
    status: int = 503
    code: str | int | None = None
    message: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    """Sent unchanged, in place of the service's error document."""
    times: int = 1
    """How often it fires; -1 means always."""
    mailbox: str | None = None
    seconds: float = 5.0
    probability: float = 1.0
    fired: int = 0

    @classmethod
    def parse(cls, document: Any) -> Fault:
        """A fault from JSON. Raises BadFault, naming the field."""
        if not isinstance(document, dict):
            raise BadFault("a fault is a JSON object")
        known = {f.name for f in fields(cls)} - {"fired"}
        unknown = sorted(set(document) - known)
        if unknown:
            raise BadFault(f"unknown field {unknown[0]}")
        if not isinstance(document.get("where"), str):
            raise BadFault("where is missing: an operation such as graph.send_mail, or graph.*")
        fault = cls(**document)
        fault._check()
        return fault

    def _check(self) -> None:
        if self.when not in ("before", "after"):
            raise BadFault("when is before or after")
        if self.action not in ACTIONS:
            raise BadFault(f"action is one of {', '.join(ACTIONS)}")
        if not isinstance(self.status, int) or not 200 <= self.status <= 599:
            raise BadFault("status is an HTTP status")
        if not isinstance(self.times, int) or self.times < -1:
            raise BadFault("times is a count, or -1 for ever")
        if not isinstance(self.headers, dict):
            raise BadFault("headers is an object")

    def covers(self, operation: str, when: When, mailbox: str | None) -> bool:
        """Whether this rule applies to such a request and is not used up."""
        if self.when != when or self.times == self.fired:
            return False
        if self.mailbox is not None and self.mailbox.lower() != (mailbox or "").lower():
            return False
        return fnmatchcase(operation, self.where)


class Faults:
    """The active rules, oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Fault] = []
        self.cleared = threading.Event()
        """Set when the rules are cleared, so that hanging requests end at once."""

    def add(self, fault: Fault) -> None:
        """Activate a rule."""
        with self._lock:
            self._rules.append(fault)

    def clear(self) -> None:
        """Remove all rules and end the requests that hang."""
        with self._lock:
            self._rules.clear()
            self.cleared.set()
            self.cleared = threading.Event()

    def describe(self) -> list[dict[str, Any]]:
        """Every rule with how often it has fired."""
        with self._lock:
            return [asdict(rule) for rule in self._rules]

    def take(self, operation: str, when: When, mailbox: str | None = None) -> Fault | None:
        """The first rule that fires for this request, counted as fired."""
        if not self._rules:
            return None
        with self._lock:
            for rule in self._rules:
                # Chance decides when a test fails; it does not decide about access.
                if rule.covers(operation, when, mailbox) and random.random() < rule.probability:  # noqa: S311
                    rule.fired += 1
                    return rule
        return None

    def wait(self, seconds: float) -> None:
        """Wait for this time, or until the rules are cleared."""
        self.cleared.wait(seconds)
