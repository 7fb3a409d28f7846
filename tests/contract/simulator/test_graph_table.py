"""Each row of the table of Graph's requests in docs/local-stack.md holds, and the table has every
operation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import requests

from local.simulator.graph.routes import OPERATIONS
from local.simulator.server import Simulator
from tests.contract.simulator.graph_client import GraphClient
from tests.contract.simulator.graph_table import Sender

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "local-stack.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Requests of Microsoft Graph")[2].partition("\n## ")[0]
ROWS = [
    (m[1], m[2], tuple(re.findall(r"`([^`]+)`", m[3])), m[4].strip())
    for m in re.finditer(
        r"^\| `([A-Z]+) ([^`]+)` \|(.*?)\| ((?:executed|refused)[^|]*)\|$", SECTION, re.M
    )
]


@pytest.fixture
def graph(simulator: Simulator, http: requests.Session) -> GraphClient:
    return GraphClient(simulator, http)


@pytest.mark.parametrize(
    ("method", "path", "sent", "answer"),
    ROWS,
    ids=[f"{m} {p} {' '.join(s)}" for m, p, s, _ in ROWS],
)
def test_a_request_is_answered_as_the_table_says(
    graph: GraphClient, method: str, path: str, sent: tuple[str, ...], answer: str
) -> None:
    response = Sender(graph)(method, path, sent)

    assert _answer(graph, response) == answer


def test_the_table_has_each_operation(graph: GraphClient) -> None:
    send = Sender(graph)
    for method, path, sent, _ in ROWS:
        send(method, path, sent)
    asked = {one["operation"] for one in _requests(graph)}

    assert {f"graph.{one.name}" for one in OPERATIONS} - asked == set()


def _answer(graph: GraphClient, response: requests.Response) -> str:
    if response.status_code < 400:
        return "executed"
    logged = "; logged" if _requests(graph)[-1].get("unsupported") else ""
    return f"refused: {response.status_code}, {response.json()['error']['code']}{logged}"


def _requests(graph: GraphClient) -> list[dict[str, str]]:
    url = f"{graph.simulator.urls.control}/requests"
    found = graph.session.get(url, timeout=10).json()["requests"]
    return [one for one in found if one["operation"].startswith("graph.")]
