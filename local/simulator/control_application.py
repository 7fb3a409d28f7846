"""The part of the control surface for the app registration's credentials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.simulator.control_request import Unusable, object_of
from local.simulator.entra.application import YEAR
from local.simulator.entra.credentials import FederatedCredential
from local.simulator.entra.tokens import EXCHANGE_AUDIENCE
from local.simulator.state import SimulatorState
from local.simulator.wire import Request

_FEDERATED = {"name", "subject", "issuer", "audience", "works_after_seconds"}


class ControlApplication:
    """One method for each call; each returns the document of the answer."""

    def __init__(self, state: SimulatorState) -> None:
        self._application = state.entra.application
        self._clock = state.clock

    def list_secrets(self, request: Request) -> Any:
        """The application's secrets by hint and id, as the portal shows them."""
        return {"client_secrets": [one.describe() for one in self._application.secrets]}

    def change_secrets(self, request: Request) -> Any:
        """`add` a value (with `expires_in_seconds`); `expire` or `remove` a secret by value, hint
        or id."""
        document = object_of(request)
        if "add" in document:
            seconds = document.get("expires_in_seconds", YEAR)
            self._application.add_secret(str(document["add"]), float(seconds))
        if "expire" in document:
            self._application.expire_secret(str(document["expire"]))
        if "remove" in document:
            self._application.remove_secret(str(document["remove"]))
        return self.list_secrets(request)

    def list_certificates(self, request: Request) -> Any:
        """The application's certificates by thumbprint."""
        return {"certificates": [one.describe() for one in self._application.certificates]}

    def change_certificates(self, request: Request) -> Any:
        """`add` one in PEM; `remove` one by its thumbprint."""
        document = object_of(request)
        if "add" in document:
            self._application.add_certificate(str(document["add"]))
        if "remove" in document:
            self._application.remove_certificate(str(document["remove"]))
        return self.list_certificates(request)

    def list_federated(self, request: Request) -> Any:
        """The federated credentials: whose tokens are accepted in place of a secret."""
        return {"federated_credentials": [one.describe() for one in self._application.federated]}

    def change_federated(self, request: Request) -> Any:
        """`add` one (`name`, `subject`, `issuer`, `audience`, `works_after_seconds`); `remove` one
        by its name."""
        document = object_of(request)
        if "remove" in document:
            self._application.remove_federated(str(document["remove"]))
        if "add" in document:
            self._application.add_federated(self._federated(document["add"]))
        return self.list_federated(request)

    def _federated(self, document: Mapping[str, Any]) -> FederatedCredential:
        if not isinstance(document, Mapping) or not document.keys() >= {"name", "subject"}:
            raise Unusable("a federated credential has a name and a subject")
        unknown = sorted(document.keys() - _FEDERATED)
        if unknown:
            raise Unusable(f"unknown field {unknown[0]}")
        return FederatedCredential(
            document["name"],
            document["subject"],
            document.get("issuer"),
            document.get("audience", EXCHANGE_AUDIENCE),
            self._clock.time() + float(document.get("works_after_seconds", 0)),
        )
