"""Mailboxes that nobody signs in: where their mails go, with whose token, and what stops them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from shared.errors import ConsentRequired
from shared.mail import rights
from shared.mail.account import Account, AccountKind, AccountState, with_holders
from shared.mail.known_errors.account import why
from shared.mail.outcome import GraphAnswer
from shared.mail.status import Status
from shared.services.delivery.delivery import DeliveryResult
from tests.fakes import NOW, FakeServices, account_of

GRANTED = frozenset({"Mail.Send", "Mail.Send.Shared", "Mail.ReadWrite", "Mail.ReadWrite.Shared"})
DIRECT = GRANTED - {"Mail.ReadWrite", "Mail.ReadWrite.Shared"}
ADA = account_of("ada", scopes=GRANTED, is_default=True)
INFO = account_of("info", kind=AccountKind.SHARED, object_id="", through="id-ada")
APP = account_of("noreply", kind=AccountKind.APP, object_id="oid-noreply")
REVOKED = ConsentRequired("AADSTS50173", "revoked")


def rows(services: FakeServices) -> dict[str, Account]:
    return {row.alias: row for row in services.accounts.all(fresh=True)}


def test_a_shared_mailbox_has_its_holders_permissions_and_sign_in() -> None:
    holder = replace(ADA, authority="a-tenant")

    _, info = with_holders([holder, INFO])

    assert (info.scopes, info.signed_in_at) == (holder.scopes, holder.signed_in_at)
    assert (info.authority, info.state) == ("a-tenant", AccountState.READY)
    assert info.holder_alias == "ada"


@pytest.mark.parametrize(
    ("holder", "reason"),
    [
        (replace(ADA, state=AccountState.NEEDS_SIGN_IN, reason="AADSTS50173"), "AADSTS50173"),
        (replace(ADA, scopes=frozenset({"Mail.Send"})), "shared_not_granted"),
        (replace(ADA, account_id="another"), "holder_gone"),
    ],
)
def test_a_shared_mailbox_needs_the_sign_in_that_its_holder_needs(
    holder: Account, reason: str
) -> None:
    _, info = with_holders([holder, INFO])

    assert (info.state, info.reason) == (AccountState.NEEDS_SIGN_IN, reason)


def test_what_a_shared_mailboxs_own_row_says_of_a_sign_in_does_not_outlive_the_holders() -> None:
    stale = replace(INFO, state=AccountState.NEEDS_SIGN_IN, reason="AADSTS50173")

    assert with_holders([ADA, stale])[1].state is AccountState.READY


def test_a_hold_of_a_shared_mailbox_is_its_own() -> None:
    held = replace(INFO, state=AccountState.HELD, reason="ErrorAccessDenied", held_until=NOW)

    found = with_holders([ADA, held])[1]
    assert (found.state, found.reason, found.held_until) == (held.state, held.reason, NOW)


@pytest.mark.parametrize(
    ("account", "path"), [(INFO, "/users/info@contoso.com"), (APP, "/users/oid-noreply")]
)
def test_a_direct_mail_leaves_from_the_mailbox_itself(account: Account, path: str) -> None:
    services = FakeServices(replace(ADA, scopes=DIRECT), account)
    mail_id = services.accepted(account=account.alias)

    assert services.handle(mail_id) is DeliveryResult.SENT
    assert [post.mailbox for post in services.graph.posts] == [path]


@pytest.mark.parametrize(
    ("account", "path"), [(INFO, "/users/info@contoso.com"), (APP, "/users/oid-noreply")]
)
def test_a_verified_mail_stays_in_the_mailbox_at_every_step(account: Account, path: str) -> None:
    services = FakeServices(
        ADA, replace(account, scopes=frozenset({"Mail.Send", "Mail.ReadWrite"}))
    )
    mail_id = services.accepted(account=account.alias)
    services.drafts.answers["send"] = [GraphAnswer(503)]
    for _ in range(8):
        services.handle(mail_id)
        services.clock.forward(hours=1)

    assert services.status(mail_id) is Status.SENT
    assert {call for call, _ in services.drafts.asked} == {"create", "send", "find"}
    assert {mailbox for _, mailbox in services.drafts.asked} == {path}


def test_a_grant_that_ended_is_marked_at_the_holder_and_holds_both_ones_mails() -> None:
    services = FakeServices(ADA, INFO)
    mine, shared = services.accepted(account="ada"), services.accepted(account="info")
    services.faults.before("tokens.access_token", REVOKED)

    assert services.handle(shared) is DeliveryResult.HELD
    assert services.accounts.rows["ada"].state is AccountState.NEEDS_SIGN_IN
    assert services.accounts.rows["info"].state is AccountState.READY
    assert rows(services)["info"].state is AccountState.NEEDS_SIGN_IN
    assert services.handle(mine) is DeliveryResult.HELD


def test_a_missing_right_of_a_shared_mailbox_leaves_its_holder_alone() -> None:
    services = FakeServices(replace(ADA, scopes=DIRECT), INFO)
    first, second = services.accepted(account="info"), services.accepted(account="info")
    mine = services.accepted(account="ada")
    services.graph.answers = [GraphAnswer(403, "ErrorAccessDenied")]

    assert services.handle(first) is DeliveryResult.HELD
    assert services.handle(second) is DeliveryResult.HELD
    assert services.handle(mine) is DeliveryResult.SENT
    assert all(
        rights.NO_FULL_ACCESS in str(services.ledger.mail(one).help) for one in (first, second)
    )
    services.clock.forward(seconds=rights.RIGHT_SECONDS)
    assert services.handle(first) is DeliveryResult.SENT
    assert rows(services)["info"].state is AccountState.READY


def test_an_app_that_is_refused_holds_its_mailbox_and_tries_again_by_itself() -> None:
    services = FakeServices(APP)
    mail_id = services.accepted()
    services.faults.before("tokens.access_token", ConsentRequired("AADSTS7000112", "disabled"))

    assert services.handle(mail_id) is DeliveryResult.HELD
    row = rows(services)["noreply"]
    assert (row.state, row.reason) == (AccountState.HELD, "AADSTS7000112")
    assert services.ledger.mail(mail_id).help == rights.APP_REFUSED
    services.clock.forward(seconds=rights.RIGHT_SECONDS)
    assert services.handle(mail_id) is DeliveryResult.SENT
    assert services.status(mail_id) is Status.SENT


def test_the_pace_of_a_shared_mailbox_is_its_own() -> None:
    services = FakeServices(replace(ADA, scopes=DIRECT), INFO)
    services.graph.answers = [GraphAnswer(429, "ApplicationThrottled", 60.0)]
    services.handle(services.accepted(account="ada"))

    assert services.handle(services.accepted(account="info")) is DeliveryResult.SENT


def test_whose_sign_in_it_takes_is_said_of_a_shared_mailbox() -> None:
    holder = replace(ADA, state=AccountState.NEEDS_SIGN_IN, reason="AADSTS50173")

    told = [why(account) for account in with_holders([holder, INFO])]

    assert [row is not None and "reached through" in row.step for row in told] == [False, True]
