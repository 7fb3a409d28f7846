"""The control surface: what Microsoft does not have. Under its own prefix, never reachable by faults.

Every answer is JSON; what cannot be used is a 400 that says why. It asks for no credential, so web
pages are kept from changing anything: what a browser sends for a page of another origin is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local.simulator import options
from local.simulator.directory import User, new_user
from local.simulator.faults import BadFault, Fault
from local.simulator.options import BadOption
from local.simulator.state import SimulatorState
from local.simulator.wire import Handler, Request, Response, Route

REVOKED = 50173
YEAR = 365 * 24 * 3600.0
_USER_FLAGS = ("admin", "enabled", "has_mailbox")
_USER_SETS = ("aliases", "send_as", "send_on_behalf", "full_access")


class Unusable(ValueError):
    """The request's document makes no sense."""


def routes(state: SimulatorState) -> list[Route]:
    """All of them begin with `/control`."""
    control = Control(state)
    table: list[tuple[str, str, Callable[[Request], Any]]] = [
        ("POST", "reset", control.reset),
        ("GET", "faults", control.list_faults),
        ("POST", "faults", control.add_fault),
        ("DELETE", "faults", control.clear_faults),
        ("GET", "deliveries", control.deliveries),
        ("GET", "clock", control.read_clock),
        ("POST", "clock", control.set_clock),
        ("GET", "mailboxes", control.list_users),
        ("POST", "mailboxes", control.put_user),
        ("DELETE", "mailboxes", control.remove_user),
        ("POST", "revoke", control.revoke),
        ("POST", "expire-access-tokens", control.expire_access_tokens),
        ("GET", "client-secrets", control.list_secrets),
        ("POST", "client-secrets", control.change_secrets),
        ("POST", "certificates", control.add_certificate),
        ("GET", "counts", control.counts),
        ("DELETE", "counts", control.clear_counts),
        ("GET", "requests", control.requests),
        ("GET", "options", control.read_options),
        ("POST", "options", control.set_options),
    ]
    return [
        Route(f"control.{path.replace('-', '_')}", method, f"/control/{path}", _json(work))
        for method, path, work in table
    ]


