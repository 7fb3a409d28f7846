"""More of what clients of Graph do: drafts, files in chunks, lists, searches."""

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


@pytest.fixture
def graph(simulator: Simulator, http: requests.Session) -> GraphClient:  # noqa: F811
    return GraphClient(simulator, http)


@pytest.mark.parametrize("program", [MSGRAPH, NODE], ids=["msgraph-sdk", "graph-client"])
def test_a_file_is_sent_in_chunks_to_another_host_without_a_token(
    graph: GraphClient, program: tuple[str, str]
) -> None:
    found = run(graph, program, "upload")

    assert [name for name, _ in found["files"]] == ["large.bin"]
    assert found["files"][0][1] >= 4_000_000


def test_msgraph_sdk_sends_a_draft_and_searches_for_it(graph: GraphClient) -> None:
    assert run(graph, MSGRAPH, "search") == {"found": ["draft of msgraph-sdk"]}
    assert len(graph.state.deliveries()) == 1


def test_o365_saves_a_draft_with_a_file_and_finds_it(graph: GraphClient) -> None:
    assert run(graph, O365, "find") == {"found": ["O365"]}
