"""Every kind of account, from signing in (or adding) to the arrived mail: From, Sender, and in whose
Sent Items the copy lies (https://learn.microsoft.com/graph/outlook-send-mail-from-other-user)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
import requests

from local import demo
from local.stack import Stack
from tests.e2e.control import Control

ADA = "ada@contoso.com"
BILLING = "billing@contoso.com"
INFO = "info@contoso.com"
NOREPLY = "noreply@contoso.com"
PERSONAL = "postroom.demo@outlook.com"
TO = "grace@example.org"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of its own, to which accounts of either kind may sign in."""
    settings = {"POSTROOM_MAILS_PER_MINUTE": "0", "POSTROOM_TENANT": "common"}
    with Stack(
        tmp_path_factory.mktemp("kinds"), 0, 0, settings=settings, local_settings=False
    ) as running:
        yield running


@pytest.fixture(scope="module")
def control_of_stack(stack: Stack) -> Iterator[Control]:
    control = Control(stack)
    yield control
    control.close()


def rights(control: Control, mailbox: str, **sets: list[str]) -> None:
    """What Exchange grants at a mailbox, and to whom."""
    none: dict[str, list[str]] = {"send_as": [], "send_on_behalf": [], "full_access": []}
    control.ask("POST", "mailboxes", {"address": mailbox, **none, **sets})


def signed_in(
    control: Control, alias: str, mailbox: str, *, verified: bool, shared: bool = False
) -> None:
    ticked = {"verified": verified, "shared": shared, "personal": mailbox == PERSONAL}
    demo.sign_in(control.stack.info, mailbox, alias, **ticked)


def allow(control: Control, alias: str, address: str) -> None:
    """Put an address on an account's list of From addresses."""
    answer = control.api("PATCH", f"accounts/{alias}", {"allowed_from": [address]})
    assert answer.status_code == 200, answer.text


def add(control: Control, **document: object) -> dict[str, Any]:
    answer = control.api("POST", "accounts", document)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()["account"]
    return found


def work(control: Control, verified: bool) -> None:
    signed_in(control, "ada", ADA, verified=verified)


def by_code(control: Control, verified: bool) -> None:
    """The administrator's browser cannot reach the callback."""
    demo.sign_in(control.stack.info, ADA, "ada", verified=verified, by_code=True)


def personal(control: Control, verified: bool) -> None:
    signed_in(control, "private", PERSONAL, verified=verified)


def several(control: Control, verified: bool) -> None:
    """The first that is signed in is the default."""
    signed_in(control, "billing", BILLING, verified=verified)
    signed_in(control, "ada", ADA, verified=verified)
    signed_in(control, "private", PERSONAL, verified=verified)


def alternate(**sets: list[str]) -> Callable[[Control, bool], None]:
    """A signed-in account that may put info@ into From, with these rights there."""

    def prepare(control: Control, verified: bool) -> None:
        rights(control, INFO, **sets)
        signed_in(control, "ada", ADA, verified=verified, shared=True)
        allow(control, "ada", INFO)

    return prepare


def shared(**sets: list[str]) -> Callable[[Control, bool], None]:
    """The shared mailbox info@, reached by ada, who has these rights there."""

    def prepare(control: Control, verified: bool) -> None:
        rights(control, INFO, **sets)
        signed_in(control, "ada", ADA, verified=verified, shared=True)
        add(control, alias="info", kind="shared", mailbox=INFO, through="ada", verified=verified)

    return prepare


def app_only(control: Control, verified: bool) -> None:
    control.ask("POST", "mailboxes", {"address": NOREPLY, "name": "No Reply", "kind": "work"})
    tenant = control.stack.info["tenant_id"]
    add(control, alias="noreply", kind="app", mailbox=NOREPLY, tenant=tenant, verified=verified)


@dataclass(frozen=True)
class Row:
    """One kind of account, what is sent, and what arrives."""

    prepare: Callable[[Control, bool], None]
    from_: str
    sender: str
    kept_by: str
    """In whose Sent Items the copy lies."""
    fields: dict[str, object] = field(default_factory=dict)


ROWS = {
    "work": Row(work, ADA, ADA, ADA),
    "by a code": Row(by_code, ADA, ADA, ADA),
    "personal": Row(personal, PERSONAL, PERSONAL, PERSONAL),
    "several, the default": Row(several, BILLING, BILLING, BILLING),
    "several, by name": Row(several, ADA, ADA, ADA, {"account": "ada"}),
    "several, by From": Row(several, PERSONAL, PERSONAL, PERSONAL, {"from": PERSONAL}),
    "alternate From, Send As": Row(alternate(send_as=[ADA]), INFO, INFO, ADA, {"from": INFO}),
    "alternate From, Send on Behalf": Row(
        alternate(send_on_behalf=[ADA]), INFO, ADA, ADA, {"from": INFO}
    ),
    "shared mailbox, Send As": Row(
        shared(send_as=[ADA], full_access=[ADA]), INFO, INFO, INFO, {"account": "info"}
    ),
    "shared mailbox, Send on Behalf": Row(
        shared(send_on_behalf=[ADA], full_access=[ADA]), INFO, ADA, INFO, {"from": INFO}
    ),
    "app-only": Row(app_only, NOREPLY, NOREPLY, NOREPLY, {"account": "noreply"}),
}


