"""What callers and people do to mails: what holds afterwards, and what is refused."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.adapters.storage.mail_rows import from_row, to_row
from shared.errors import AnswerLost, LostRace, NotSent, RemoteError, RequestRejected
from shared.mail.account import AccountState
from shared.mail.address import Address
from shared.mail.mail import Mail, Payload
from shared.mail.outcome import GraphAnswer
from shared.mail.status import Status
from shared.services.intake.mail_document import Order, read_json, read_mime
from shared.services.mails.change_rules import INSTEAD, Recipients
from shared.services.mails.changes import ATTEMPTS, Decision
from shared.services.mails.packing import unpack
from tests.fakes import LOST, NOT_REACHED, NOW, FakeServices, account_of, order_of

GRACE = Recipients(to=(Address("grace@example.com"),))
DENIED = GraphAnswer(403, "ErrorSendAsDenied")


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


def mail_in(services: FakeServices, status: Status, order: Order | None = None) -> str:
    """A mail that came into a status the way mails do."""
    later = NOW + timedelta(days=3)
    order = order or order_of(scheduled_at=later.isoformat() if status == "scheduled" else None)
    mail_id = services.submission.accept(order).mail.mail_id
    match status:
        case Status.SENT:
            services.handle(mail_id)
        case Status.SENDING:
            mail = services.ledger.mail(mail_id)
            services.ledger.overwrite(
                mail.moved(Status.SENDING, NOW, lease_until=later, lease_id="another")
            )
        case Status.HELD:
            out = services.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN)
            services.accounts.remember(out)
            services.handle(mail_id)
            services.accounts.remember(
                services.accounts.change("billing", state=AccountState.READY)
            )
        case Status.UNKNOWN:
            services.graph.answers = [AnswerLost("graph", "no answer")]
            services.handle(mail_id)
        case Status.FAILED:
            services.graph.answers = [DENIED]
            services.handle(mail_id)
        case Status.CANCELLED:
            services.changes.cancel(mail_id)
    assert services.status(mail_id) is status
    services.wake_ups.enqueued.clear()
    return mail_id


CHANGES: dict[str, tuple[Callable[[FakeServices, str], Mail], set[Status]]] = {
    "cancel": (
        lambda services, mail_id: services.changes.cancel(mail_id),
        {Status.SCHEDULED, Status.QUEUED, Status.HELD, Status.CANCELLED},
    ),
    "reschedule": (
        lambda services, mail_id: services.changes.reschedule(mail_id, NOW + timedelta(days=1)),
        {Status.SCHEDULED, Status.QUEUED, Status.HELD},
    ),
    "retry": (
        lambda services, mail_id: services.changes.retry(mail_id),
        {Status.FAILED, Status.HELD},
    ),
    "resolve as sent": (
        lambda services, mail_id: services.changes.resolve(mail_id, Decision.SENT),
        {Status.UNKNOWN, Status.SENT},
    ),
    "resolve to send again": (
        lambda services, mail_id: services.changes.resolve(mail_id, Decision.SEND_AGAIN),
        {Status.UNKNOWN},
    ),
    "release": (lambda services, mail_id: services.changes.release(mail_id), {Status.HELD}),
}


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("name", CHANGES)
def test_each_change_is_made_in_its_statuses_and_refused_in_all_others(
    services: FakeServices, name: str, status: Status
) -> None:
    change, allowed = CHANGES[name]
    mail_id = mail_in(services, status)
    before = services.ledger.mail(mail_id)

    if status in allowed:
        assert change(services, mail_id) == services.ledger.mail(mail_id)
    else:
        with pytest.raises(RequestRejected) as caught:
            change(services, mail_id)
        assert caught.value.kind.code == "wrong_status"
        assert caught.value.members == {"mail_status": status.value}
        assert status.value in caught.value.detail
        assert INSTEAD[status] in caught.value.detail
        assert services.ledger.mail(mail_id) == before
        assert services.wake_ups.enqueued == []


@pytest.mark.parametrize("name", CHANGES)
def test_a_mail_that_is_not_there_cannot_be_changed(services: FakeServices, name: str) -> None:
    with pytest.raises(RequestRejected) as caught:
        CHANGES[name][0](services, "01a01f0a-da00-72d3-a652-e44da7f29e26")

    assert caught.value.kind.code == "unknown_mail"


@pytest.mark.parametrize("name", CHANGES)
def test_a_write_whose_answer_was_lost_is_found_again(services: FakeServices, name: str) -> None:
    change, allowed = CHANGES[name]
    mail_id = mail_in(services, min(allowed - {Status.CANCELLED, Status.SENT}))
    services.faults.after("ledger.update", LOST)

    mail = change(services, mail_id)

    assert services.ledger.mail(mail_id) == mail


@pytest.mark.parametrize("name", CHANGES)
def test_a_lost_race_is_decided_anew(services: FakeServices, name: str) -> None:
    change, allowed = CHANGES[name]
    mail_id = mail_in(services, min(allowed - {Status.CANCELLED, Status.SENT}))
    services.faults.before("ledger.update", LostRace("another was first"))

    assert change(services, mail_id) == services.ledger.mail(mail_id)


def test_a_race_that_is_lost_again_and_again_ends(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.faults.always("ledger.update", LostRace("another was first"))

    with pytest.raises(RequestRejected) as caught:
        services.changes.cancel(mail_id)

    assert caught.value.kind.code == "unavailable"
    assert services.faults.calls["ledger.update"] == ATTEMPTS


def test_storage_that_is_not_reached_changes_nothing(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.faults.before("ledger.update", NOT_REACHED)

    with pytest.raises(RemoteError):
        services.changes.cancel(mail_id)

    assert services.status(mail_id) is Status.QUEUED


# Withdrawn.


def test_a_withdrawn_mail_is_never_sent_and_its_content_is_gone(services: FakeServices) -> None:
    mail_id = services.accepted()

    services.changes.cancel(mail_id)
    services.handle(mail_id)

    assert services.graph.posts == []
    assert services.ledger.mail(mail_id).payload == Payload()


def test_the_blob_of_a_withdrawn_mail_is_deleted(services: FakeServices) -> None:
    mail_id = mail_in(services, Status.QUEUED, order_of(html=secrets.token_hex(800_000)))
    assert services.payloads.blobs

    services.changes.cancel(mail_id)

    assert services.payloads.blobs == {}


def test_withdrawing_between_reading_and_claiming_wins(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.faults.before("ledger.update", lambda: services.person().cancel(mail_id))

    services.handle(mail_id)

    assert services.status(mail_id) is Status.CANCELLED
    assert services.graph.posts == []


def test_a_claim_between_reading_and_withdrawing_wins(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.faults.before("ledger.update", lambda: services.handle(mail_id))

    with pytest.raises(RequestRejected) as caught:
        services.changes.cancel(mail_id)

    assert caught.value.members == {"mail_status": "sent"}
    assert len(services.graph.posts) == 1


# Another time.


def test_a_mail_that_was_put_off_goes_at_its_new_time(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.changes.reschedule(mail_id, NOW + timedelta(hours=2))

    services.handle(mail_id)
    early = services.status(mail_id)
    services.clock.forward(hours=2)
    services.handle(mail_id)

    assert (early, services.status(mail_id)) == (Status.SCHEDULED, Status.SENT)


@pytest.mark.parametrize("due", [None, NOW - timedelta(days=1)], ids=["null", "past"])
@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.QUEUED, Status.HELD])
def test_no_time_or_a_past_one_is_now(services: FakeServices, status: Status, due: None) -> None:
    mail_id = mail_in(services, status)

    mail = services.changes.reschedule(mail_id, due)

    assert (mail.status, mail.due_at) == (Status.QUEUED, NOW)
    assert [ring.after_seconds for ring in services.wake_ups.enqueued] == [0]
    assert mail.events[-1].reason == "rescheduled"


def test_a_mail_that_is_put_forward_is_rung_for_then(services: FakeServices) -> None:
    mail_id = mail_in(services, Status.SCHEDULED)

    services.changes.reschedule(mail_id, NOW + timedelta(minutes=1))

    assert [ring.after_seconds for ring in services.wake_ups.enqueued] == [60]


def test_a_mail_due_far_beyond_the_queues_seven_days_goes_on_its_day(
    services: FakeServices,
) -> None:
    due = NOW + timedelta(days=20)
    mail_id = services.accepted(scheduled_at=due.isoformat())
    enqueued = []

    while services.clock() < due + timedelta(minutes=10):
        for ring in services.wake_ups.take_due():
            enqueued.append(services.clock() - NOW)
            services.handle(ring.mail_id)
        services.clock.forward(minutes=10)

    mail = services.ledger.mail(mail_id)
    assert mail.status is Status.SENT
    assert mail.sent_at is not None
    assert timedelta() <= mail.sent_at - due <= timedelta(minutes=10)
    assert len(enqueued) == 3
    assert len(services.graph.posts) == 1


def test_a_lost_bell_of_a_mail_due_far_ahead_is_made_good_by_the_timer(
    services: FakeServices,
) -> None:
    due = NOW + timedelta(days=20)
    mail_id = services.accepted(scheduled_at=due.isoformat())

    while services.clock() < due + timedelta(minutes=10):
        if services.clock() - NOW > timedelta(days=10) and services.clock() < due:
            services.wake_ups.enqueued.clear()
        services.upkeep.requeue_overdue()
        for ring in services.wake_ups.take_due():
            services.handle(ring.mail_id)
        services.clock.forward(minutes=2)

    mail = services.ledger.mail(mail_id)
    assert mail.sent_at is not None
    assert timedelta() <= mail.sent_at - due <= timedelta(minutes=6)
    assert len(services.graph.posts) == 1


def test_mails_that_are_withdrawn_give_their_turns_to_others() -> None:
    services = FakeServices(mails_per_minute=30)
    mails = [services.accepted() for _ in range(500)]
    for mail_id in mails:
        services.changes.cancel(mail_id)

    assert services.accept().mail.due_at - services.clock() <= timedelta(seconds=10)


def test_a_mail_that_is_put_off_gives_its_turn_to_another() -> None:
    services = FakeServices(mails_per_minute=30)
    for _ in range(30):
        services.accepted()
    mail = services.accept().mail
    services.changes.reschedule(mail.mail_id, NOW + timedelta(days=1))

    turns = [services.accept().mail.due_at for _ in range(30)]
    assert turns.count(mail.due_at) == 1


def test_a_mail_that_is_let_go_again_and_again_has_one_turn() -> None:
    services = FakeServices(mails_per_minute=30)
    mails = [services.accept().mail for _ in range(20)]
    last = mails[-1]
    for _ in range(100):
        assert services.changes.reschedule(last.mail_id, None).due_at == last.due_at

    assert services.accept().mail.due_at - last.due_at <= timedelta(seconds=2)


def test_a_mail_that_waits_to_be_tried_again_goes_now_when_it_is_let_go(
    services: FakeServices,
) -> None:
    mail_id = services.accepted()
    services.faults.before("tokens.access_token", NotSent("entra", "busy", retry_after=600.0))
    services.handle(mail_id)
    assert services.ledger.mail(mail_id).due_at > services.clock()

    assert services.changes.reschedule(mail_id, None).due_at == services.clock()


# Tried again.


def test_a_retried_mail_goes_with_its_attempts_counted_anew(services: FakeServices) -> None:
    mail_id = mail_in(services, Status.FAILED)

    mail = services.changes.retry(mail_id)
    services.handle(mail_id)

    assert (mail.status, mail.attempts, mail.events[-1].reason) == (Status.QUEUED, 0, "retried")
    assert services.status(mail_id) is Status.SENT
    assert services.ledger.mail(mail_id).attempts == 1
    assert [ring.mail_id for ring in services.wake_ups.enqueued] == [mail_id]


@pytest.mark.parametrize("size", [10, 800_000], ids=["row", "blob"])
def test_a_mail_retried_to_others_goes_to_them_alone(services: FakeServices, size: int) -> None:
    order = order_of(cc="bob@example.com", html=secrets.token_hex(size), text=None)
    mail_id = mail_in(services, Status.FAILED, order)

    mail = services.changes.retry(mail_id, GRACE)
    services.handle(mail_id)

    message = services.graph.posts[-1].message
    assert [to["emailAddress"] for to in message["toRecipients"]] == [
        {"address": "grace@example.com"}
    ]
    assert message.get("ccRecipients", []) == []
    assert (mail.recipients, mail.recipient_count) == (("grace@example.com",), 1)
    assert mail.former_recipients == ("Ada <ada@example.com>", "bob@example.com")
    assert mail.events[-1].reason == "recipients_changed"
    assert services.payloads.blobs == {}


def test_former_recipients_with_long_names_are_kept_without_their_names(
    services: FakeServices,
) -> None:
    def many(tag: str) -> Recipients:
        domain = f"{'a' * 60}.example.com"
        return Recipients(
            to=tuple(Address(f"{tag}{i:03d}@{domain}", '"' + "N" * 200) for i in range(47))
        )

    mail_id = mail_in(services, Status.FAILED)
    for tag in "abcdefgh":
        services.changes.retry(mail_id, many(tag))
        services.graph.answers = [DENIED]
        services.handle(mail_id)

    mail = services.changes.retry(mail_id, GRACE)
    assert from_row(to_row(mail)).former_recipients == mail.former_recipients
    assert mail.former_recipients[0] == f"h000@{'a' * 60}.example.com"
    assert len(mail.former_recipients) > 8 * 47


def test_former_recipients_are_masked_where_the_setting_says_so() -> None:
    services = FakeServices(mask=True)
    mail_id = mail_in(services, Status.FAILED)

    mail = services.changes.retry(mail_id, GRACE)

    assert (mail.recipients, mail.former_recipients) == (
        ("g***@example.com",),
        ("a***@example.com",),
    )


def test_a_lost_race_leaves_no_blob_behind(services: FakeServices) -> None:
    mail_id = mail_in(services, Status.FAILED, order_of(html=secrets.token_hex(800_000)))
    before = dict(services.payloads.blobs)
    services.faults.before("ledger.update", lambda: services.person().retry(mail_id))

    with pytest.raises(RequestRejected):
        services.changes.retry(mail_id, GRACE)

    assert services.payloads.blobs == before


def test_of_two_who_retry_to_the_same_recipients_the_second_leaves_the_firsts_content(
    services: FakeServices,
) -> None:
    mail_id = mail_in(services, Status.FAILED, order_of(html=secrets.token_hex(800_000)))

    def other() -> None:
        services.clock.forward(seconds=0.01)
        services.person().retry(mail_id, GRACE)

    services.faults.before("ledger.update", other)

    with pytest.raises(RequestRejected) as caught:
        services.changes.retry(mail_id, GRACE)

    assert caught.value.members == {"mail_status": "queued"}
    assert [services.ledger.mail(mail_id).payload.blob] == list(services.payloads.blobs)
    services.handle(mail_id)
    assert services.status(mail_id) is Status.SENT


def test_a_retry_to_others_at_the_very_moment_of_anothers_is_not_taken_for_it(
    services: FakeServices,
) -> None:
    mail_id = mail_in(services, Status.FAILED)
    ada = Recipients(to=(Address("ada@example.org"),))
    services.faults.before("ledger.update", lambda: services.person().retry(mail_id, ada))

    with pytest.raises(RequestRejected):
        services.changes.retry(mail_id, GRACE)

    assert services.ledger.mail(mail_id).recipients == ("ada@example.org",)


def test_a_mail_is_retried_from_another_account(services: FakeServices) -> None:
    services.accounts.put(account_of("sales"))
    mail_id = mail_in(services, Status.FAILED)

    mail = services.changes.retry(mail_id, account="sales")
    services.handle(mail_id)

    assert (mail.account, mail.account_id) == ("sales", "id-sales")
    assert mail.sender == "Sales <sales@contoso.com>"
    assert mail.events[-1].reason == "account_changed"
    assert services.tokens.asked[-1].alias == "sales"
    assert services.status(mail_id) is Status.SENT


@pytest.mark.parametrize(
    ("prepare", "alias", "code"),
    [
        (lambda services: services.accounts.rows.clear(), None, "unknown_account"),
        (lambda services: None, "sales", "unknown_account"),
        (
            lambda services: services.accounts.change("billing", account_id="new"),
            None,
            "mailbox_replaced",
        ),
        (
            lambda services: services.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN),
            None,
            "account_needs_sign_in",
        ),
    ],
    ids=["account gone", "no such account", "mailbox replaced", "needs sign-in"],
)
def test_a_retry_is_refused_where_no_account_can_carry_the_mail(
    services: FakeServices, prepare: Callable[[FakeServices], object], alias: str | None, code: str
) -> None:
    mail_id = mail_in(services, Status.FAILED)
    prepare(services)

    with pytest.raises(RequestRejected) as caught:
        services.changes.retry(mail_id, account=alias)

    assert caught.value.kind.code == code
    assert services.status(mail_id) is Status.FAILED


def test_a_sender_that_the_other_account_may_not_use_is_refused(services: FakeServices) -> None:
    services.accounts.put(account_of("sales"))
    mail_id = mail_in(services, Status.FAILED, order_of(**{"from": "billing@contoso.com"}))

    with pytest.raises(RequestRejected) as caught:
        services.changes.retry(mail_id, account="sales")

    assert caught.value.kind.code == "sender_not_allowed"


def test_a_mail_of_a_replaced_mailbox_goes_once_the_account_is_named(
    services: FakeServices,
) -> None:
    mail_id = mail_in(services, Status.FAILED)
    services.accounts.change("billing", account_id="new")

    assert services.changes.retry(mail_id, account="billing").account_id == "new"


@pytest.mark.parametrize("alias", ["", " ", "\u200b"])
def test_a_blank_account_names_no_other_mailbox(services: FakeServices, alias: str) -> None:
    mail_id = mail_in(services, Status.FAILED)
    services.accounts.change("billing", account_id="new")

    with pytest.raises(RequestRejected) as caught:
        services.changes.retry(mail_id, account=alias)

    assert caught.value.kind.code == "unknown_account"
    assert services.status(mail_id) is Status.FAILED


def test_a_held_mail_whose_account_is_gone_goes_from_another(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.accounts.rows.clear()
    services.accounts.put(account_of("sales"))
    services.accounts.remember()
    services.handle(mail_id)
    assert services.ledger.mail(mail_id).reason == "account_gone"

    services.changes.retry(mail_id, account="sales")
    services.handle(mail_id)

    assert services.status(mail_id) is Status.SENT


def test_a_queue_message_that_was_no_mail_cannot_be_retried(services: FakeServices) -> None:
    services.outbox.handle(services.message(b"nonsense"))
    (mail,) = services.ledger.mails

    with pytest.raises(RequestRejected) as caught:
        services.changes.retry(mail.mail_id)

    assert caught.value.kind.code == "unreadable_mail"
    assert caught.value.help


def test_the_recipients_of_a_raw_message_cannot_be_replaced(services: FakeServices) -> None:
    raw = b"To: ada@example.com\r\nSubject: x\r\n\r\nHello"
    mail_id = mail_in(services, Status.FAILED, read_mime(raw))

    with pytest.raises(RequestRejected) as caught:
        services.changes.retry(mail_id, GRACE)

    assert caught.value.kind.code == "raw_recipients"
    assert services.changes.retry(mail_id).status is Status.QUEUED


def test_a_mail_cannot_be_retried_to_nobody(services: FakeServices) -> None:
    mail_id = mail_in(services, Status.FAILED)

    with pytest.raises(RequestRejected) as caught:
        services.changes.retry(mail_id, Recipients())

    assert caught.value.kind.code == "invalid_mail"
    assert caught.value.errors[0].field == "to"


@pytest.mark.parametrize("payload", [Payload(), Payload(blob="gone"), Payload(inline=b"\xff")])
def test_a_mail_whose_content_is_gone_cannot_be_retried(
    services: FakeServices, payload: Payload
) -> None:
    from msgspec.structs import replace

    mail_id = mail_in(services, Status.FAILED)
    services.ledger.overwrite(replace(services.ledger.mail(mail_id), payload=payload))

    with pytest.raises(RequestRejected) as caught:
        services.changes.retry(mail_id)

    assert caught.value.kind.code == "content_gone"


def test_a_mail_that_failed_before_its_time_still_waits_for_it(services: FakeServices) -> None:
    mail_id = mail_in(services, Status.SCHEDULED)
    due = services.ledger.mail(mail_id).due_at
    services.ledger.overwrite(
        services.ledger.mail(mail_id).moved(Status.FAILED, NOW, reason="poisoned")
    )

    assert services.changes.retry(mail_id).due_at == due


def test_two_who_retry_at_the_same_moment_queue_it_once(services: FakeServices) -> None:
    mail_id = mail_in(services, Status.FAILED)

    def other() -> None:
        services.clock.forward(seconds=1)
        services.person().retry(mail_id)

    services.faults.before("ledger.update", other)

    with pytest.raises(RequestRejected) as caught:
        services.changes.retry(mail_id, GRACE)

    assert caught.value.members == {"mail_status": "queued"}
    mail = services.ledger.mail(mail_id)
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
    services: FakeServices, name: str, status: Status
) -> None:
    mail_id = mail_in(services, status)
    for _ in range(12):
        services.clock.forward(minutes=5)
        services.upkeep.requeue_overdue()
    CHANGES[name][0](services, mail_id)
    services.wake_ups.enqueued.clear()

    for _ in range(30):
        services.clock.forward(hours=1)
        services.upkeep.requeue_overdue()
        for ring in services.wake_ups.take_due():
            services.handle(ring.mail_id)

    assert services.status(mail_id) is Status.SENT


def test_what_is_noted_before_the_write_is_noted_before_it(services: FakeServices) -> None:
    mail_id = mail_in(services, Status.FAILED)
    services.clock.forward(hours=1)
    services.faults.before("waiting.note", NOT_REACHED)

    with pytest.raises(RemoteError):
        services.changes.retry(mail_id)

    assert services.status(mail_id) is Status.FAILED


# Settled.


def test_what_a_person_found_sent_is_sent_at_its_last_attempt(services: FakeServices) -> None:
    mail_id = mail_in(services, Status.UNKNOWN)
    services.clock.forward(hours=5)

    mail = services.changes.resolve(mail_id, Decision.SENT)

    assert (mail.status, mail.sent_at, mail.payload) == (Status.SENT, NOW, Payload())
    assert mail.events[-1].reason == "marked_sent"
    assert services.wake_ups.enqueued == []


def test_what_a_person_has_sent_again_goes_once_more(services: FakeServices) -> None:
    mail_id = mail_in(services, Status.UNKNOWN)

    mail = services.changes.resolve(mail_id, Decision.SEND_AGAIN)
    services.handle(mail_id)

    assert (mail.events[-1].reason, mail.attempts) == ("send_again", 0)
    assert services.status(mail_id) is Status.SENT
    assert len(services.graph.posts) == 2


def test_what_is_still_being_found_out_is_not_sent_again_but_may_be_settled_as_sent(
    services: FakeServices,
) -> None:
    from msgspec.structs import replace

    mail_id = mail_in(services, Status.UNKNOWN)
    services.ledger.overwrite(replace(services.ledger.mail(mail_id), reason="finding_out"))

    with pytest.raises(RequestRejected) as caught:
        services.changes.resolve(mail_id, Decision.SEND_AGAIN)

    assert caught.value.members == {"mail_status": "unknown"}
    assert services.changes.resolve(mail_id, Decision.SENT).status is Status.SENT


def test_what_cannot_be_read_is_not_sent_again(services: FakeServices) -> None:
    from msgspec.structs import replace

    mail_id = mail_in(services, Status.UNKNOWN)
    services.ledger.overwrite(replace(services.ledger.mail(mail_id), payload=Payload()))

    with pytest.raises(RequestRejected) as caught:
        services.changes.resolve(mail_id, Decision.SEND_AGAIN)

    assert caught.value.kind.code == "content_gone"


# Released.


def test_a_released_mail_goes(services: FakeServices) -> None:
    mail_id = mail_in(services, Status.HELD)

    mail = services.changes.release(mail_id)
    services.handle(mail_id)

    assert mail.events[-1].reason == "released"
    assert services.status(mail_id) is Status.SENT


@pytest.mark.parametrize(
    ("state", "who"),
    [
        (AccountState.NEEDS_SIGN_IN, "Sign the mailbox in again on /accounts. (Who: "),
        (AccountState.HELD, "GET /api/accounts says until when"),
    ],
)
def test_a_refused_release_says_who_must_do_what(
    services: FakeServices, state: AccountState, who: str
) -> None:
    mail_id = mail_in(services, Status.HELD)
    services.accounts.change("billing", state=state, held_until=NOW + timedelta(hours=1))

    with pytest.raises(RequestRejected) as caught:
        services.changes.release(mail_id)

    assert who in caught.value.help
    assert "another 'account'" in caught.value.help


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        (
            lambda services: services.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN),
            "account_cannot_send",
        ),
        (lambda services: services.accounts.rows.clear(), "account_cannot_send"),
        (
            lambda services: services.accounts.change("billing", account_id="new"),
            "mailbox_replaced",
        ),
    ],
    ids=["needs sign-in", "account gone", "mailbox replaced"],
)
def test_a_mail_whose_account_cannot_send_is_not_released(
    services: FakeServices, prepare: Callable[[FakeServices], object], code: str
) -> None:
    mail_id = mail_in(services, Status.HELD)
    prepare(services)

    with pytest.raises(RequestRejected) as caught:
        services.changes.release(mail_id)

    assert caught.value.kind.code == code
    assert caught.value.members == {"mail_status": "held"}
    assert services.status(mail_id) is Status.HELD


def test_an_unchanged_mail_keeps_its_packed_content(services: FakeServices) -> None:
    mail_id = mail_in(services, Status.FAILED)
    before = services.ledger.mail(mail_id).payload

    services.changes.retry(mail_id)

    assert services.ledger.mail(mail_id).payload == before
    assert (
        unpack(before.inline or b"").message
        == read_json(
            b'{"to":"Ada <ada@example.com>","subject":"Your invoice","text":"Hello"}', NOW
        ).message
    )
