"""Taking a mailbox out: what goes, what waits, and that any step may be the last one."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from datetime import timedelta

import pytest

from shared.errors import LostRace, Refused, RemoteRefused
from shared.mail.account import AccountKind, AccountState
from shared.mail.status import Status
from shared.services.accounts.disconnecting import MOST_SECONDS, Disconnected, Waiting
from shared.services.sign_in.ports import Destruction
from tests.fakes import LOST, NOT_REACHED, Crash, Room, account_of

SECRET = "postroom-grant-id-billing"
STEPS = ["accounts.save", "vault.destroy", "timetables.forget", "checks.remove", "accounts.depart"]


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "postroom")


def a_room(*more: object) -> Room:
    room = Room(account_of(is_default=True), *more)  # type: ignore[arg-type]
    room.shredder.names = {f"postroom-grant-id-{alias}" for alias in room.accounts.rows}
    return room


@pytest.fixture
def room() -> Room:
    return a_room()


def hold(room: Room, alias: str = "billing", **more: bool) -> Disconnected:
    return room.disconnecting.disconnect(alias, Waiting.HOLD, **more)


def cancel(room: Room, alias: str = "billing", **more: bool) -> Disconnected:
    return room.disconnecting.disconnect(alias, Waiting.CANCEL, **more)


def is_gone(room: Room) -> bool:
    return (
        "billing" not in room.accounts.rows
        and SECRET not in room.shredder.names
        and "id-billing" not in room.timetables.rows
        and "id-billing" not in room.checks.rows
    )


def test_nothing_of_the_account_is_left(room: Room) -> None:
    room.watch.run()
    done = hold(room)

    assert done.done
    assert done.secret == Destruction(purged=True)
    assert is_gone(room)


def test_the_secret_goes_before_the_row_that_leads_to_it(room: Room) -> None:
    room.faults.before("vault.destroy", NOT_REACHED)
    with suppress(type(NOT_REACHED)):
        hold(room)

    assert room.accounts.rows["billing"].reason == "disconnecting"
    assert SECRET in room.shredder.names


def test_from_the_first_step_on_nothing_new_is_sent(room: Room) -> None:
    mail_id = room.accepted()
    room.faults.before("vault.destroy", NOT_REACHED)
    with suppress(type(NOT_REACHED)):
        hold(room)
    room.accounts.all(fresh=True)
    room.hear(mail_id)

    assert room.graph.posts == []
    assert (room.status(mail_id), room.ledger.mail(mail_id).reason) == (
        Status.HELD,
        "disconnecting",
    )
    with pytest.raises(Refused) as refused:
        room.accept()
    assert refused.value.kind.code == "account_needs_sign_in"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("waiting", list(Waiting))
@pytest.mark.parametrize("trouble", [Crash(), LOST, NOT_REACHED], ids=["crash", "lost", "out"])
def test_whatever_step_is_the_last_one_the_same_call_does_the_rest(
    room: Room, when: str, step: str, waiting: Waiting, trouble: BaseException
) -> None:
    room.watch.run()
    mail_id = room.accepted()
    getattr(room.faults, when)(step, trouble)
    with suppress(Crash, type(LOST), type(NOT_REACHED)):
        room.disconnecting.disconnect("billing", waiting)

    # No secret without a row that leads to it.
    assert "billing" in room.accounts.rows or SECRET not in room.shredder.names
    assert room.disconnecting.disconnect("billing", waiting).done
    assert is_gone(room)
    room.hear(mail_id)
    wanted = Status.CANCELLED if waiting is Waiting.CANCEL else Status.HELD
    assert room.status(mail_id) is wanted
    assert room.graph.posts == []


def test_disconnecting_again_says_that_it_is_done(room: Room) -> None:
    hold(room)

    assert hold(room).done


def test_what_was_never_there_is_refused_by_name(room: Room) -> None:
    with pytest.raises(Refused) as refused:
        hold(room, "hr")

    assert refused.value.kind.code == "unknown_alias"


def test_two_calls_at_once_both_end(room: Room) -> None:
    room.faults.before("accounts.depart", lambda: hold(room))

    assert hold(room).done
    assert is_gone(room)


def test_a_change_of_another_account_meanwhile_is_no_hindrance() -> None:
    room = a_room(account_of("hr"))
    room.faults.before("accounts.depart", LostRace("enrolled"))

    assert hold(room).done
    assert list(room.accounts.rows) == ["hr"]


def test_a_check_meanwhile_does_not_make_it_ready(room: Room) -> None:
    room.faults.before("vault.destroy", lambda: room.checking.check("billing"))
    hold(room)

    assert is_gone(room)


# --- mails


def test_held_mails_go_when_the_same_mailbox_is_back(room: Room) -> None:
    mail_id = room.accepted()
    hold(room)
    room.hear(mail_id)
    assert room.ledger.mail(mail_id).reason == "account_gone"
    room.accounts.put(account_of(signed_in_at=room.clock()))
    room.accounts.all(fresh=True)
    room.upkeep.release(room.accounts.rows["billing"])
    for ring in room.bell.take_due():
        room.hear(ring.mail_id)

    assert room.status(mail_id) is Status.SENT


def test_cancelling_withdraws_what_waits_and_nothing_else() -> None:
    room = a_room(account_of("hr"))
    sent = room.accepted()
    room.hear(sent)
    waiting = [room.accepted(), room.accepted(scheduled_at="2026-09-01T08:00:00Z")]
    others = room.accepted(account="hr")
    done = cancel(room)

    assert done.cancelled == 2
    assert [room.status(one) for one in waiting] == [Status.CANCELLED] * 2
    assert room.status(sent) is Status.SENT
    assert room.status(others) is Status.QUEUED


def test_mails_of_another_mailbox_that_had_the_alias_are_left(room: Room) -> None:
    mail_id = room.accepted()
    room.accounts.change("billing", account_id="id-other")
    done = cancel(room)

    assert (done.done, done.cancelled) == (True, 0)
    assert room.status(mail_id) is Status.QUEUED


def test_of_many_mails_as_many_go_as_there_is_time_for_and_the_rest_is_counted(room: Room) -> None:
    ids = [room.accepted() for _ in range(250)]
    room.faults.always("ledger.update", lambda: room.clock.forward(seconds=MOST_SECONDS / 100))
    first = cancel(room)
    row = room.accounts.rows["billing"]
    second, third = cancel(room), cancel(room)

    assert (first.done, first.left) == (False, 250 - first.cancelled)
    assert SECRET not in room.shredder.names or third.done
    assert (row.state, row.reason) == (AccountState.NEEDS_SIGN_IN, "disconnecting")
    assert third.done
    assert first.cancelled + second.cancelled + third.cancelled == 250
    assert {room.status(one) for one in ids} == {Status.CANCELLED}


def test_while_mails_are_left_the_secret_stays_for_their_drafts(room: Room) -> None:
    room.accepted()
    room.faults.before("ledger.update", LostRace("busy"))
    for n in range(2, 7):
        room.faults.before("ledger.update", LostRace("busy"), nth=n)
    done = cancel(room)

    assert (done.done, done.left) == (False, 1)
    assert SECRET in room.shredder.names


def test_a_mail_that_is_being_sent_ends_as_it_would(room: Room) -> None:
    mail_id = room.accepted()
    room.faults.before("graph.send_mail", lambda: cancel(room))
    room.hear(mail_id)

    assert room.status(mail_id) is Status.SENT
    assert is_gone(room)


# --- the vault


def test_a_vault_that_keeps_what_is_deleted_says_until_when(room: Room) -> None:
    until = room.clock() + timedelta(days=90)
    room.shredder.done = Destruction(purged=False, gone_at=until)

    assert hold(room).secret == Destruction(purged=False, gone_at=until)


def test_a_right_that_is_missing_is_named_and_the_row_still_leads_to_the_secret(
    room: Room,
) -> None:
    room.faults.before("vault.destroy", RemoteRefused("vault", "Key Vault refused."))
    with pytest.raises(Refused) as refused:
        hold(room)

    assert refused.value.kind.code == "secret_not_removed"
    assert "Key Vault Secrets Officer" in refused.value.help
    assert room.accounts.rows["billing"].reason == "disconnecting"
    assert hold(room).done


def test_an_account_without_a_secret_leaves_the_vault_alone() -> None:
    room = Room(account_of(kind=AccountKind.APP))

    assert hold(room).secret is None
    assert room.faults.calls["vault.destroy"] == 0


# --- shared mailboxes, and the default


def shared() -> Room:
    reached = account_of("info", kind=AccountKind.SHARED, through="id-billing")
    room = a_room(reached, account_of("hr"), account_of("ops"))
    room.accounts.change("billing", scopes=frozenset({"Mail.Send", "Mail.Send.Shared"}))
    room.accounts.all(fresh=True)
    return room


def test_the_holder_of_shared_mailboxes_is_not_taken_from_under_them() -> None:
    room = shared()
    with pytest.raises(Refused) as refused:
        hold(room)

    assert refused.value.kind.code == "account_in_use"
    assert "'info'" in refused.value.detail
    assert room.accounts.rows["billing"].state is AccountState.READY


def test_with_its_holder_a_shared_mailbox_goes_where_that_is_wanted() -> None:
    room = shared()
    mail_id = room.accepted(account="info")
    done = cancel(room, with_shared=True)

    assert done.taken_along == ("info",)
    assert sorted(room.accounts.rows) == ["hr", "ops"]
    assert room.status(mail_id) is Status.CANCELLED


def test_a_shared_mailbox_goes_alone_and_its_holder_stays() -> None:
    room = shared()
    done = hold(room, "info")

    assert (done.done, done.secret) == (True, None)
    assert room.accounts.rows["billing"].state is AccountState.READY


def test_a_shared_mailbox_that_is_half_disconnected_sends_nothing() -> None:
    room = shared()
    room.faults.before("accounts.depart", NOT_REACHED)
    with suppress(type(NOT_REACHED)):
        hold(room, "info")
    with pytest.raises(Refused):
        room.accept(account="info")

    assert hold(room, "info").done


def test_the_only_account_that_is_left_becomes_the_default() -> None:
    room = a_room(account_of("hr"))
    done = hold(room)

    assert (done.was_default, done.heir) == (True, "hr")
    assert room.accounts.rows["hr"].is_default


def test_of_several_that_are_left_none_becomes_the_default() -> None:
    room = a_room(account_of("hr"), account_of("ops"))
    done = hold(room)

    assert (done.was_default, done.heir) == (True, None)
    assert not any(one.is_default for one in room.accounts.rows.values())


def test_the_outlook_says_what_would_happen_and_changes_nothing() -> None:
    room = shared()
    room.accepted(account="billing")
    outlook = room.disconnecting.outlook("billing")

    assert (outlook.waiting, outlook.through, outlook.heir) == (1, ("info",), None)
    assert not outlook.is_begun
    assert room.accounts.rows["billing"].state is AccountState.READY


def test_it_is_told_without_an_address(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    hold(room)
    (line,) = [one for one in caplog.messages if "account_disconnected" in one]

    assert json.loads(line)["account"] == "billing"
    assert "@" not in line
