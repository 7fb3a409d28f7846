"""The control surface: reset, seed, clock, what was asked."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from local.simulator.clock import Clock
from local.simulator.server import Simulator
from local.simulator.state import SimulatorState
from tests.contract.simulator.graph_client import GraphClient, mail
from tests.contract.simulator.person import Control


def test_reset_brings_the_seed_back(state: SimulatorState, control: Control) -> None:
    control("POST", "mailboxes", {"address": "eve@contoso.com"})
    control("POST", "options", {"omit_id_token": True})
    control("POST", "clock", {"offset_seconds": 3600})
    control("POST", "faults", {"where": "graph.*"})

    control("POST", "reset")

    assert state.directory.find("eve@contoso.com") is None
    assert not state.entra.options.omit_id_token
    assert abs(state.clock.offset_seconds) < 1
    assert control("GET", "faults") == {"faults": []}


def test_the_seed_has_the_accounts_that_scripts_rely_on(control: Control) -> None:
    found = {user["address"]: user for user in control("GET", "mailboxes")["mailboxes"]}

    assert found["admin@contoso.com"]["admin"]
    assert found["info@contoso.com"]["kind"] == "shared"
    assert not found["nomailbox@contoso.com"]["has_mailbox"]
    assert found["postroom.demo@outlook.com"]["object_id"].startswith("00000000-0000-0000-")


def test_a_mailbox_can_be_added_changed_and_removed(
    state: SimulatorState, control: Control
) -> None:
    control("POST", "mailboxes", {"address": "eve@contoso.com", "name": "Eve"})
    control("POST", "mailboxes", {"address": "eve@contoso.com", "send_as": ["ada@contoso.com"]})
    user = state.directory.find("EVE@contoso.com")
    assert user is not None
    assert (user.name, user.send_as) == ("Eve", {"ada@contoso.com"})

    control("DELETE", "mailboxes", {"address": "eve@contoso.com"})
    assert state.directory.find("eve@contoso.com") is None


@pytest.mark.parametrize(
    ("path", "document", "complaint"),
    [
        ("mailboxes", {}, "address"),
        ("mailboxes", {"address": "a@b.c", "colour": "red"}, "colour"),
        ("options", {"colour": "red"}, "colour"),
        ("options", {"entra": {"colour": "red"}}, "colour"),
        ("options", {"omit_id_token": "yes"}, "true or false"),
        ("options", {"access_token_seconds": True}, "not true or false"),
        ("options", {"code_seconds": "long"}, "number"),
        ("options", [], "object"),
        ("clock", {"sped": 2}, "sped"),
        ("clock", {"speed": -1}, "negative"),
        ("revoke", {"mailbox": "nobody@contoso.com"}, "nobody"),
        ("client-secrets", {"expire": "unknown"}, "no such"),
        ("certificates", {"add": "no pem"}, ""),
        ("certificates", {"remove": "AB"}, "thumbprint"),
        ("federated-credentials", {"remove": "other"}, "name"),
        ("federated-credentials", {"add": {"name": "x"}}, "subject"),
        ("federated-credentials", {"add": {"name": "x", "subject": "y", "z": 1}}, "z"),
        ("tenants", {"mfa": True}, "tenant is missing"),
        ("tenants", {"tenant": "nowhere"}, "nowhere"),
        ("tenants", {"tenant": "fabrikam.com", "mfa": "yes"}, "mfa is true or false"),
        ("tenants", {"tenant": "fabrikam.com", "mfa_days": -1}, "mfa_days"),
        ("tenants", {"tenant": "fabrikam.com", "app_roles": "Mail.Send"}, "list"),
        ("tenants", {"tenant": "fabrikam.com", "consent_policy": "none"}, "admin_only"),
        ("tenants", {"tenant": "fabrikam.com", "domian": 1}, "unknown field domian"),
        ("mailboxes", {"address": "a@contoso.com", "locked": 1}, "locked is true or false"),
        ("mailboxes", {"address": "a@contoso.com", "guest_of": ["nowhere"]}, "nowhere"),
        ("mailboxes", {"address": "a@contoso.com", "conditional_access": "x"}, "block"),
        ("faults", {"where": 1}, "where"),
        ("faults", {"where": "graph.sendmail"}, "graph.send_mail"),
        ("faults", {"where": "control.reset"}, "operation"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(
    control: Control, path: str, document: Any, complaint: str
) -> None:
    assert complaint in control.refusal(path, document)


def test_what_a_list_shows_may_be_sent_back(state: SimulatorState, control: Control) -> None:
    people = control("GET", "mailboxes")
    tenants = control("GET", "tenants")

    for user in people["mailboxes"]:
        control("POST", "mailboxes", user)
    for tenant in tenants["tenants"]:
        control("POST", "tenants", {"tenant": tenant.pop("id"), **tenant})

    assert control("GET", "mailboxes") == people
    assert [one["name"] for one in control("GET", "tenants")["tenants"]] == ["Contoso", "Fabrikam"]


def test_faults_are_made_for_operations_that_there_are(control: Control) -> None:
    operations = control("GET", "operations")["operations"]

    assert {"graph.send_mail", "entra.token", "identity.token"} <= set(operations)
    assert not [one for one in operations if one.startswith("control.")]
    for where in (*operations, "graph.*", "*"):
        control("POST", "faults", {"where": where})


def test_of_several_faults_none_is_added_where_one_is_wrong(control: Control) -> None:
    rules = [{"where": "graph.send_mail"}, {"where": "graph.send_male"}]

    assert "graph.send_mail" in control.refusal("faults", rules)
    assert control("GET", "faults")["faults"] == []


def test_options_are_set_by_name_or_by_service(state: SimulatorState, control: Control) -> None:
    shown = control("POST", "options", {"vault_denied": ["purge"], "entra": {"refresh_in": 60}})

    assert state.vault.options.vault_denied == ["purge"]
    assert shown["entra"]["refresh_in"] == 60
    assert shown.keys() == {"entra", "identity", "key_vault", "graph"}


def test_client_secrets_are_listed_by_hint_only(simulator: Simulator, control: Control) -> None:
    control("POST", "client-secrets", {"add": "SIMSECRET~another-one", "expires_in_seconds": 60})

    listed = control("GET", "client-secrets")["client_secrets"]

    assert len(listed) == 2
    assert "another-one" not in str(listed)
    assert simulator.stack()["client_secret"] == "SIMSECRET~another-one"


def test_requests_are_counted_and_listed_without_content(
    simulator: Simulator, http: requests.Session, control: Control
) -> None:
    url = f"{simulator.urls.https}/contoso.com/oauth2/v2.0/token"
    for _ in range(2):
        http.post(url, {"grant_type": "refresh_token", "refresh_token": "hidden"})

    last = [e for e in control("GET", "requests")["requests"] if e["operation"] == "entra.token"]

    assert control("GET", "counts")["counts"]["entra.token"] == 2
    assert control("GET", "counts")["answers"]["entra.token"] == {"400": 2}
    assert [entry["status"] for entry in last] == [400, 400]
    assert "hidden" not in str(last)
    control("DELETE", "counts")
    assert "entra.token" not in control("GET", "counts")["counts"]


def test_the_mails_can_be_forgotten_while_all_else_stays(
    simulator: Simulator, http: requests.Session, control: Control
) -> None:
    graph = GraphClient(simulator, http)
    graph.option(messages_per_minute=7)
    graph.send(mail())

    assert control("DELETE", "deliveries") == {"deliveries": []}

    assert control("GET", "deliveries") == {"deliveries": []}
    assert graph.messages() == []
    assert control("GET", "options")["graph"]["messages_per_minute"] == 7


def test_deliveries_are_empty_after_a_reset(control: Control) -> None:
    assert control("GET", "deliveries") == {"deliveries": []}


def test_access_tokens_can_be_ended(state: SimulatorState, control: Control) -> None:
    assert control("POST", "expire-access-tokens") == {"expired": 0}


def test_the_clock_moves_by_offset_and_by_step(control: Control) -> None:
    control("POST", "clock", {"offset_seconds": 3600})
    shown = control("POST", "clock", {"advance_seconds": 3600})

    assert shown["offset_seconds"] == pytest.approx(7200, abs=5)


def test_a_clock_that_runs_faster_does_not_jump() -> None:
    clock = Clock()
    before = clock.time()
    clock.set_speed(1000)

    assert clock.time() - before < 5
    time.sleep(0.02)
    assert clock.time() - before >= 15


def test_waiting_gets_shorter_as_the_clock_gets_faster() -> None:
    clock = Clock()
    clock.set_speed(60)

    assert clock.real_seconds(30) == 0.5


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_origin_changes_nothing(
    simulator: Simulator, http: requests.Session, headers: dict[str, str]
) -> None:
    simulator.state.clock.set_offset(3600)
    base = simulator.urls.control
    answers = [
        http.post(f"{base}/reset", headers=headers),
        http.post(f"{base}/clock", json={"offset_seconds": 0}, headers=headers),
        http.delete(f"{base}/faults", headers=headers),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert simulator.state.clock.offset_seconds > 3000


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", None])
def test_a_body_that_any_page_could_send_is_refused(
    state: SimulatorState, simulator: Simulator, http: requests.Session, kind: str | None
) -> None:
    answer = http.post(
        f"{simulator.urls.control}/clock",
        data=b'{"offset_seconds": 3600}',
        headers={} if kind is None else {"Content-Type": kind},
    )

    assert answer.status_code == 415
    assert state.clock.offset_seconds < 1


def test_a_page_of_the_simulators_own_may_change_things(
    simulator: Simulator, http: requests.Session
) -> None:
    own = {"Origin": simulator.urls.http, "Sec-Fetch-Site": "same-origin"}
    answer = http.post(
        f"{simulator.urls.control}/clock",
        data="{}",
        headers={**own, "Content-Type": "application/json; charset=utf-8"},
    )

    assert answer.status_code == 200
