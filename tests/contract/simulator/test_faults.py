"""Faults as data: where, before or after the work, what, how often."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import requests

from local.simulator.faults import BadFault, Fault, Faults
from local.simulator.server import Simulator
from local.simulator.state import SimulatorState

KEYS = "/contoso.com/discovery/v2.0/keys"


@pytest.fixture
def keys_url(simulator: Simulator) -> str:
    """Something harmless to ask for: `entra.keys`."""
    return simulator.urls.https + KEYS


def put_in_force(simulator: Simulator, http: requests.Session, **rule: Any) -> None:
    response = http.post(f"{simulator.urls.control}/faults", json={"where": "entra.keys", **rule})
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ([], "JSON object"),
        ({}, "where"),
        ({"where": "graph.*", "wen": "before"}, "unknown field wen"),
        ({"where": "graph.*", "when": "during"}, "when"),
        ({"where": "graph.*", "action": "explode"}, "action"),
        ({"where": "graph.*", "status": 42}, "status"),
        ({"where": "graph.*", "times": -2}, "times"),
        ({"where": "graph.*", "headers": []}, "headers"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(document: Any, complaint: str) -> None:
    with pytest.raises(BadFault, match=complaint):
        Fault.parse(document)


def test_a_fault_fires_as_often_as_it_says() -> None:
    faults = Faults()
    faults.add(Fault("graph.*", times=2))

    fired = [faults.take("graph.send_mail", "before") is not None for _ in range(3)]

    assert fired == [True, True, False]
    assert faults.describe()[0]["fired"] == 2


def test_a_fault_can_fire_for_ever() -> None:
    faults = Faults()
    faults.add(Fault("graph.send_mail", times=-1))

    assert all(faults.take("graph.send_mail", "before") for _ in range(50))


@pytest.mark.parametrize(
    ("operation", "when", "mailbox", "fires"),
    [
        ("graph.send_mail", "after", "A@contoso.com", True),
        ("graph.send_mail", "before", "a@contoso.com", False),
        ("graph.send_mail", "after", "b@contoso.com", False),
        ("graph.send_mail", "after", None, False),
        ("entra.token", "after", "a@contoso.com", False),
    ],
)
def test_a_fault_fires_only_where_it_is_aimed(
    operation: str, when: Any, mailbox: str | None, fires: bool
) -> None:
    faults = Faults()
    faults.add(Fault("graph.send_*", when="after", mailbox="a@contoso.com"))

    assert (faults.take(operation, when, mailbox) is not None) == fires


def test_an_improbable_fault_does_not_count_as_fired() -> None:
    faults = Faults()
    faults.add(Fault("graph.*", probability=0.0))

    assert faults.take("graph.send_mail", "before") is None
    assert faults.describe()[0]["fired"] == 0


def test_a_status_has_the_services_shape_and_the_faults_headers(
    simulator: Simulator, http: requests.Session, keys_url: str
) -> None:
    put_in_force(simulator, http, status=503, headers={"Retry-After": "2.5"})

    response = http.get(keys_url)

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "2.5"
    assert response.json()["error"] == "temporarily_unavailable"


def test_graph_errors_have_graphs_shape(simulator: Simulator, http: requests.Session) -> None:
    put_in_force(simulator, http, where="graph.*", status=503, code="ErrorServerBusy")

    response = http.get(f"{simulator.urls.graph}/me")

    assert response.json()["error"]["code"] == "ErrorServerBusy"


def test_a_gateways_page_a_given_body_and_nothing_at_all(
    simulator: Simulator, http: requests.Session, keys_url: str
) -> None:
    put_in_force(simulator, http, action="html", status=502)
    put_in_force(simulator, http, body='{"odd": 1}', status=500)
    put_in_force(simulator, http, action="empty", status=200)

    page, odd, nothing = (http.get(keys_url) for _ in range(3))

    assert (page.status_code, page.headers["Content-Type"][:9]) == (502, "text/html")
    assert (odd.status_code, odd.json()) == (500, {"odd": 1})
    assert (nothing.status_code, nothing.content) == (200, b"")


# Python's TLS client reports the same RST as an end of file.
@pytest.mark.parametrize(
    ("scheme", "seen"), [("http", "Connection reset by peer"), ("https", "Connection aborted")]
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_reset_cuts_the_connection(
    simulator: Simulator, http: requests.Session, when: str, scheme: str, seen: str
) -> None:
    put_in_force(simulator, http, action="reset", when=when)
    base = getattr(simulator.urls, scheme)

    with pytest.raises(requests.ConnectionError, match=seen):
        http.get(base + KEYS)

    assert http.get(base + KEYS).status_code == 200


@pytest.mark.parametrize(("when", "done"), [("before", False), ("after", True)])
def test_the_work_is_done_before_a_late_fault_only(
    simulator: Simulator,
    state: SimulatorState,
    http: requests.Session,
    when: str,
    done: bool,
) -> None:
    put_in_force(simulator, http, where="entra.device_code", when=when, status=504)

    form = {"client_id": simulator.stack()["client_id"], "scope": "Mail.Send"}
    response = http.post(f"{simulator.urls.https}/contoso.com/oauth2/v2.0/devicecode", form)

    assert response.status_code == 504
    assert bool(state.entra.grants.pending_devices()) == done


def test_slow_is_late_but_right(
    simulator: Simulator, http: requests.Session, keys_url: str
) -> None:
    put_in_force(simulator, http, action="slow", seconds=0.2)
    began = time.monotonic()

    assert "keys" in http.get(keys_url).json()
    assert time.monotonic() - began >= 0.2


def test_a_hanging_request_runs_into_the_clients_time_limit(
    simulator: Simulator, http: requests.Session, keys_url: str
) -> None:
    put_in_force(simulator, http, action="hang", seconds=30)

    with pytest.raises(requests.ReadTimeout):
        http.get(keys_url, timeout=0.2)
    http.delete(f"{simulator.urls.control}/faults")


def test_clearing_the_faults_lets_go_of_what_hangs(
    simulator: Simulator, state: SimulatorState, http: requests.Session, keys_url: str
) -> None:
    put_in_force(simulator, http, action="hang", seconds=30)
    outcomes: list[str] = []

    def ask() -> None:
        try:
            requests.get(keys_url, verify=str(simulator.ca_file), timeout=20)
        except requests.ConnectionError:
            outcomes.append("reset")

    thread = threading.Thread(target=ask)
    thread.start()
    while not state.faults.describe()[0]["fired"]:
        time.sleep(0.01)
    http.delete(f"{simulator.urls.control}/faults")
    thread.join(5)

    assert outcomes == ["reset"]


def test_the_control_surface_is_out_of_reach(simulator: Simulator, http: requests.Session) -> None:
    put_in_force(simulator, http, where="*", times=-1, action="reset")

    assert http.get(f"{simulator.urls.control}/faults").status_code == 200
