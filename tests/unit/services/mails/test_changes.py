"""What callers and people do to mails: what holds afterwards, and what is refused."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.adapters.storage.mails_table import to_row
from shared.errors import AnswerLost, LostRace, NotSent, Refused, RemoteError
from shared.mail.account import AccountState
from shared.mail.address import Address
from shared.mail.mail import Mail, Payload
from shared.mail.outcome import GraphAnswer
from shared.mail.status import Status
from shared.services.intake.mail_document import Order, read_json, read_mime
from shared.services.mails.changes import ATTEMPTS, INSTEAD, Decision, Recipients
from shared.services.mails.packing import unpack
from tests.fakes import LOST, NOT_REACHED, NOW, Room, account_of, order_of

GRACE = Recipients(to=(Address("grace@example.com"),))
DENIED = GraphAnswer(403, "ErrorSendAsDenied")


@pytest.fixture
def room() -> Room:
    return Room()


def mail_in(room: Room, status: Status, order: Order | None = None) -> str:
    """A mail that came into a status the way mails do."""
    later = NOW + timedelta(days=3)
    order = order or order_of(scheduled_at=later.isoformat() if status == "scheduled" else None)
    mail_id = room.submission.accept(order).mail.mail_id
    match status:
        case Status.SENT:
            room.hear(mail_id)
        case Status.SENDING:
            mail = room.ledger.mail(mail_id)
            room.ledger.overwrite(
                mail.moved(Status.SENDING, NOW, lease_until=later, lease_id="another")
            )
        case Status.HELD:
            out = room.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN)
            room.accounts.remember(out)
            room.hear(mail_id)
            room.accounts.remember(room.accounts.change("billing", state=AccountState.READY))
        case Status.UNKNOWN:
            room.graph.answers = [AnswerLost("graph", "no answer")]
            room.hear(mail_id)
        case Status.FAILED:
            room.graph.answers = [DENIED]
            room.hear(mail_id)
        case Status.CANCELLED:
            room.changes.cancel(mail_id)
    assert room.status(mail_id) is status
    room.bell.rings.clear()
    return mail_id


CHANGES: dict[str, tuple[Callable[[Room, str], Mail], set[Status]]] = {
    "cancel": (
        lambda room, mail_id: room.changes.cancel(mail_id),
        {Status.SCHEDULED, Status.QUEUED, Status.HELD, Status.CANCELLED},
    ),
    "reschedule": (
        lambda room, mail_id: room.changes.reschedule(mail_id, NOW + timedelta(days=1)),
        {Status.SCHEDULED, Status.QUEUED, Status.HELD},
    ),
    "retry": (
        lambda room, mail_id: room.changes.retry(mail_id),
        {Status.FAILED, Status.HELD},
    ),
    "resolve as sent": (
        lambda room, mail_id: room.changes.resolve(mail_id, Decision.SENT),
        {Status.UNKNOWN, Status.SENT},
    ),
    "resolve to send again": (
        lambda room, mail_id: room.changes.resolve(mail_id, Decision.SEND_AGAIN),
        {Status.UNKNOWN},
    ),
    "release": (lambda room, mail_id: room.changes.release(mail_id), {Status.HELD}),
}


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("name", CHANGES)
def test_each_change_is_made_in_its_statuses_and_refused_in_all_others(
    room: Room, name: str, status: Status
) -> None:
    change, allowed = CHANGES[name]
    mail_id = mail_in(room, status)
    before = room.ledger.mail(mail_id)

    if status in allowed:
        assert change(room, mail_id) == room.ledger.mail(mail_id)
    else:
        with pytest.raises(Refused) as caught:
            change(room, mail_id)
        assert caught.value.kind.code == "wrong_status"
        assert caught.value.members == {"mail_status": status.value}
        assert status.value in caught.value.detail
        assert INSTEAD[status] in caught.value.detail
        assert room.ledger.mail(mail_id) == before
        assert room.bell.rings == []


@pytest.mark.parametrize("name", CHANGES)
def test_a_mail_that_is_not_there_cannot_be_changed(room: Room, name: str) -> None:
    with pytest.raises(Refused) as caught:
        CHANGES[name][0](room, "01a01f0a-da00-72d3-a652-e44da7f29e26")

    assert caught.value.kind.code == "unknown_mail"


@pytest.mark.parametrize("name", CHANGES)
def test_a_write_whose_answer_was_lost_is_found_again(room: Room, name: str) -> None:
    change, allowed = CHANGES[name]
    mail_id = mail_in(room, min(allowed - {Status.CANCELLED, Status.SENT}))
    room.faults.after("ledger.update", LOST)

    mail = change(room, mail_id)

    assert room.ledger.mail(mail_id) == mail


@pytest.mark.parametrize("name", CHANGES)
def test_a_lost_race_is_decided_anew(room: Room, name: str) -> None:
    change, allowed = CHANGES[name]
    mail_id = mail_in(room, min(allowed - {Status.CANCELLED, Status.SENT}))
    room.faults.before("ledger.update", LostRace("another was first"))

    assert change(room, mail_id) == room.ledger.mail(mail_id)


def test_a_race_that_is_lost_again_and_again_ends(room: Room) -> None:
    mail_id = room.accepted()
    room.faults.always("ledger.update", LostRace("another was first"))

    with pytest.raises(Refused) as caught:
        room.changes.cancel(mail_id)

    assert caught.value.kind.code == "unavailable"
    assert room.faults.calls["ledger.update"] == ATTEMPTS


def test_storage_that_is_not_reached_changes_nothing(room: Room) -> None:
    mail_id = room.accepted()
    room.faults.before("ledger.update", NOT_REACHED)

    with pytest.raises(RemoteError):
        room.changes.cancel(mail_id)

    assert room.status(mail_id) is Status.QUEUED


# Withdrawn.


def test_a_withdrawn_mail_is_never_sent_and_its_content_is_gone(room: Room) -> None:
    mail_id = room.accepted()

    room.changes.cancel(mail_id)
    room.hear(mail_id)

    assert room.graph.posts == []
    assert room.ledger.mail(mail_id).payload == Payload()


def test_the_blob_of_a_withdrawn_mail_is_deleted(room: Room) -> None:
    mail_id = mail_in(room, Status.QUEUED, order_of(html=secrets.token_hex(800_000)))
    assert room.payloads.blobs

    room.changes.cancel(mail_id)

    assert room.payloads.blobs == {}


def test_withdrawing_between_reading_and_claiming_wins(room: Room) -> None:
    mail_id = room.accepted()
    room.faults.before("ledger.update", lambda: room.person().cancel(mail_id))

    room.hear(mail_id)

    assert room.status(mail_id) is Status.CANCELLED
    assert room.graph.posts == []


def test_a_claim_between_reading_and_withdrawing_wins(room: Room) -> None:
    mail_id = room.accepted()
    room.faults.before("ledger.update", lambda: room.hear(mail_id))

    with pytest.raises(Refused) as caught:
        room.changes.cancel(mail_id)

    assert caught.value.members == {"mail_status": "sent"}
    assert len(room.graph.posts) == 1


# Another time.


def test_a_mail_that_was_put_off_goes_at_its_new_time(room: Room) -> None:
    mail_id = room.accepted()
    room.changes.reschedule(mail_id, NOW + timedelta(hours=2))

    room.hear(mail_id)
    early = room.status(mail_id)
    room.clock.forward(hours=2)
    room.hear(mail_id)

    assert (early, room.status(mail_id)) == (Status.SCHEDULED, Status.SENT)


@pytest.mark.parametrize("due", [None, NOW - timedelta(days=1)], ids=["null", "past"])
@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.QUEUED, Status.HELD])
def test_no_time_or_a_past_one_is_now(room: Room, status: Status, due: None) -> None:
    mail_id = mail_in(room, status)

    mail = room.changes.reschedule(mail_id, due)

    assert (mail.status, mail.due_at) == (Status.QUEUED, NOW)
    assert [ring.after_seconds for ring in room.bell.rings] == [0]
    assert mail.events[-1].reason == "rescheduled"


def test_a_mail_that_is_put_forward_is_rung_for_then(room: Room) -> None:
    mail_id = mail_in(room, Status.SCHEDULED)

    room.changes.reschedule(mail_id, NOW + timedelta(minutes=1))

    assert [ring.after_seconds for ring in room.bell.rings] == [60]


def test_a_mail_due_far_beyond_the_queues_seven_days_goes_on_its_day(room: Room) -> None:
    due = NOW + timedelta(days=20)
    mail_id = room.accepted(scheduled_at=due.isoformat())
    rung = []

    while room.clock() < due + timedelta(minutes=10):
        for ring in room.bell.take_due():
            rung.append(room.clock() - NOW)
            room.hear(ring.mail_id)
        room.clock.forward(minutes=10)

    mail = room.ledger.mail(mail_id)
    assert mail.status is Status.SENT
    assert mail.sent_at is not None
    assert timedelta() <= mail.sent_at - due <= timedelta(minutes=10)
    assert len(rung) == 3
    assert len(room.graph.posts) == 1


def test_a_lost_bell_of_a_mail_due_far_ahead_is_made_good_by_the_timer(room: Room) -> None:
    due = NOW + timedelta(days=20)
    mail_id = room.accepted(scheduled_at=due.isoformat())

    while room.clock() < due + timedelta(minutes=10):
        if room.clock() - NOW > timedelta(days=10) and room.clock() < due:
            room.bell.rings.clear()
        room.upkeep.ring_again()
        for ring in room.bell.take_due():
            room.hear(ring.mail_id)
        room.clock.forward(minutes=2)

    mail = room.ledger.mail(mail_id)
    assert mail.sent_at is not None
    assert timedelta() <= mail.sent_at - due <= timedelta(minutes=6)
    assert len(room.graph.posts) == 1


def test_mails_that_are_withdrawn_give_their_turns_to_others() -> None:
    room = Room(mails_per_minute=30)
    mails = [room.accepted() for _ in range(500)]
    for mail_id in mails:
        room.changes.cancel(mail_id)

    assert room.accept().mail.due_at - room.clock() <= timedelta(seconds=10)


def test_a_mail_that_is_put_off_gives_its_turn_to_another() -> None:
    room = Room(mails_per_minute=30)
    for _ in range(30):
        room.accepted()
    mail = room.accept().mail
    room.changes.reschedule(mail.mail_id, NOW + timedelta(days=1))

    turns = [room.accept().mail.due_at for _ in range(30)]
    assert turns.count(mail.due_at) == 1


def test_a_mail_that_is_let_go_again_and_again_has_one_turn() -> None:
    room = Room(mails_per_minute=30)
    mails = [room.accept().mail for _ in range(20)]
    last = mails[-1]
    for _ in range(100):
        assert room.changes.reschedule(last.mail_id, None).due_at == last.due_at

    assert room.accept().mail.due_at - last.due_at <= timedelta(seconds=2)


def test_a_mail_that_waits_to_be_tried_again_goes_now_when_it_is_let_go(room: Room) -> None:
    mail_id = room.accepted()
    room.faults.before("tokens.access_token", NotSent("entra", "busy", retry_after=600.0))
    room.hear(mail_id)
    assert room.ledger.mail(mail_id).due_at > room.clock()

    assert room.changes.reschedule(mail_id, None).due_at == room.clock()


# Tried again.


def test_a_retried_mail_goes_with_its_attempts_counted_anew(room: Room) -> None:
    mail_id = mail_in(room, Status.FAILED)

    mail = room.changes.retry(mail_id)
    room.hear(mail_id)

    assert (mail.status, mail.attempts, mail.events[-1].reason) == (Status.QUEUED, 0, "retried")
    assert room.status(mail_id) is Status.SENT
    assert room.ledger.mail(mail_id).attempts == 1
    assert [ring.mail_id for ring in room.bell.rings] == [mail_id]


@pytest.mark.parametrize("size", [10, 800_000], ids=["row", "blob"])
def test_a_mail_retried_to_others_goes_to_them_alone(room: Room, size: int) -> None:
    order = order_of(cc="bob@example.com", html=secrets.token_hex(size), text=None)
    mail_id = mail_in(room, Status.FAILED, order)

    mail = room.changes.retry(mail_id, GRACE)
    room.hear(mail_id)

    message = room.graph.posts[-1].message
    assert [to["emailAddress"] for to in message["toRecipients"]] == [
        {"address": "grace@example.com"}
    ]
    assert message.get("ccRecipients", []) == []
    assert (mail.recipients, mail.recipient_count) == (("grace@example.com",), 1)
    assert mail.former_recipients == ("Ada <ada@example.com>", "bob@example.com")
    assert mail.events[-1].reason == "recipients_changed"
    assert room.payloads.blobs == {}


def test_former_recipients_are_as_many_as_a_row_has_room_for(room: Room) -> None:
    def many(tag: str) -> Recipients:
        domain = f"{'a' * 60}.example.com"
        return Recipients(
            to=tuple(Address(f"{tag}{i:03d}@{domain}", '"' + "N" * 200) for i in range(47))
        )

    mail_id = mail_in(room, Status.FAILED)
    for tag in "abcdefgh":
        room.changes.retry(mail_id, many(tag))
        room.graph.answers = [DENIED]
        room.hear(mail_id)

    mail = room.changes.retry(mail_id, GRACE)
    row = to_row(mail)
    assert len(row["former_recipients"].encode("utf-16-le")) <= 64 * 1024
    assert mail.former_recipients[0].endswith(f"<h000@{'a' * 60}.example.com>")


def test_former_recipients_are_masked_where_the_setting_says_so() -> None:
    room = Room(mask=True)
    mail_id = mail_in(room, Status.FAILED)

    mail = room.changes.retry(mail_id, GRACE)

    assert (mail.recipients, mail.former_recipients) == (
        ("g***@example.com",),
        ("a***@example.com",),
    )


def test_a_lost_race_leaves_no_blob_behind(room: Room) -> None:
    mail_id = mail_in(room, Status.FAILED, order_of(html=secrets.token_hex(800_000)))
    before = dict(room.payloads.blobs)
    room.faults.before("ledger.update", lambda: room.person().retry(mail_id))

    with pytest.raises(Refused):
        room.changes.retry(mail_id, GRACE)

    assert room.payloads.blobs == before


def test_of_two_who_retry_to_the_same_recipients_the_second_leaves_the_firsts_content(
    room: Room,
) -> None:
    mail_id = mail_in(room, Status.FAILED, order_of(html=secrets.token_hex(800_000)))

    def other() -> None:
        room.clock.forward(seconds=0.01)
        room.person().retry(mail_id, GRACE)

    room.faults.before("ledger.update", other)

    with pytest.raises(Refused) as caught:
        room.changes.retry(mail_id, GRACE)

    assert caught.value.members == {"mail_status": "queued"}
    assert [room.ledger.mail(mail_id).payload.blob] == list(room.payloads.blobs)
    room.hear(mail_id)
    assert room.status(mail_id) is Status.SENT


def test_a_retry_to_others_at_the_very_moment_of_anothers_is_not_taken_for_it(room: Room) -> None:
    mail_id = mail_in(room, Status.FAILED)
    ada = Recipients(to=(Address("ada@example.org"),))
    room.faults.before("ledger.update", lambda: room.person().retry(mail_id, ada))

    with pytest.raises(Refused):
        room.changes.retry(mail_id, GRACE)

    assert room.ledger.mail(mail_id).recipients == ("ada@example.org",)


def test_a_mail_is_retried_from_another_account(room: Room) -> None:
    room.accounts.put(account_of("sales"))
    mail_id = mail_in(room, Status.FAILED)

    mail = room.changes.retry(mail_id, account="sales")
    room.hear(mail_id)

    assert (mail.account, mail.account_id) == ("sales", "id-sales")
    assert mail.sender == "Sales <sales@contoso.com>"
    assert mail.events[-1].reason == "account_changed"
    assert room.tokens.asked[-1].alias == "sales"
    assert room.status(mail_id) is Status.SENT


@pytest.mark.parametrize(
    ("prepare", "alias", "code"),
    [
        (lambda room: room.accounts.rows.clear(), None, "unknown_account"),
        (lambda room: None, "sales", "unknown_account"),
        (
            lambda room: room.accounts.change("billing", account_id="new"),
            None,
            "mailbox_replaced",
        ),
        (
            lambda room: room.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN),
            None,
            "account_needs_sign_in",
        ),
    ],
    ids=["account gone", "no such account", "mailbox replaced", "needs sign-in"],
)
def test_a_retry_is_refused_where_no_account_can_carry_the_mail(
    room: Room, prepare: Callable[[Room], object], alias: str | None, code: str
) -> None:
    mail_id = mail_in(room, Status.FAILED)
    prepare(room)

    with pytest.raises(Refused) as caught:
        room.changes.retry(mail_id, account=alias)

    assert caught.value.kind.code == code
    assert room.status(mail_id) is Status.FAILED


def test_a_sender_that_the_other_account_may_not_use_is_refused(room: Room) -> None:
    room.accounts.put(account_of("sales"))
    mail_id = mail_in(room, Status.FAILED, order_of(**{"from": "billing@contoso.com"}))

    with pytest.raises(Refused) as caught:
        room.changes.retry(mail_id, account="sales")

    assert caught.value.kind.code == "sender_not_allowed"


def test_a_mail_of_a_replaced_mailbox_goes_once_the_account_is_named(room: Room) -> None:
    mail_id = mail_in(room, Status.FAILED)
    room.accounts.change("billing", account_id="new")

    assert room.changes.retry(mail_id, account="billing").account_id == "new"


def test_a_held_mail_whose_account_is_gone_goes_from_another(room: Room) -> None:
    mail_id = room.accepted()
    room.accounts.rows.clear()
    room.accounts.put(account_of("sales"))
    room.accounts.remember()
    room.hear(mail_id)
    assert room.ledger.mail(mail_id).reason == "account_gone"

    room.changes.retry(mail_id, account="sales")
    room.hear(mail_id)

    assert room.status(mail_id) is Status.SENT


def test_a_queue_message_that_was_no_mail_cannot_be_retried(room: Room) -> None:
    room.outbox.hear(room.message(b"nonsense"))
    (mail,) = room.ledger.mails

    with pytest.raises(Refused) as caught:
        room.changes.retry(mail.mail_id)

    assert caught.value.kind.code == "unreadable_mail"
    assert caught.value.help


def test_the_recipients_of_a_raw_message_cannot_be_replaced(room: Room) -> None:
    raw = b"To: ada@example.com\r\nSubject: x\r\n\r\nHello"
    mail_id = mail_in(room, Status.FAILED, read_mime(raw))

    with pytest.raises(Refused) as caught:
        room.changes.retry(mail_id, GRACE)

    assert caught.value.kind.code == "raw_recipients"
    assert room.changes.retry(mail_id).status is Status.QUEUED


def test_a_mail_cannot_be_retried_to_nobody(room: Room) -> None:
    mail_id = mail_in(room, Status.FAILED)

    with pytest.raises(Refused) as caught:
        room.changes.retry(mail_id, Recipients())

    assert caught.value.kind.code == "invalid_mail"
    assert caught.value.errors[0].field == "to"


@pytest.mark.parametrize("payload", [Payload(), Payload(blob="gone"), Payload(inline=b"\xff")])
def test_a_mail_whose_content_is_gone_cannot_be_retried(room: Room, payload: Payload) -> None:
    from msgspec.structs import replace

    mail_id = mail_in(room, Status.FAILED)
    room.ledger.overwrite(replace(room.ledger.mail(mail_id), payload=payload))

    with pytest.raises(Refused) as caught:
        room.changes.retry(mail_id)

    assert caught.value.kind.code == "content_gone"


def test_a_mail_that_failed_before_its_time_still_waits_for_it(room: Room) -> None:
    mail_id = mail_in(room, Status.SCHEDULED)
    due = room.ledger.mail(mail_id).due_at
    room.ledger.overwrite(room.ledger.mail(mail_id).moved(Status.FAILED, NOW, reason="poisoned"))

    assert room.changes.retry(mail_id).due_at == due


def test_two_who_retry_at_the_same_moment_queue_it_once(room: Room) -> None:
    mail_id = mail_in(room, Status.FAILED)

    def other() -> None:
        room.clock.forward(seconds=1)
        room.person().retry(mail_id)

    room.faults.before("ledger.update", other)

    with pytest.raises(Refused) as caught:
        room.changes.retry(mail_id, GRACE)

    assert caught.value.members == {"mail_status": "queued"}
    mail = room.ledger.mail(mail_id)
    assert [event.reason for event in mail.events].count("retried") == 1
    assert mail.recipients == ("Ada <ada@example.com>",)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("retry", Status.FAILED),
        ("resolve to send again", Status.UNKNOWN),
        ("release", Status.HELD),
        ("reschedule", Status.SCHEDULED),
    ],
)
def test_an_old_mail_that_waits_again_goes_though_its_bell_is_lost(
    room: Room, name: str, status: Status
) -> None:
    mail_id = mail_in(room, status)
    for _ in range(12):
        room.clock.forward(minutes=5)
        room.upkeep.ring_again()
    CHANGES[name][0](room, mail_id)
    room.bell.rings.clear()

    for _ in range(30):
        room.clock.forward(hours=1)
        room.upkeep.ring_again()
        for ring in room.bell.take_due():
            room.hear(ring.mail_id)

    assert room.status(mail_id) is Status.SENT


def test_what_is_noted_before_the_write_is_noted_before_it(room: Room) -> None:
    mail_id = mail_in(room, Status.FAILED)
    room.clock.forward(hours=1)
    room.faults.before("waiting.note", NOT_REACHED)

    with pytest.raises(RemoteError):
        room.changes.retry(mail_id)

    assert room.status(mail_id) is Status.FAILED


# Settled.


def test_what_a_person_found_sent_is_sent_at_its_last_attempt(room: Room) -> None:
    mail_id = mail_in(room, Status.UNKNOWN)
    room.clock.forward(hours=5)

    mail = room.changes.resolve(mail_id, Decision.SENT)

    assert (mail.status, mail.sent_at, mail.payload) == (Status.SENT, NOW, Payload())
    assert mail.events[-1].reason == "marked_sent"
    assert room.bell.rings == []


def test_what_a_person_has_sent_again_goes_once_more(room: Room) -> None:
    mail_id = mail_in(room, Status.UNKNOWN)

    mail = room.changes.resolve(mail_id, Decision.SEND_AGAIN)
    room.hear(mail_id)

    assert (mail.events[-1].reason, mail.attempts) == ("send_again", 0)
    assert room.status(mail_id) is Status.SENT
    assert len(room.graph.posts) == 2


def test_what_is_still_being_found_out_is_not_sent_again_but_may_be_settled_as_sent(
    room: Room,
) -> None:
    from msgspec.structs import replace

    mail_id = mail_in(room, Status.UNKNOWN)
    room.ledger.overwrite(replace(room.ledger.mail(mail_id), reason="finding_out"))

    with pytest.raises(Refused) as caught:
        room.changes.resolve(mail_id, Decision.SEND_AGAIN)

    assert caught.value.members == {"mail_status": "unknown"}
    assert room.changes.resolve(mail_id, Decision.SENT).status is Status.SENT


def test_what_cannot_be_read_is_not_sent_again(room: Room) -> None:
    from msgspec.structs import replace

    mail_id = mail_in(room, Status.UNKNOWN)
    room.ledger.overwrite(replace(room.ledger.mail(mail_id), payload=Payload()))

    with pytest.raises(Refused) as caught:
        room.changes.resolve(mail_id, Decision.SEND_AGAIN)

    assert caught.value.kind.code == "content_gone"


# Released.


def test_a_released_mail_goes(room: Room) -> None:
    mail_id = mail_in(room, Status.HELD)

    mail = room.changes.release(mail_id)
    room.hear(mail_id)

    assert mail.events[-1].reason == "released"
    assert room.status(mail_id) is Status.SENT


@pytest.mark.parametrize(
    ("state", "who"),
    [
        (AccountState.NEEDS_SIGN_IN, "Sign the mailbox in again on /accounts. (Who: "),
        (AccountState.HELD, "GET /api/accounts says until when"),
    ],
)
def test_a_refused_release_says_who_must_do_what(room: Room, state: AccountState, who: str) -> None:
    mail_id = mail_in(room, Status.HELD)
    room.accounts.change("billing", state=state, held_until=NOW + timedelta(hours=1))

    with pytest.raises(Refused) as caught:
        room.changes.release(mail_id)

    assert who in caught.value.help
    assert "another 'account'" in caught.value.help


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        (
            lambda room: room.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN),
            "account_cannot_send",
        ),
        (lambda room: room.accounts.rows.clear(), "account_cannot_send"),
        (lambda room: room.accounts.change("billing", account_id="new"), "mailbox_replaced"),
    ],
    ids=["needs sign-in", "account gone", "mailbox replaced"],
)
def test_a_mail_whose_account_cannot_send_is_not_released(
    room: Room, prepare: Callable[[Room], object], code: str
) -> None:
    mail_id = mail_in(room, Status.HELD)
    prepare(room)

    with pytest.raises(Refused) as caught:
        room.changes.release(mail_id)

    assert caught.value.kind.code == code
    assert caught.value.members == {"mail_status": "held"}
    assert room.status(mail_id) is Status.HELD


def test_an_unchanged_mail_keeps_its_packed_content(room: Room) -> None:
    mail_id = mail_in(room, Status.FAILED)
    before = room.ledger.mail(mail_id).payload

    room.changes.retry(mail_id)

    assert room.ledger.mail(mail_id).payload == before
    assert (
        unpack(before.inline or b"").message
        == read_json(
            b'{"to":"Ada <ada@example.com>","subject":"Your invoice","text":"Hello"}', NOW
        ).message
    )
