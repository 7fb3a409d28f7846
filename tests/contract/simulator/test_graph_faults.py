"""Faults around Graph's operations speak Graph's own error shape: graph-mail.md 1.8 and 9.8."""

from __future__ import annotations

import pytest
import requests

from local.simulator.faults import Fault
from local.simulator.server import Simulator
from tests.contract.simulator.graph_client import ADA, GraphClient, error_of, mail


@pytest.fixture
def graph(simulator: Simulator, http: requests.Session) -> GraphClient:
    return GraphClient(simulator, http)


def add(graph: GraphClient, fault: Fault) -> None:
    graph.simulator.state.faults.add(fault)


def test_a_fault_after_the_work_is_done_hides_a_mail_that_went_out(graph: GraphClient) -> None:
    add(graph, Fault("graph.send_mail", when="after", status=504))

    response = graph.send(mail())

    assert response.status_code == 504
    assert response.json()["error"]["code"] == "UnknownError"
    assert len(graph.state.deliveries()) == 1


def test_a_fault_names_its_code_and_message(graph: GraphClient) -> None:
    add(graph, Fault("graph.*", status=503, code="ErrorMailboxMoveInProgress", message="Moving."))

    response = graph.get("/me")

    assert error_of(response) == (503, "ErrorMailboxMoveInProgress")
    assert response.json()["error"]["message"] == "Moving."


def test_a_fault_may_concern_one_mailbox(graph: GraphClient) -> None:
    add(graph, Fault("graph.send_mail", mailbox=ADA, times=-1))

    assert graph.send(mail()).status_code == 202
    assert graph.acting(ADA).send(mail()).status_code == 503


def test_a_lost_draft_send_can_be_told_from_its_mailbox_path(graph: GraphClient) -> None:
    add(graph, Fault("graph.send_message", when="after", action="reset", mailbox=ADA))
    ada = graph.acting(ADA)
    path = f"/users/{ADA}/messages/{ada.draft()['id']}/send"

    with pytest.raises(requests.ConnectionError):
        ada.post(path)
    assert len(graph.state.deliveries()) == 1
