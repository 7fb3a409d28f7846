"""The control surface, which Microsoft does not have. It has a prefix of its own, and no fault can
affect it.

Every answer is JSON; an invalid request gets a 400 that says why. No credential is needed. To keep
web pages from changing anything, requests that a browser sends for a page of another origin are
refused.
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

from local.simulator import options
from local.simulator.control_application import ControlApplication
from local.simulator.control_people import ControlPeople, named_user
from local.simulator.control_request import Unusable, answering, object_of
from local.simulator.faults import BadFault, Fault
from local.simulator.state import SimulatorState
from local.simulator.wire import Request, Route

REVOKED = 50173


def routes(state: SimulatorState) -> list[Route]:
    """All of them begin with `/control`."""
    control = Control(state)
    people = ControlPeople(state)
    application = ControlApplication(state)
    table: list[tuple[str, str, Callable[[Request], Any]]] = [
        ("POST", "reset", control.reset),
        ("GET", "faults", control.list_faults),
        ("POST", "faults", control.add_fault),
        ("DELETE", "faults", control.clear_faults),
        ("GET", "operations", control.list_operations),
        ("GET", "deliveries", control.deliveries),
        ("DELETE", "deliveries", control.forget_mails),
        ("GET", "clock", control.read_clock),
        ("POST", "clock", control.set_clock),
        ("GET", "mailboxes", people.list_users),
        ("POST", "mailboxes", people.put_user),
        ("DELETE", "mailboxes", people.remove_user),
        ("GET", "tenants", people.list_tenants),
        ("POST", "tenants", people.put_tenant),
        ("POST", "revoke", control.revoke),
        ("POST", "expire-access-tokens", control.expire_access_tokens),
        ("GET", "client-secrets", application.list_secrets),
        ("POST", "client-secrets", application.change_secrets),
        ("GET", "certificates", application.list_certificates),
        ("POST", "certificates", application.change_certificates),
        ("GET", "federated-credentials", application.list_federated),
        ("POST", "federated-credentials", application.change_federated),
        ("GET", "counts", control.counts),
        ("DELETE", "counts", control.clear_counts),
        ("GET", "requests", control.requests),
        ("GET", "options", control.read_options),
        ("POST", "options", control.set_options),
    ]
    return [
        Route(f"control.{path.replace('-', '_')}", method, f"/control/{path}", answering(work))
        for method, path, work in table
    ]


class Control:
    """One method for each call; each returns the document of the answer."""

    def __init__(self, state: SimulatorState) -> None:
        self._state = state

    def reset(self, request: Request) -> Any:
        """Return to the seed."""
        self._state.reset()
        return {"reset": True}

    def list_faults(self, request: Request) -> Any:
        """The active rules, with how often each fired."""
        return {"faults": self._state.faults.describe()}

    def add_fault(self, request: Request) -> Any:
        """Add one rule, or a list of them."""
        document = request.json()
        rules = document if isinstance(document, list) else [document]
        faults = [Fault.parse(rule) for rule in rules]
        for fault in faults:
            self._check_operation(fault.where)
        for fault in faults:
            self._state.faults.add(fault)
        return self.list_faults(request)

    def clear_faults(self, request: Request) -> Any:
        """Remove all faults; hanging requests end."""
        self._state.faults.clear()
        return {"faults": []}

    def list_operations(self, request: Request) -> Any:
        """The names that `where` of a fault may have."""
        return {"operations": sorted(self._state.operations)}

    def deliveries(self, request: Request) -> Any:
        """Every mail handed to transport, in order. With `count` and `wait`, the answer waits until
        there are so many, or until the seconds are over."""
        count, seconds = request.query.get("count", "0"), request.query.get("wait", "0")
        if count.isdigit() and seconds.isdigit() and int(count):
            self._state.graph.wait_for_deliveries(int(count), min(int(seconds), 60))
        return {"deliveries": self._state.graph.deliveries()}

    def forget_mails(self, request: Request) -> Any:
        """Empty every mailbox; options, tokens and accounts stay."""
        self._state.graph.forget_mails()
        return {"deliveries": []}

    def read_clock(self, request: Request) -> Any:
        """The present simulated time."""
        clock = self._state.clock
        return {
            "now": clock.now().isoformat(),
            "offset_seconds": clock.offset_seconds,
            "speed": clock.speed,
        }

    def set_clock(self, request: Request) -> Any:
        """`offset_seconds` from real time, `advance_seconds` from the present value, `speed`."""
        document = object_of(request)
        changes = {
            "offset_seconds": self._state.clock.set_offset,
            "advance_seconds": self._state.clock.advance,
            "speed": self._state.clock.set_speed,
        }
        for name, value in document.items():
            if name not in changes:
                raise Unusable(f"unknown field {name}")
            changes[name](float(value))
        return self.read_clock(request)

    def revoke(self, request: Request) -> Any:
        """End a user's grants. `code` chooses the AADSTS number, `withdraw_consent` makes it 65001,
        `access_tokens` also ends the access tokens."""
        document, state = object_of(request), self._state
        user = named_user(state, document)
        state.flows.sessions.forget_user(user.object_id)
        if document.get("withdraw_consent"):
            state.entra.grants.withdraw_consent(user.object_id)
            revoked = 0
        else:
            code = int(document.get("code", REVOKED))
            revoked = state.entra.grants.revoke(user.object_id, code)
        if document.get("access_tokens"):
            state.tokens.expire_all(user.address)
        return {"revoked": revoked}

    def expire_access_tokens(self, request: Request) -> Any:
        """End access tokens now: those of one `mailbox`, or all."""
        document = request.json() if request.body else {}
        return {"expired": self._state.tokens.expire_all(document.get("mailbox"))}

    def counts(self, request: Request) -> Any:
        """Requests per operation since the last reset, and how they were answered."""
        return {"counts": self._state.log.counts(), "answers": self._state.log.answers()}

    def clear_counts(self, request: Request) -> Any:
        """Reset the counts."""
        self._state.log.clear()
        return {"counts": {}}

    def requests(self, request: Request) -> Any:
        """The last requests: operation, status, time, mailbox; never content."""
        return {"requests": self._state.log.last()}

    def read_options(self, request: Request) -> Any:
        """Every switch of every service."""
        return options.describe(self._state.services)

    def set_options(self, request: Request) -> Any:
        """Change switches: `{"omit_id_token": true}` or `{"graph": {…}}`."""
        options.change(self._state.services, object_of(request))
        return self.read_options(request)

    def _check_operation(self, where: str) -> None:
        known = self._state.operations
        if known and not any(fnmatchcase(operation, where) for operation in known):
            raise BadFault(f"where names no operation; there are {', '.join(sorted(known))}")
