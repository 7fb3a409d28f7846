"""The running simulator: one router on an http port and on an https port."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local.simulator import control
from local.simulator.dispatch import Dispatcher
from local.simulator.entra import routes as entra
from local.simulator.graph import routes as graph
from local.simulator.identity import routes as identity
from local.simulator.inbox import routes as inbox
from local.simulator.key_vault import routes as key_vault
from local.simulator.listener import Listener
from local.simulator.state import SimulatorState
from local.simulator.tls import server_context, write_private
from local.simulator.urls import Urls
from local.simulator.wire import Route


class Simulator:
    """Simulated Entra, managed identity, Key Vault and Graph on loopback ports.

    Port 0 takes a free one. `ca_file` is the file of the certificate authority. `also_called` are
    host names of Microsoft's that it also answers to, for clients whose address cannot be set.
    """

    def __init__(
        self,
        state_dir: Path | str,
        http_port: int = 0,
        https_port: int = 0,
        *,
        also_called: Sequence[str] = (),
    ) -> None:
        self._state_dir = Path(state_dir)
        self.state = SimulatorState()
        routes = _all_routes(self.state)
        dispatcher = Dispatcher(self.state, routes, also_called)
        # The control surface must stay reachable, so no fault can be made for it.
        names = {route.name for route in routes}
        self.state.operations = frozenset(n for n in names if not n.startswith("control."))
        tls, self.ca_file = server_context(self._state_dir, also_called)
        self._plain = Listener(http_port, dispatcher.answer)
        try:
            self._secure = Listener(https_port, dispatcher.answer, tls)
        except OSError:
            self._plain.stop()
            raise
        self.urls = Urls(
            http=f"http://localhost:{self._plain.port}",
            https=f"https://localhost:{self._secure.port}",
        )
        self.state.set_urls(self.urls)

    def start(self) -> Self:
        """Begin to answer; the URLs are valid from now on."""
        self._plain.start()
        self._secure.start()
        return self

    def stop(self) -> None:
        """End every connection and close both ports."""
        self.state.faults.clear()
        self._plain.stop()
        self._secure.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stack(self) -> dict[str, Any]:
        """The data that scripts, tests and people need; it contains the (made-up) client secret."""
        application = self.state.entra.application
        identity_state = self.state.identity
        return {
            "tenant_id": application.tenant_id,
            "client_id": application.client_id,
            "client_secret": application.newest_secret(),
            "authority": self.urls.authority(application.tenant_id),
            "authority_host": self.urls.https,
            "graph_url": self.urls.graph,
            "vault_url": self.urls.vault,
            "control_url": self.urls.control,
            "inbox_url": self.urls.inbox,
            "ca_file": str(self.ca_file.resolve()),
            "identity_endpoint": self.urls.identity_endpoint,
            "identity_header": identity_state.header,
            "identity_client_id": identity_state.client_id,
            "identity_principal_id": identity_state.principal_id,
            "identity_resource_id": identity_state.resource_id,
            "mailboxes": [
                {"address": user.address, "kind": user.kind}
                for user in self.state.directory
                if user.has_mailbox
            ],
            "pids": {"simulator": os.getpid()},
        }

    def write_stack_file(self) -> Path:
        """Write `stack.json` into the state directory; only its owner may read it."""
        path = self._state_dir / "stack.json"
        write_private(path, json.dumps(self.stack(), indent=2).encode() + b"\n")
        return path


def _all_routes(state: SimulatorState) -> list[Route]:
    # Entra's paths begin with a placeholder, so all other routes come first.
    services = (control, identity, key_vault, graph, inbox, entra)
    return [route for service in services for route in service.routes(state)]