@pytest.mark.parametrize("verified", [False, True], ids=["direct", "verified"])
@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_a_mail_of_every_kind_of_account_arrives_as_exchange_would_have_it(
    control: Control, row: Row, verified: bool
) -> None:
    row.prepare(control, verified)
    # The mailboxes are not emptied between tests.
    subject = f"Each kind {uuid4()}"

    answer = control.send(
        wait=30, to=TO, subject=subject, text="x", headers={"X-Ref": "7"}, **row.fields
    )

    (delivery,) = control.deliveries(1)
    assert (answer["status"], answer["delivery"]) == ("sent", "verified" if verified else "direct")
    assert (delivery["from"], delivery["sender"]) == (row.from_, row.sender)
    assert (delivery["mailbox"], delivery["saved_to_sent_items"]) == (row.kept_by, True)
    assert delivery["key"] == answer["id"]
    assert {"name": "X-Ref", "value": "7"} in delivery["headers"]
    if row.kept_by != PERSONAL:
        copies = {
            one: sent_items(control, one, subject) for one in {ADA, BILLING, INFO, row.kept_by}
        }
        kept = {mailbox for mailbox, found in copies.items() if found}
        assert kept == {row.kept_by}
        (copy,) = copies[row.kept_by]
        assert copy["from"]["emailAddress"]["address"] == row.from_
        assert copy["sender"]["emailAddress"]["address"] == row.sender


def sent_items(control: Control, mailbox: str, subject: str) -> list[dict[str, Any]]:
    """The Sent Items of a mailbox of contoso, read with a token that is not the app's."""
    info = control.stack.info
    base = info["control_url"].removesuffix("/control")
    token = requests.post(
        f"{base}/{info['tenant_id']}/oauth2/v2.0/token",
        data={
            "grant_type": "client_credentials",
            "client_id": info["client_id"],
            "client_secret": info["client_secret"],
            "scope": "https://graph.microsoft.com/.default",
        },
        timeout=10,
    ).json()["access_token"]
    answer = requests.get(
        f"{info['graph_url']}/users/{mailbox}/mailFolders/sentitems/messages",
        headers={"Authorization": f"Bearer {token}"},
        params={"$select": "subject,from,sender", "$filter": f"subject eq '{subject}'"},
        verify=info["ca_file"],
        timeout=10,
    )
    assert answer.ok, answer.text
    found: list[dict[str, Any]] = answer.json()["value"]
    return found


@pytest.mark.parametrize("verified", [False, True], ids=["direct", "verified"])
def test_a_from_address_without_the_right_in_exchange_fails_its_mail_and_names_the_right(
    control: Control, verified: bool
) -> None:
    alternate()(control, verified)

    answer = control.send(wait=30, to=TO, subject="No right", text="x", **{"from": INFO})

    mail = control.api("GET", f"mails/{answer['id']}").json()
    assert (mail["status"], mail["reason"]) == ("failed", "ErrorSendAsDenied")
    assert "'Send as'" in mail["help"]
    assert "'Send on behalf'" in mail["help"]
    assert control.deliveries() == []
    assert control.accounts()[0]["state"] == "ready"


def test_a_from_address_without_the_permission_is_refused_before_anything_is_stored(
    control: Control,
) -> None:
    signed_in(control, "ada", ADA, verified=False)
    allow(control, "ada", INFO)

    answer = control.api("POST", "send", {"to": TO, "subject": "No", "text": "x", "from": INFO})

    assert answer.status_code == 422
    assert "Mail.Send.Shared" in answer.json()["errors"][0]["message"]
    assert control.api("GET", "mails").json()["mails"] == []


def test_a_shared_mailbox_without_full_access_is_refused_where_that_can_be_seen(
    control: Control,
) -> None:
    rights(control, INFO, send_as=[ADA])
    signed_in(control, "ada", ADA, verified=True, shared=True)

    answer = control.api(
        "POST",
        "accounts",
        {"alias": "info", "kind": "shared", "mailbox": INFO, "through": "ada"},
    )

    assert answer.status_code == 422
    assert "Full Access" in answer.json()["help"]
    assert [account["alias"] for account in control.accounts()] == ["ada"]


def test_a_shared_mailbox_without_full_access_holds_its_mails_and_names_the_right(
    control: Control,
) -> None:
    shared(send_as=[ADA])(control, False)

    answer = control.send(wait=30, to=TO, subject="No access", text="x", account="info")

    mail = control.api("GET", f"mails/{answer['id']}").json()
    states = {account["alias"]: account["state"] for account in control.accounts()}
    assert (mail["status"], mail["reason"]) == ("held", "ErrorAccessDenied")
    assert "Full Access" in mail["help"]
    assert states == {"ada": "ready", "info": "held"}
    assert control.deliveries() == []


def test_a_grant_that_ends_holds_the_shared_mailboxs_mail_until_its_holder_signs_in(
    control: Control,
) -> None:
    shared(send_as=[ADA], full_access=[ADA])(control, False)
    control.ask("POST", "revoke", {"mailbox": ADA, "access_tokens": True})

    answer = control.send(wait=30, to=TO, subject="Each kind", text="x", account="info")

    states = {account["alias"]: account["state"] for account in control.accounts()}
    assert answer["status"] == "held"
    assert states == {"ada": "needs-sign-in", "info": "needs-sign-in"}
    signed_in(control, "ada", ADA, verified=False, shared=True)
    (delivery,) = control.deliveries(1)
    assert (delivery["mailbox"], delivery["key"]) == (INFO, answer["id"])
    assert {account["state"] for account in control.accounts()} == {"ready"}


def test_what_the_api_says_of_each_kind(control: Control) -> None:
    shared(send_as=[ADA], full_access=[ADA])(control, False)
    app_only(control, False)

    found = {account["alias"]: account for account in control.accounts()}

    assert {alias: account["kind"] for alias, account in found.items()} == {
        "ada": "work",
        "info": "shared",
        "noreply": "app",
    }
    assert found["info"]["through"] == "ada"
    assert "Mail.Send.Shared" in found["info"]["scopes"]
    assert found["noreply"]["scopes"] == ["Mail.Send"]
    assert len(control.grants()) == 1
