"""Outlook's limits per application and mailbox: graph-mail.md section 4."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
import requests

from local.simulator.graph.errors import ApplicationThrottled
from local.simulator.graph.options import GraphOptions
from local.simulator.graph.throttle import Throttle
from local.simulator.server import Simulator
from tests.contract.simulator.graph_client import ADA, GraphClient, error_of, file, mail


@pytest.fixture
def graph(simulator: Simulator, http: requests.Session) -> GraphClient:
    return GraphClient(simulator, http)


def test_a_fifth_parallel_request_is_refused(graph: GraphClient) -> None:
    graph.option(latency_seconds=0.3)
    together = threading.Barrier(5)

    def send(_: int) -> requests.Response:
        together.wait()
        return requests.post(
            f"{graph.base}/me/sendMail",
            json={"message": mail()},
            headers={"Authorization": f"Bearer {graph.token}"},
            timeout=30,
        )

    with ThreadPoolExecutor(5) as pool:
        responses = sorted(pool.map(send, range(5)), key=lambda one: one.status_code)

    assert [one.status_code for one in responses] == [202, 202, 202, 202, 429]
    assert responses[-1].json()["error"] == {
        "code": "ApplicationThrottled",
        "message": "Application is over its MailboxConcurrency limit.",
    }
    assert responses[-1].headers["Retry-After"] == "1"
    assert len(graph.state.deliveries()) == 4


def test_another_mailbox_is_not_affected(graph: GraphClient) -> None:
    graph.option(requests_per_window=1)

    assert [graph.send(mail()).status_code for _ in range(2)] == [202, 429]
    assert graph.acting(ADA).send(mail()).status_code == 202


def test_the_request_window_slides_with_the_clock(graph: GraphClient) -> None:
    graph.option(requests_per_window=2)

    before = [graph.send(mail()) for _ in range(3)]
    graph.simulator.state.clock.advance(601)

    assert [one.status_code for one in before] == [202, 202, 429]
    assert error_of(before[-1]) == (429, "ApplicationThrottled")
    assert 590 <= int(before[-1].headers["Retry-After"]) <= 600
    assert graph.send(mail()).status_code == 202


def test_uploaded_bytes_have_a_window_of_their_own(graph: GraphClient) -> None:
    graph.option(upload_bytes_per_window=100_000)
    big = mail(attachments=[file(content=b"x" * 60_000)])

    statuses = [graph.send(big).status_code for _ in range(2)]

    assert statuses == [202, 429]


@pytest.mark.parametrize(
    ("form", "pattern"), [("integer", r"\d+"), ("fractional", r"\d+\.\d{3}"), ("absent", None)]
)
def test_retry_after_has_the_form_that_was_chosen(
    graph: GraphClient, form: str, pattern: str | None
) -> None:
    graph.option(requests_per_window=0, retry_after=form)

    header = graph.send(mail()).headers.get("Retry-After")

    assert header is None if pattern is None else re.fullmatch(pattern, header or "")


def test_retry_after_may_be_a_date(graph: GraphClient) -> None:
    graph.option(requests_per_window=0, retry_after="http-date")

    header = graph.send(mail()).headers["Retry-After"]

    assert parsedate_to_datetime(header) > graph.simulator.state.clock.now()


def test_refused_requests_count_too() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    moments = [now, now + timedelta(seconds=500), now + timedelta(seconds=650)]
    options = GraphOptions(requests_per_window=1)
    throttle = Throttle(lambda: moments[0], lambda: options)

    with throttle.slot("app", "box", 0):
        pass
    for _ in range(2):
        moments.pop(0)
        with pytest.raises(ApplicationThrottled), throttle.slot("app", "box", 0):
            pass


def test_each_item_of_a_batch_is_throttled_by_itself(graph: GraphClient) -> None:
    graph.option(requests_per_window=1)
    items = [{"id": str(n), "method": "GET", "url": "/me/messages"} for n in range(3)]

    answers = graph.post("/$batch", json={"requests": items}).json()["responses"]

    assert sorted(one["status"] for one in answers) == [200, 429, 429]
    refused = next(one for one in answers if one["status"] == 429)
    assert refused["headers"]["Retry-After"]
