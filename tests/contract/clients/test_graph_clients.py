"""One call of each client of Graph: it sends a mail."""

from __future__ import annotations

import pytest
import requests

from local.simulator.server import Simulator
from tests.contract.clients.graph_programs import MSGRAPH, NODE, O365, run
from tests.contract.simulator.conftest import (  # noqa: F401 - fixtures of these tests too
    http,
    running_simulator,
    simulator,
)
from tests.contract.simulator.graph_client import GraphClient


@pytest.mark.parametrize(
    "program", [MSGRAPH, O365, NODE], ids=["msgraph-sdk", "O365", "graph-client"]
)
def test_a_client_sends_a_mail(
    simulator: Simulator,  # noqa: F811
    http: requests.Session,  # noqa: F811
    program: tuple[str, str],
) -> None:
    graph = GraphClient(simulator, http)

    assert run(graph, program, "send") == {"sent": True}

    (delivery,) = graph.state.deliveries()
    assert (delivery["from"], delivery["to"]) == ("billing@contoso.com", ["ada@contoso.com"])
