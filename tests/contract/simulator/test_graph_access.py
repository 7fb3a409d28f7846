"""Tokens, scopes and the rights matrix: graph-mail.md 1.8 and section 5."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from local.simulator.entra.tokens import VAULT_AUDIENCE
from local.simulator.server import Simulator
from tests.contract.simulator.graph_client import (
    ADA,
    BILLING,
    SHARED,
    GraphClient,
    error_of,
    mail,
    people,
)


@pytest.fixture
def graph(simulator: Simulator, http: requests.Session) -> GraphClient:
    return GraphClient(simulator, http)


def sent_from(address: str) -> dict[str, Any]:
    return {**mail(), "from": people(address)[0]}


def grant(graph: GraphClient, right: str, who: str = BILLING, over: str = SHARED) -> None:
    user = graph.simulator.state.directory.find(over)
    assert user
    for each in ("send_as", "send_on_behalf", "full_access"):
        getattr(user, each).discard(who)
    for each in right.split():
        getattr(user, each).add(who)


@pytest.mark.parametrize(
    ("authorization", "words"),
    [
        pytest.param("", "Access token is empty.", id="none"),
        pytest.param("Basic abc", "Access token is empty.", id="another scheme"),
        pytest.param("Bearer nonsense", "IDX14100", id="no token at all"),
    ],
)
def test_a_request_without_a_good_token_is_challenged(
    graph: GraphClient, authorization: str, words: str
) -> None:
    response = graph.get("/me", headers={"Authorization": authorization})

    assert error_of(response) == (401, "InvalidAuthenticationToken")
    assert words in response.json()["error"]["message"]
    assert response.headers["WWW-Authenticate"].startswith("Bearer ")


def test_a_token_that_expired_or_is_for_another_service_is_refused(graph: GraphClient) -> None:
    for token in (graph.issue(lifetime=-1), graph.issue(audience=VAULT_AUDIENCE)):
        response = graph.post(
            "/me/sendMail",
            json={"message": mail()},
            headers={"Authorization": f"Bearer {token}"},
        )
        assert error_of(response) == (401, "InvalidAuthenticationToken")
    assert graph.state.deliveries() == []


@pytest.mark.parametrize(
    ("scopes", "method", "path", "status"),
    [
        ("Mail.Send", "POST", "/me/sendMail", 202),
        ("Mail.ReadWrite", "POST", "/me/sendMail", 403),
        ("Mail.Send", "POST", "/me/messages", 403),
        ("Mail.ReadWrite", "POST", "/me/messages", 201),
        ("Mail.Send", "GET", "/me/messages", 403),
        ("Mail.Read", "GET", "/me/messages", 200),
        ("Mail.ReadBasic", "GET", "/me/messages", 200),
        ("Mail.Send", "GET", "/me/mailFolders/inbox", 403),
        ("User.Read", "GET", "/me", 200),
        ("Mail.Send", "GET", "/me", 403),
        ("User.Read", "GET", f"/users/{ADA}", 403),
        ("User.ReadBasic.All", "GET", f"/users/{ADA}", 200),
    ],
)
def test_every_endpoint_asks_for_its_scope(
    graph: GraphClient, scopes: str, method: str, path: str, status: int
) -> None:
    body = {"message": mail()} if path.endswith("sendMail") else mail()

    response = graph.acting(scopes=scopes).call(
        method, path, json=body if method == "POST" else None
    )

    assert response.status_code == status
    if status == 403:
        of_mail = any(word in path for word in ("sendMail", "mailFolders", "messages"))
        code = "ErrorAccessDenied" if of_mail else "Authorization_RequestDenied"
        assert error_of(response) == (403, code)


def test_sending_a_draft_needs_the_send_scope(graph: GraphClient) -> None:
    draft = graph.draft()

    response = graph.acting(scopes="Mail.ReadWrite").post(f"/me/messages/{draft['id']}/send")

    assert error_of(response) == (403, "ErrorAccessDenied")


@pytest.mark.parametrize(
    ("right", "expected_sender"),
    [("send_as", SHARED), ("send_on_behalf", BILLING), ("send_as send_on_behalf", SHARED)],
)
def test_sending_from_another_mailbox_follows_the_right(
    graph: GraphClient, right: str, expected_sender: str
) -> None:
    grant(graph, right)

    assert graph.send(sent_from(SHARED)).status_code == 202
    (delivery,) = graph.state.deliveries()
    assert (delivery["from"], delivery["sender"]) == (SHARED, expected_sender)
    assert delivery["mailbox"] == BILLING
    assert len(graph.messages("sentitems")) == 1


@pytest.mark.parametrize("other", [ADA, "nobody@contoso.com", "postroom.demo@outlook.com"])
def test_without_the_right_sending_from_another_mailbox_is_denied(
    graph: GraphClient, other: str
) -> None:
    response = graph.send(sent_from(other))

    assert error_of(response) == (403, "ErrorSendAsDenied")
    assert "Cannot submit message." in response.json()["error"]["message"]


def test_sending_from_another_mailbox_needs_the_shared_scope(graph: GraphClient) -> None:
    response = graph.acting(scopes="Mail.Send").send(sent_from(SHARED))

    assert error_of(response) == (403, "ErrorAccessDenied")


def test_naming_oneself_needs_no_right_and_an_alias_becomes_the_address(
    graph: GraphClient,
) -> None:
    user = graph.simulator.state.directory.find(BILLING)
    assert user
    user.aliases.add("invoices@contoso.com")
    sender = graph.acting(scopes="Mail.Send")

    assert sender.send(sent_from("Invoices@contoso.com")).status_code == 202
    assert graph.state.deliveries()[0]["from"] == BILLING


@pytest.mark.parametrize(
    ("right", "expected"),
    [
        ("", (403, "ErrorAccessDenied")),
        ("send_as", (403, "ErrorAccessDenied")),
        ("full_access", (403, "ErrorSendAsDenied")),
    ],
)
def test_anothers_path_needs_full_access_and_a_right_to_send(
    graph: GraphClient, right: str, expected: tuple[int, str]
) -> None:
    grant(graph, right)

    assert error_of(graph.send(mail(), f"/users/{SHARED}/sendMail")) == expected


def test_anothers_path_saves_in_the_others_sent_items(graph: GraphClient) -> None:
    grant(graph, "full_access send_as")

    assert graph.send(mail(), f"/users/{SHARED}/sendMail").status_code == 202
    path = f"/users/{SHARED}/mailFolders/sentitems/messages"
    assert len(graph.get(path).json()["value"]) == 1
    assert graph.messages("sentitems") == []


def test_the_shared_mailbox_may_keep_a_copy(graph: GraphClient) -> None:
    graph.option(copy_sent_as_to_mailbox=True)
    grant(graph, "full_access send_as")

    graph.send(sent_from(SHARED), saveToSentItems=False)

    path = f"/users/{SHARED}/mailFolders/sentitems/messages"
    assert len(graph.get(path).json()["value"]) == 1


def test_an_application_sends_as_any_mailbox_but_has_no_me(graph: GraphClient) -> None:
    application = graph.acting(None, roles="Mail.Send")

    assert application.send(mail(), f"/users/{ADA}/sendMail").status_code == 202
    assert graph.state.deliveries()[0]["sender"] == ADA
    response = application.send(mail())
    assert error_of(response) == (400, "BadRequest")
    assert "only valid with delegated" in response.json()["error"]["message"]


def test_an_application_without_the_role_is_denied(graph: GraphClient) -> None:
    response = graph.acting(None, roles="Mail.Read").send(mail(), f"/users/{ADA}/sendMail")

    assert error_of(response) == (403, "ErrorAccessDenied")


def test_an_access_policy_limits_an_application(graph: GraphClient) -> None:
    graph.option(app_only_mailboxes=[SHARED])
    application = graph.acting(None, roles="Mail.Send")

    assert application.send(mail(), f"/users/{SHARED}/sendMail").status_code == 202
    response = application.send(mail(), f"/users/{ADA}/sendMail")
    assert error_of(response) == (403, "ErrorAccessDenied")
    assert "[RAOP]" in response.json()["error"]["message"]


def test_a_user_without_a_mailbox_exists_and_cannot_send(graph: GraphClient) -> None:
    nobody = graph.acting("nomailbox@contoso.com")

    assert nobody.get("/me").json()["mail"] is None
    assert error_of(nobody.send(mail())) == (404, "MailboxNotEnabledForRESTAPI")


def test_an_unknown_user_is_not_found(graph: GraphClient) -> None:
    application = graph.acting(None, roles="Mail.Send User.Read.All")

    response = application.send(mail(), "/users/ghost@contoso.com/sendMail")

    assert error_of(response) == (404, "ErrorInvalidUser")
    assert error_of(application.get("/users/ghost@contoso.com"))[0] == 404


def test_me_says_who_signed_in(graph: GraphClient) -> None:
    response = graph.get("/me")

    document = response.json()
    assert document["userPrincipalName"] == document["mail"] == BILLING
    assert document["displayName"] == "Billing"
    assert graph.get("/me", params={"$select": "mail"}).json().keys() == {
        "@odata.context",
        "mail",
    }


def test_a_personal_account_sends_as_itself(graph: GraphClient) -> None:
    demo = graph.acting("postroom.demo@outlook.com", scopes="Mail.Send")

    assert demo.send(mail()).status_code == 202
    assert graph.state.deliveries()[0]["from"] == "postroom.demo@outlook.com"


# Section 5.3, row by row: call, rights, From, Sender, whose Sent Items


@pytest.mark.parametrize(
    ("caller", "right", "path", "from_", "sent_from_to", "kept_in"),
    [
        pytest.param(BILLING, "", "/me", None, (BILLING, BILLING), BILLING, id="self"),
        pytest.param(BILLING, "send_as", "/me", SHARED, (SHARED, SHARED), BILLING, id="send-as"),
        pytest.param(
            BILLING, "send_on_behalf", "/me", SHARED, (SHARED, BILLING), BILLING, id="on-behalf"
        ),
        pytest.param(
            BILLING,
            "full_access send_as",
            f"/users/{SHARED}",
            None,
            (SHARED, SHARED),
            SHARED,
            id="other-path-send-as",
        ),
        pytest.param(
            BILLING,
            "full_access send_on_behalf",
            f"/users/{SHARED}",
            None,
            (SHARED, BILLING),
            SHARED,
            id="other-path-on-behalf",
        ),
        pytest.param(
            None, "", f"/users/{SHARED}", None, (SHARED, SHARED), SHARED, id="application"
        ),
    ],
)
def test_from_sender_and_sent_items_follow_the_table(
    graph: GraphClient,
    caller: str | None,
    right: str,
    path: str,
    from_: str | None,
    sent_from_to: tuple[str, str],
    kept_in: str,
) -> None:
    grant(graph, right)
    message = sent_from(from_) if from_ else mail()

    response = graph.acting(caller, roles="" if caller else "Mail.Send").send(
        message, f"{path}/sendMail"
    )

    assert response.status_code == 202
    (delivery,) = graph.state.deliveries()
    assert (delivery["from"], delivery["sender"]) == sent_from_to
    reader = graph.acting(None, roles="Mail.Read")
    kept = {
        owner: len(reader.get(f"/users/{owner}/mailFolders/sentitems/messages").json()["value"])
        for owner in (BILLING, SHARED)
    }
    assert kept == {BILLING: 0, SHARED: 0, kept_in: 1}


@pytest.mark.parametrize(
    ("switch", "right"), [("copy_sent_as", "send_as"), ("copy_sent_on_behalf", "send_on_behalf")]
)
def test_one_shared_mailbox_keeps_copies_of_what_it_asked_for(
    graph: GraphClient, switch: str, right: str
) -> None:
    grant(graph, right)
    shared = graph.simulator.state.directory.find(SHARED)
    assert shared
    setattr(shared, switch, True)

    graph.send(sent_from(SHARED), saveToSentItems=False)

    reader = graph.acting(None, roles="Mail.Read")
    path = f"/users/{SHARED}/mailFolders/sentitems/messages"
    assert len(reader.get(path).json()["value"]) == 1


def test_an_alias_may_stay_in_from(graph: GraphClient) -> None:
    graph.option(send_from_alias=True)
    user = graph.simulator.state.directory.find(BILLING)
    assert user
    user.aliases.add("invoices@contoso.com")

    graph.send(sent_from("invoices@contoso.com"))

    assert graph.state.deliveries()[0]["from"] == "invoices@contoso.com"


def test_another_tenants_mailbox_is_not_there_for_an_application(graph: GraphClient) -> None:
    application = graph.acting(None, roles="Mail.Send")

    response = application.send(mail(), "/users/orders@fabrikam.com/sendMail")

    assert error_of(response) == (404, "ErrorInvalidUser")


# Personal accounts


@pytest.fixture
def demo(graph: GraphClient) -> GraphClient:
    """The personal account."""
    return graph.acting("postroom.demo@outlook.com", scopes="Mail.Send User.Read")


def test_a_personal_account_may_have_no_mail_property(
    graph: GraphClient, demo: GraphClient
) -> None:
    user = graph.simulator.state.directory.find("postroom.demo@outlook.com")
    assert user
    user.mail = None

    assert demo.get("/me").json()["mail"] is None
    assert demo.send(mail()).status_code == 202
    assert graph.state.deliveries()[0]["from"] == "postroom.demo@outlook.com"


def test_graph_may_call_a_personal_account_by_a_short_id(
    graph: GraphClient, demo: GraphClient
) -> None:
    long = demo.get("/me").json()["id"]
    graph.option(personal_short_ids=True)

    short = demo.get("/me").json()["id"]

    assert long.startswith("00000000-0000-0000-")
    assert short == long.replace("-", "")[16:]
    assert demo.get(f"/users/{short}").json()["id"] == short


@pytest.mark.parametrize("status", [400, 403, 429])
def test_a_personal_account_has_a_daily_limit(
    graph: GraphClient, demo: GraphClient, status: int
) -> None:
    graph.option(personal_messages_per_day=1, personal_limit_status=status)

    assert demo.send(mail()).status_code == 202
    assert error_of(demo.send(mail())) == (status, "ErrorExceededMessageLimit")
    graph.simulator.state.clock.advance(24 * 3600)
    tomorrow = graph.acting("postroom.demo@outlook.com", scopes="Mail.Send")
    assert tomorrow.send(mail()).status_code == 202


def test_a_personal_account_has_a_limit_of_recipients(
    graph: GraphClient, demo: GraphClient
) -> None:
    graph.option(personal_recipients_per_message=1)
    crowd = {**mail(), "toRecipients": people("a@example.org", "b@example.org")}

    assert error_of(demo.send(crowd)) == (403, "ErrorExceededMaxRecipientLimit")
    assert graph.send(crowd).status_code == 202


def test_a_suspended_account_sends_nothing(graph: GraphClient, demo: GraphClient) -> None:
    user = graph.simulator.state.directory.find("postroom.demo@outlook.com")
    assert user
    user.suspended = True

    assert error_of(demo.send(mail())) == (403, "ErrorAccountSuspend")