class Control:
    """One method per call; each returns the document to answer with."""

    def __init__(self, state: SimulatorState) -> None:
        self._state = state

    def reset(self, request: Request) -> Any:
        """Back to the seed."""
        self._state.reset()
        return {"reset": True}

    def list_faults(self, request: Request) -> Any:
        """Rules in force, with how often each fired."""
        return {"faults": self._state.faults.describe()}

    def add_fault(self, request: Request) -> Any:
        """One rule, or a list of them."""
        document = request.json()
        for rule in document if isinstance(document, list) else [document]:
            self._state.faults.add(Fault.parse(rule))
        return self.list_faults(request)

    def clear_faults(self, request: Request) -> Any:
        """No more faults; hanging requests end."""
        self._state.faults.clear()
        return {"faults": []}

    def deliveries(self, request: Request) -> Any:
        """Every mail handed to transport, in order; with `count` and `wait` once there are so many,
        or when the seconds are over."""
        count, seconds = request.query.get("count", "0"), request.query.get("wait", "0")
        if count.isdigit() and seconds.isdigit() and int(count):
            self._state.graph.wait_for_deliveries(int(count), min(int(seconds), 60))
        return {"deliveries": self._state.graph.deliveries()}

    def read_clock(self, request: Request) -> Any:
        """Where simulated time stands."""
        clock = self._state.clock
        return {
            "now": clock.now().isoformat(),
            "offset_seconds": clock.offset_seconds,
            "speed": clock.speed,
        }

    def set_clock(self, request: Request) -> Any:
        """`offset_seconds` from real time, `advance_seconds` from where it stands, `speed`."""
        document = _object(request)
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

    def list_users(self, request: Request) -> Any:
        """Everybody in the directory."""
        return {"mailboxes": [_user(user) for user in self._state.directory]}

    def put_user(self, request: Request) -> Any:
        """Add a user, or change the one with this address."""
        document = _object(request)
        address = document.get("address")
        if not isinstance(address, str) or "@" not in address:
            raise Unusable("address is missing")
        directory = self._state.directory
        user = directory.find(address) or new_user(
            address,
            document.get("name", ""),
            document.get("kind", "work"),
            has_mailbox=document.get("has_mailbox", True),
        )
        _change(user, document)
        return _user(directory.put(user))

    def remove_user(self, request: Request) -> Any:
        """Delete a user: refreshing answers 50034."""
        user = self._named_user(request)
        self._state.directory.remove(user.address)
        return {"removed": user.address}

    def revoke(self, request: Request) -> Any:
        """End a user's grants. `code` chooses the AADSTS number, `withdraw_consent` answers 65001,
        `access_tokens` ends those too."""
        document, user = _object(request), self._named_user(request)
        state = self._state
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
        """End access tokens now; of one `mailbox`, or of everybody."""
        document = request.json() if request.body else {}
        return {"expired": self._state.tokens.expire_all(document.get("mailbox"))}

    def list_secrets(self, request: Request) -> Any:
        """The application's secrets by their hint, as the portal shows them."""
        return {
            "client_secrets": [
                {"hint": secret.value[:13], "expires_at": secret.expires_at}
                for secret in self._state.entra.application.secrets
            ]
        }

    def change_secrets(self, request: Request) -> Any:
        """`add` (with `expires_in_seconds`), `expire`, `remove`."""
        document, application = _object(request), self._state.entra.application
        if "add" in document:
            application.add_secret(document["add"], document.get("expires_in_seconds", YEAR))
        if "expire" in document and not application.expire_secret(document["expire"]):
            raise Unusable("no such client secret")
        if "remove" in document and not application.remove_secret(document["remove"]):
            raise Unusable("no such client secret")
        return self.list_secrets(request)

    def add_certificate(self, request: Request) -> Any:
        """`add`: a certificate in PEM."""
        application = self._state.entra.application
        application.add_certificate(_object(request).get("add", ""))
        return {"certificates": len(application.certificates)}

    def counts(self, request: Request) -> Any:
        """Requests per operation since the last reset, and how they were answered."""
        return {"counts": self._state.log.counts(), "answers": self._state.log.answers()}

    def clear_counts(self, request: Request) -> Any:
        """Count from zero."""
        self._state.log.clear()
        return {"counts": {}}

    def requests(self, request: Request) -> Any:
        """The last requests: operation, status, time, mailbox. Never content."""
        return {"requests": self._state.log.last()}

    def read_options(self, request: Request) -> Any:
        """Every switch of every service."""
        return options.describe(self._state.services)

    def set_options(self, request: Request) -> Any:
        """Change switches: `{"omit_id_token": true}` or `{"graph": {…}}`."""
        options.change(self._state.services, _object(request))
        return self.read_options(request)

    def _named_user(self, request: Request) -> User:
        document = _object(request)
        address = document.get("mailbox") or document.get("address") or ""
        user = self._state.directory.find(address)
        if user is None:
            raise Unusable("mailbox names nobody")
        return user


def _json(work: Callable[[Request], Any]) -> Handler:
    def handler(request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            if _is_from_elsewhere(request):
                return Response.of_json(403, {"error": "not for pages of another origin"})
            if request.body and not _is_json(request):
                return Response.of_json(415, {"error": "Content-Type is not application/json"})
        try:
            return Response.of_json(200, work(request))
        except (Unusable, BadFault, BadOption, ValueError, TypeError) as error:
            return Response.of_json(400, {"error": str(error)})

    return handler


def _is_from_elsewhere(request: Request) -> bool:
    """Whether a browser says that the request comes from a page of another origin.

    Other ports of this computer are other origins, though of the same site.
    https://developer.mozilla.org/docs/Web/HTTP/Headers/Sec-Fetch-Site
    """
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return True
    return request.headers.get("origin", request.base_url) != request.base_url


def _is_json(request: Request) -> bool:
    """No page may send this type to another origin without asking first, which is never answered."""
    kind = request.headers.get("content-type", "").partition(";")[0]
    return kind.strip().lower() == "application/json"


def _object(request: Request) -> dict[str, Any]:
    document = request.json()
    if not isinstance(document, dict):
        raise Unusable("the body is a JSON object")
    return document


def _change(user: User, document: dict[str, Any]) -> None:
    known = {"address", "name", "kind", "mail", *_USER_FLAGS, *_USER_SETS}
    unknown = sorted(set(document) - known)
    if unknown:
        raise Unusable(f"unknown field {unknown[0]}")
    for name in ("name", "mail", *_USER_FLAGS):
        if name in document:
            setattr(user, name, document[name])
    for name in _USER_SETS:
        if name in document:
            setattr(user, name, set(document[name]))


def _user(user: User) -> dict[str, Any]:
    return {
        "address": user.address,
        "name": user.name,
        "kind": user.kind,
        "object_id": user.object_id,
        "tenant_id": user.tenant_id,
        "mail": user.mail,
        **{name: getattr(user, name) for name in _USER_FLAGS},
        **{name: sorted(getattr(user, name)) for name in _USER_SETS},
    }
