"""Taking a mailbox out: what goes, what waits, and that any step may be the last one."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from datetime import timedelta

import pytest

from shared.errors import LostRace, RemoteRefused, RequestRejected
from shared.mail.account import AccountKind, AccountState
from shared.mail.status import Status
from shared.services.accounts.disconnecting import MOST_SECONDS, Disconnected, PendingMailAction
from shared.services.sign_in.ports import Destruction
from tests.fakes import LOST, NOT_REACHED, Crash, FakeServices, account_of

SECRET = "postroom-grant-id-billing"
STEPS = [
    "accounts.save",
    "vault.destroy",
    "timetables.forget",
    "checks.remove",
    "accounts.remove_account",
]


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "postroom")


def a_room(*more: object) -> FakeServices:
    services = FakeServices(account_of(is_default=True), *more)  # type: ignore[arg-type]
    services.shredder.names = {f"postroom-grant-id-{alias}" for alias in services.accounts.rows}
    return services


@pytest.fixture
def services() -> FakeServices:
    return a_room()


def hold(services: FakeServices, alias: str = "billing", **more: bool) -> Disconnected:
    return services.disconnecting.disconnect(alias, PendingMailAction.HOLD, **more)


def cancel(services: FakeServices, alias: str = "billing", **more: bool) -> Disconnected:
    return services.disconnecting.disconnect(alias, PendingMailAction.CANCEL, **more)


def is_gone(services: FakeServices) -> bool:
    return (
        "billing" not in services.accounts.rows
        and SECRET not in services.shredder.names
        and "id-billing" not in services.timetables.rows
        and "id-billing" not in services.checks.rows
    )


def test_nothing_of_the_account_is_left(services: FakeServices) -> None:
    services.watch.run()
    done = hold(services)

    assert done.done
    assert done.secret == Destruction(purged=True)
    assert is_gone(services)


def test_the_secret_goes_before_the_row_that_leads_to_it(services: FakeServices) -> None:
    services.faults.before("vault.destroy", NOT_REACHED)
    with suppress(type(NOT_REACHED)):
        hold(services)

    assert services.accounts.rows["billing"].reason == "disconnecting"
    assert SECRET in services.shredder.names


def test_from_the_first_step_on_nothing_new_is_sent(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.faults.before("vault.destroy", NOT_REACHED)
    with suppress(type(NOT_REACHED)):
        hold(services)
    services.accounts.all(fresh=True)
    services.handle(mail_id)

    assert services.graph.posts == []
    assert (services.status(mail_id), services.ledger.mail(mail_id).reason) == (
        Status.HELD,
        "disconnecting",
    )
    with pytest.raises(RequestRejected) as refused:
        services.accept()
    assert refused.value.kind.code == "account_needs_sign_in"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("waiting", list(PendingMailAction))
@pytest.mark.parametrize("trouble", [Crash(), LOST, NOT_REACHED], ids=["crash", "lost", "out"])
def test_whatever_step_is_the_last_one_the_same_call_does_the_rest(
    services: FakeServices, when: str, step: str, waiting: PendingMailAction, trouble: BaseException
) -> None:
    services.watch.run()
    mail_id = services.accepted()
    getattr(services.faults, when)(step, trouble)
    with suppress(Crash, type(LOST), type(NOT_REACHED)):
        services.disconnecting.disconnect("billing", waiting)

    # No secret without a row that leads to it.
    assert "billing" in services.accounts.rows or SECRET not in services.shredder.names
    assert services.disconnecting.disconnect("billing", waiting).done
    assert is_gone(services)
    services.handle(mail_id)
    wanted = Status.CANCELLED if waiting is PendingMailAction.CANCEL else Status.HELD
    assert services.status(mail_id) is wanted
    assert services.graph.posts == []


def test_disconnecting_again_says_that_it_is_done(services: FakeServices) -> None:
    hold(services)

    assert hold(services).done


def test_what_was_never_there_is_refused_by_name(services: FakeServices) -> None:
    with pytest.raises(RequestRejected) as refused:
        hold(services, "hr")

    assert refused.value.kind.code == "unknown_alias"


def test_two_calls_at_once_both_end(services: FakeServices) -> None:
    services.faults.before("accounts.remove_account", lambda: hold(services))

    assert hold(services).done
    assert is_gone(services)


def test_a_change_of_another_account_meanwhile_is_no_hindrance() -> None:
    services = a_room(account_of("hr"))
    services.faults.before("accounts.remove_account", LostRace("enrolled"))

    assert hold(services).done
    assert list(services.accounts.rows) == ["hr"]


def test_a_check_meanwhile_does_not_make_it_ready(services: FakeServices) -> None:
    services.faults.before("vault.destroy", lambda: services.checking.check("billing"))
    hold(services)

    assert is_gone(services)


# --- mails


def test_held_mails_go_when_the_same_mailbox_is_back(services: FakeServices) -> None:
    mail_id = services.accepted()
    hold(services)
    services.handle(mail_id)
    assert services.ledger.mail(mail_id).reason == "account_gone"
    services.accounts.put(account_of(signed_in_at=services.clock()))
    services.accounts.all(fresh=True)
    services.upkeep.release(services.accounts.rows["billing"])
    for ring in services.wake_ups.take_due():
        services.handle(ring.mail_id)

    assert services.status(mail_id) is Status.SENT


def test_cancelling_withdraws_what_waits_and_nothing_else() -> None:
    services = a_room(account_of("hr"))
    sent = services.accepted()
    services.handle(sent)
    waiting = [services.accepted(), services.accepted(scheduled_at="2026-09-01T08:00:00Z")]
    others = services.accepted(account="hr")
    done = cancel(services)

    assert done.cancelled == 2
    assert [services.status(one) for one in waiting] == [Status.CANCELLED] * 2
    assert services.status(sent) is Status.SENT
    assert services.status(others) is Status.QUEUED


def test_mails_of_another_mailbox_that_had_the_alias_are_left(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.accounts.change("billing", account_id="id-other")
    done = cancel(services)

    assert (done.done, done.cancelled) == (True, 0)
    assert services.status(mail_id) is Status.QUEUED


def test_of_many_mails_as_many_go_as_there_is_time_for_and_the_rest_is_counted(
    services: FakeServices,
) -> None:
    ids = [services.accepted() for _ in range(250)]
    services.faults.always(
        "ledger.update", lambda: services.clock.forward(seconds=MOST_SECONDS / 100)
    )
    first = cancel(services)
    row = services.accounts.rows["billing"]
    second, third = cancel(services), cancel(services)

    assert (first.done, first.left) == (False, 250 - first.cancelled)
    assert SECRET not in services.shredder.names or third.done
    assert (row.state, row.reason) == (AccountState.NEEDS_SIGN_IN, "disconnecting")
    assert third.done
    assert first.cancelled + second.cancelled + third.cancelled == 250
    assert {services.status(one) for one in ids} == {Status.CANCELLED}


def test_while_mails_are_left_the_secret_stays_for_their_drafts(services: FakeServices) -> None:
    services.accepted()
    services.faults.before("ledger.update", LostRace("busy"))
    for n in range(2, 7):
        services.faults.before("ledger.update", LostRace("busy"), nth=n)
    done = cancel(services)

    assert (done.done, done.left) == (False, 1)
    assert SECRET in services.shredder.names


def test_a_mail_that_is_being_sent_ends_as_it_would(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.faults.before("graph.send_mail", lambda: cancel(services))
    services.handle(mail_id)

    assert services.status(mail_id) is Status.SENT
    assert is_gone(services)


# --- the vault


def test_a_vault_that_keeps_what_is_deleted_says_until_when(services: FakeServices) -> None:
    until = services.clock() + timedelta(days=90)
    services.shredder.done = Destruction(purged=False, gone_at=until)

    assert hold(services).secret == Destruction(purged=False, gone_at=until)


def test_a_right_that_is_missing_is_named_and_the_row_still_leads_to_the_secret(
    services: FakeServices,
) -> None:
    services.faults.before("vault.destroy", RemoteRefused("vault", "Key Vault refused."))
    with pytest.raises(RequestRejected) as refused:
        hold(services)

    assert refused.value.kind.code == "secret_not_removed"
    assert "Key Vault Secrets Officer" in refused.value.help
    assert services.accounts.rows["billing"].reason == "disconnecting"
    assert hold(services).done


def test_an_account_without_a_secret_leaves_the_vault_alone() -> None:
    services = FakeServices(account_of(kind=AccountKind.APP))

    assert hold(services).secret is None
    assert services.faults.calls["vault.destroy"] == 0


# --- shared mailboxes, and the default


def shared() -> FakeServices:
    reached = account_of("info", kind=AccountKind.SHARED, through="id-billing")
    services = a_room(reached, account_of("hr"), account_of("ops"))
    services.accounts.change("billing", scopes=frozenset({"Mail.Send", "Mail.Send.Shared"}))
    services.accounts.all(fresh=True)
    return services


def test_the_holder_of_shared_mailboxes_is_not_taken_from_under_them() -> None:
    services = shared()
    with pytest.raises(RequestRejected) as refused:
        hold(services)

    assert refused.value.kind.code == "account_in_use"
    assert "'info'" in refused.value.detail
    assert services.accounts.rows["billing"].state is AccountState.READY


def test_with_its_holder_a_shared_mailbox_goes_where_that_is_wanted() -> None:
    services = shared()
    mail_id = services.accepted(account="info")
    done = cancel(services, with_shared=True)

    assert done.taken_along == ("info",)
    assert sorted(services.accounts.rows) == ["hr", "ops"]
    assert services.status(mail_id) is Status.CANCELLED


def test_a_shared_mailbox_goes_alone_and_its_holder_stays() -> None:
    services = shared()
    done = hold(services, "info")

    assert (done.done, done.secret) == (True, None)
    assert services.accounts.rows["billing"].state is AccountState.READY


def test_a_shared_mailbox_that_is_half_disconnected_sends_nothing() -> None:
    services = shared()
    services.faults.before("accounts.remove_account", NOT_REACHED)
    with suppress(type(NOT_REACHED)):
        hold(services, "info")
    with pytest.raises(RequestRejected):
        services.accept(account="info")

    assert hold(services, "info").done


def test_the_only_account_that_is_left_becomes_the_default() -> None:
    services = a_room(account_of("hr"))
    done = hold(services)

    assert (done.was_default, done.new_default) == (True, "hr")
    assert services.accounts.rows["hr"].is_default


def test_of_several_that_are_left_none_becomes_the_default() -> None:
    services = a_room(account_of("hr"), account_of("ops"))
    done = hold(services)

    assert (done.was_default, done.new_default) == (True, None)
    assert not any(one.is_default for one in services.accounts.rows.values())


def test_the_outlook_says_what_would_happen_and_changes_nothing() -> None:
    services = shared()
    services.accepted(account="billing")
    outlook = services.disconnecting.outlook("billing")

    assert (outlook.waiting, outlook.through, outlook.new_default) == (1, ("info",), None)
    assert not outlook.is_begun
    assert services.accounts.rows["billing"].state is AccountState.READY


def test_it_is_told_without_an_address(
    services: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    hold(services)
    (line,) = [one for one in caplog.messages if "account_disconnected" in one]

    assert json.loads(line)["account"] == "billing"
    assert "@" not in line
