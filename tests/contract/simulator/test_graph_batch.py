"""`POST /$batch` as graph-mail.md 4.3 describes it."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from local.simulator.server import Simulator
from tests.contract.simulator.graph_client import GraphClient, error_of, mail

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def graph(simulator: Simulator, http: requests.Session) -> GraphClient:
    return GraphClient(simulator, http)


def batch(graph: GraphClient, *items: dict[str, Any]) -> dict[str, Any]:
    response = graph.post("/$batch", json={"requests": items})
    assert response.status_code == 200, response.text
    return {one["id"]: one for one in response.json()["responses"]}


def send_item(item_id: str, to: str = "grace@example.org", **more: Any) -> dict[str, Any]:
    body = {"message": mail(to=to)}
    return {
        "id": item_id, "method": "POST", "url": "/me/sendMail", "headers": JSON, "body": body
    } | more  # fmt: skip


def test_items_are_answered_one_by_one(graph: GraphClient) -> None:
    answers = batch(
        graph,
        send_item("1"),
        send_item("2", to="nobody"),
        {"id": "3", "method": "GET", "url": "/me?$select=mail"},
    )

    assert {key: one["status"] for key, one in answers.items()} == {"1": 202, "2": 400, "3": 200}
    assert "body" not in answers["1"]
    assert answers["2"]["body"]["error"]["code"] == "ErrorInvalidRecipients"
    assert answers["3"]["body"]["mail"] == "billing@contoso.com"


def test_a_failed_dependency_fails_what_depends_on_it(graph: GraphClient) -> None:
    answers = batch(
        graph,
        send_item("1", to="nobody"),
        send_item("2", dependsOn=["1"]),
        send_item("3", dependsOn=["2"]),
    )

    assert [answers[key]["status"] for key in "123"] == [400, 424, 424]
    assert graph.state.deliveries() == []


def test_dependencies_run_in_order(graph: GraphClient) -> None:
    items = [send_item(str(n), dependsOn=[str(n - 1)] if n else []) for n in range(4)]

    batch(graph, *reversed(items))

    assert len(graph.state.deliveries()) == 4


def test_twenty_items_run_within_the_mailboxs_four_at_once(graph: GraphClient) -> None:
    graph.option(latency_seconds=0.01)

    answers = batch(graph, *[send_item(str(n)) for n in range(20)])

    assert {one["status"] for one in answers.values()} == {202}


@pytest.mark.parametrize(
    "items",
    [
        pytest.param([], id="none"),
        pytest.param([send_item(str(n)) for n in range(21)], id="21"),
        pytest.param([send_item("1"), send_item("1")], id="duplicate id"),
        pytest.param([{"id": "1", "method": "POST", "url": "/$batch"}], id="nested"),
        pytest.param([send_item("1", headers={})], id="body without a content type"),
        pytest.param([send_item("1", dependsOn=["9"])], id="unknown dependency"),
        pytest.param([{"id": "1"}], id="no url"),
    ],
)
def test_a_malformed_batch_is_refused_as_a_whole(
    graph: GraphClient, items: list[dict[str, Any]]
) -> None:
    response = graph.post("/$batch", json={"requests": items})

    assert error_of(response) == (400, "BadRequest")
    assert graph.state.deliveries() == []


def test_an_unknown_path_fails_only_its_item(graph: GraphClient) -> None:
    answers = batch(graph, {"id": "1", "method": "GET", "url": "/me/nothing"})

    assert answers["1"]["status"] == 400
