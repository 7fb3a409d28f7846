"""Accepting: what is durable when, and what a repeated request meets."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from shared.errors import AlreadyExists, NotSent, RemoteRefused, RequestRejected
from shared.mail import ids, problems
from shared.mail.account import Account, AccountState
from shared.mail.mail import Caller, Mail, Payload
from shared.mail.message import Attachment
from shared.mail.problems import ProblemKind
from shared.mail.shown_recipients import WITH_NAMES
from shared.mail.status import Status
from shared.services.intake.failed_messages import FailedMessages
from shared.services.intake.mail_document import Order, read_json, read_mime
from shared.services.intake.outbox_message import LONGEST_DELAY
from shared.services.intake.ports import KeyClaim
from shared.services.intake.submission import Receipt
from shared.services.mails.content_store import INLINE_BYTES
from shared.services.mails.packing import unpack
from tests.fakes import (
    LOST,
    NOT_REACHED,
    NOW,
    Crash,
    FakeServices,
    MemoryLedger,
    account_of,
    document_of,
    order_of,
)


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


def refusal(services: FakeServices, order: Order) -> RequestRejected:
    with pytest.raises(RequestRejected) as caught:
        services.submission.accept(order)
    return caught.value


def incompressible(size: int) -> Order:
    return read_json(
        json.dumps(document_of()).encode(),
        NOW,
        files=[Attachment("noise.bin", secrets.token_bytes(size))],
    )


def held_by_nobody(mail: Mail, account: Account, now: datetime) -> Mail:
    return mail


def test_an_accepted_mail_is_queued_in_the_ledger_and_its_bell_rings(
    services: FakeServices,
) -> None:
    receipt = services.accept(tags=["invoice"], metadata={"order": "7"})

    mail = services.ledger.mail(receipt.mail.mail_id)
    assert (mail.status, mail.caller, mail.account) == (Status.QUEUED, Caller.HTTP, "billing")
    assert (mail.sender, mail.recipients) == (
        "Billing <billing@contoso.com>",
        ("Ada <ada@example.com>",),
    )
    assert (mail.tags, mail.metadata) == (("invoice",), (("order", "7"),))
    assert [(ring.mail_id, ring.after_seconds) for ring in services.wake_ups.enqueued] == [
        (mail.mail_id, 0)
    ]


def test_the_packed_payload_holds_what_was_ordered(services: FakeServices) -> None:
    order = order_of(html="<p>Hello</p>")
    mail = services.submission.accept(order).mail

    packed = unpack(mail.payload.inline or b"")
    assert packed.message == order.message
    assert packed.sender is not None
    assert packed.sender.email == "billing@contoso.com"
    assert mail.size == len(mail.payload.inline or b"")


def test_the_ledger_is_written_before_the_bell_rings(services: FakeServices) -> None:
    known: list[int] = []
    services.faults.before("wake_ups.enqueue", lambda: known.append(len(services.ledger.mails)))

    services.accept()

    assert known == [1]


def test_no_bell_rings_for_a_mail_that_the_ledger_did_not_take(services: FakeServices) -> None:
    services.faults.before("ledger.insert", NOT_REACHED)

    with pytest.raises(NotSent):
        services.accept()
    assert (services.ledger.mails, services.wake_ups.enqueued) == ([], [])


@pytest.mark.parametrize(
    "trouble", [NOT_REACHED, LOST, RemoteRefused("storage", "403")], ids=["out", "lost", "no"]
)
def test_a_bell_that_cannot_be_rung_still_means_accepted_and_the_timer_rings(
    services: FakeServices, trouble: Exception
) -> None:
    services.faults.before("wake_ups.enqueue", trouble)

    mail_id = services.accepted()

    assert services.status(mail_id) is Status.QUEUED
    services.clock.forward(seconds=121)
    assert services.upkeep.requeue_overdue() == 1
    assert [ring.mail_id for ring in services.wake_ups.enqueued] == [mail_id]


def test_a_mail_over_the_inline_size_has_its_payload_in_a_blob(services: FakeServices) -> None:
    mail = services.submission.accept(incompressible(INLINE_BYTES + 1)).mail

    assert mail.payload.inline is None
    assert list(services.payloads.blobs) == [mail.payload.blob]
    assert mail.size == len(services.payloads.blobs[mail.payload.blob or ""]) > INLINE_BYTES


def test_a_mail_that_compresses_below_the_inline_size_stays_in_its_row(
    services: FakeServices,
) -> None:
    receipt = services.accept(text="la " * INLINE_BYTES)

    assert receipt.mail.payload.inline is not None
    assert services.payloads.blobs == {}


def test_the_payload_is_stored_before_the_mail_that_refers_to_it(services: FakeServices) -> None:
    known: list[int] = []
    services.faults.before("ledger.insert", lambda: known.append(len(services.payloads.blobs)))

    services.submission.accept(incompressible(INLINE_BYTES + 1))

    assert known == [1]


def test_a_mail_for_later_is_scheduled_and_its_bell_delayed(services: FakeServices) -> None:
    mail = services.accept(scheduled_at="2026-08-20T13:00:00+00:00").mail

    assert (mail.status, mail.due_at) == (Status.SCHEDULED, NOW + timedelta(hours=1))
    assert [ring.after_seconds for ring in services.wake_ups.enqueued] == [3600]


def test_a_bell_is_never_delayed_longer_than_the_queue_hides_messages(
    services: FakeServices,
) -> None:
    services.accept(scheduled_at="2026-12-01T08:00:00Z")

    assert [ring.after_seconds for ring in services.wake_ups.enqueued] == [LONGEST_DELAY]


def test_a_time_that_has_passed_means_now(services: FakeServices) -> None:
    mail = services.accept(scheduled_at="2026-08-01T00:00:00Z").mail

    assert (mail.status, mail.due_at) == (Status.QUEUED, NOW)


def test_a_dry_run_stores_nothing_and_rings_nothing(services: FakeServices) -> None:
    receipt = services.accept(dry_run=True, idempotency_key="k")

    assert receipt.dry_run
    assert (services.ledger.mails, services.wake_ups.enqueued, services.keys.claims) == ([], [], {})


def test_a_masked_ledger_shows_neither_names_nor_subject() -> None:
    services = FakeServices(mask=True)

    mail = services.accept(to=["Ada <ada@example.com>", "b@example.org"]).mail

    assert mail.recipients == ("a***@example.com", "b***@example.org")
    assert (mail.subject, mail.recipient_count) == ("", 2)
    packed = unpack(mail.payload.inline or b"")
    assert packed.message is not None
    assert packed.message.subject == "Your invoice"


def test_recipients_with_long_names_are_kept_without_their_names(services: FakeServices) -> None:
    """Each of them: the caller chooses the names, and must not choose who is in no record."""
    named = [{"email": f"n{number}@contoso.com", "name": '"' * 256} for number in range(32)]

    mail = services.accept(to=named, bcc="evil@fabrikam.com").mail

    assert mail.recipients == (
        *(f"n{number}@contoso.com" for number in range(32)),
        "evil@fabrikam.com",
    )
    assert mail.recipient_count == 33


def test_recipients_with_short_names_are_kept_with_them(services: FakeServices) -> None:
    mail = services.accept(
        to=[f"Ada {number} <n{number}@contoso.com>" for number in range(300)]
    ).mail

    assert mail.recipients[299] == "Ada 299 <n299@contoso.com>"
    assert sum(map(len, mail.recipients)) <= WITH_NAMES


def test_the_longest_recipients_are_all_kept(services: FakeServices) -> None:
    domain = ".".join(["d" * 61] * 3 + ["com"])
    longest = [f"{number:03d}{'x' * 57}@{domain}" for number in range(500)]

    mail = services.accept(to=longest).mail

    assert list(mail.recipients) == longest


REFUSALS = [
    pytest.param({"account": "nobody"}, problems.UNKNOWN_ACCOUNT, "account", id="account"),
    pytest.param({"from": "ceo@contoso.com"}, problems.SENDER_NOT_ALLOWED, "from", id="from"),
    pytest.param({"text": "x" * 4_000_001}, problems.MAIL_TOO_LARGE, "body", id="size"),
]


@pytest.mark.parametrize(("fields", "kind", "named"), REFUSALS)
def test_a_refused_mail_leaves_no_trace(
    services: FakeServices, fields: dict[str, object], kind: ProblemKind, named: str
) -> None:
    refused = refusal(services, order_of(idempotency_key="k", **fields))

    assert refused.kind is kind
    assert [problem.field for problem in refused.errors] == [named]
    assert (services.ledger.mails, services.wake_ups.enqueued) == ([], [])
    assert (services.keys.claims, services.payloads.blobs) == ({}, {})


def test_an_account_that_needs_a_sign_in_takes_no_mail_over_http() -> None:
    services = FakeServices(account_of(state=AccountState.NEEDS_SIGN_IN, reason="AADSTS50173"))

    refused = refusal(services, order_of())

    assert refused.kind is problems.ACCOUNT_NEEDS_SIGN_IN
    assert [problem.field for problem in refused.errors] == ["account"]
    assert services.ledger.mails == []


def test_an_account_that_is_held_for_a_while_takes_mail() -> None:
    services = FakeServices(
        account_of(state=AccountState.HELD, held_until=NOW + timedelta(hours=1))
    )

    assert services.accept().mail.status is Status.QUEUED


def test_a_sign_in_elsewhere_counts_at_once_though_the_cached_row_is_old() -> None:
    services = FakeServices(account_of(state=AccountState.NEEDS_SIGN_IN))
    services.accounts.change("billing", state=AccountState.READY)

    assert services.accept().mail.status is Status.QUEUED


def test_an_account_that_was_linked_elsewhere_is_found_though_the_cached_list_is_old(
    services: FakeServices,
) -> None:
    services.accounts.put(account_of("hr"))

    assert services.accept(account="hr").mail.account == "hr"


def test_the_common_path_asks_the_accounts_table_for_nothing_fresh(services: FakeServices) -> None:
    services.accept()

    assert services.faults.calls["accounts.fresh"] == 0


def test_the_attachment_is_named_where_it_makes_a_mail_too_large(services: FakeServices) -> None:
    refused = refusal(services, incompressible(3_100_000))

    assert refused.kind is problems.MAIL_TOO_LARGE
    assert [problem.field for problem in refused.errors] == ["attachments"]
    assert "4000000" in refused.detail


def test_the_lower_limit_of_mime_is_explained(services: FakeServices) -> None:
    refused = refusal(services, order_of(text="x" * 2_300_000, html="<p>x</p>"))

    assert "2200000" in refused.detail
    assert "text and html together" in refused.detail


def test_raw_mime_is_accepted_with_what_its_headers_say(services: FakeServices) -> None:
    raw = b"To: ada@example.com\r\nX-A: 1\r\nSubject: Raw\r\n\r\nhello"

    mail = services.submission.accept(read_mime(raw)).mail

    assert (mail.recipients, mail.subject) == (("ada@example.com",), "Raw")
    packed = unpack(mail.payload.inline or b"")
    assert packed.message is not None
    assert packed.message.mime == b"X-A: 1\r\n\r\nhello"


def test_the_same_key_with_the_same_document_answers_the_first_mail(services: FakeServices) -> None:
    first = services.accept(idempotency_key="invoice-7")
    services.clock.forward(hours=23)

    again = services.accept(idempotency_key="invoice-7")

    assert (again.replayed, first.replayed) == (True, False)
    assert again.mail.mail_id == first.mail.mail_id
    assert len(services.ledger.mails) == 1


CHANGES_SINCE: dict[str, Callable[[FakeServices], object]] = {
    "needs a sign-in": lambda services: services.accounts.change(
        "billing", state=AccountState.NEEDS_SIGN_IN
    ),
    "account gone": lambda services: services.accounts.rows.clear(),
    "sender not allowed": lambda services: services.accounts.change("billing", allowed_from=()),
    "size": lambda services: setattr(services.order_checks, "_max_mail_bytes", 1),
}


@pytest.mark.parametrize("change", CHANGES_SINCE.values(), ids=list(CHANGES_SINCE))
def test_a_replay_is_answered_with_its_mail_whatever_would_refuse_a_new_one(
    change: Callable[[FakeServices], object],
) -> None:
    scopes = frozenset({"Mail.Send", "Mail.Send.Shared"})
    services = FakeServices(account_of(scopes=scopes, allowed_from=("info@contoso.com",)))
    fields = {"from": "info@contoso.com", "idempotency_key": "k"}
    first = services.accepted(**fields)
    change(services)
    services.accounts.remember(*services.accounts.rows.values())

    again = services.accept(**fields)

    assert (again.replayed, again.mail.mail_id) == (True, first)
    services.outbox.handle(services.message(document_of(**fields)))
    for others in ({**fields, "subject": "Another"}, {**fields, "idempotency_key": "new"}):
        with pytest.raises(RequestRejected) as caught:
            services.accept(**others)
        assert caught.value.kind is not problems.IDEMPOTENCY_CONFLICT
    assert len(services.ledger.mails) == 1


def test_a_replay_shows_the_mail_as_it_stands_now(services: FakeServices) -> None:
    mail_id = services.accepted(idempotency_key="k")
    services.handle(mail_id)

    assert services.accept(idempotency_key="k").mail.status is Status.SENT


def test_a_replay_of_a_mail_whose_bell_was_lost_rings_for_it(services: FakeServices) -> None:
    services.faults.before("wake_ups.enqueue", NOT_REACHED)
    mail_id = services.accepted(idempotency_key="k")

    services.accept(idempotency_key="k")

    assert [ring.mail_id for ring in services.wake_ups.enqueued] == [mail_id]


def test_a_replay_of_a_mail_that_went_rings_for_nothing(services: FakeServices) -> None:
    services.handle(services.accepted(idempotency_key="k"))
    services.wake_ups.enqueued.clear()

    services.accept(idempotency_key="k")

    assert services.wake_ups.enqueued == []


def test_the_same_key_with_another_document_is_a_conflict(services: FakeServices) -> None:
    services.accept(idempotency_key="k")

    refused = refusal(services, order_of(idempotency_key="k", subject="Another"))

    assert refused.kind is problems.IDEMPOTENCY_CONFLICT
    assert [problem.field for problem in refused.errors] == ["idempotency_key"]
    assert len(services.ledger.mails) == 1


def test_a_key_is_free_again_after_a_day(services: FakeServices) -> None:
    first = services.accepted(idempotency_key="k")
    services.clock.forward(hours=24, seconds=1)

    assert services.accepted(idempotency_key="k") != first


def test_different_keys_mean_different_mails(services: FakeServices) -> None:
    assert services.accepted(idempotency_key="a") != services.accepted(idempotency_key="b")


def test_a_crash_between_key_and_mail_is_healed_by_the_next_request(services: FakeServices) -> None:
    services.faults.before("ledger.insert", Crash())
    with pytest.raises(Crash):
        services.accept(idempotency_key="k")
    claimed = services.keys.claims["k"]

    receipt = services.accept(idempotency_key="k")

    assert receipt.mail.mail_id == claimed.mail_id
    assert not receipt.replayed
    assert [mail.mail_id for mail in services.ledger.mails] == [claimed.mail_id]


def test_a_caller_that_comes_second_to_the_row_answers_the_first_ones_mail(
    services: FakeServices,
) -> None:
    """Two callers with one key, both past the claim: the later insert finds the row there."""
    other = order_of(idempotency_key="k")
    earlier: list[Receipt] = []

    def other_caller() -> None:
        services.clock.forward(milliseconds=3)
        earlier.append(services.submission.accept(other))

    services.faults.before("ledger.insert", other_caller)
    receipt = services.accept(idempotency_key="k")

    assert receipt.mail == earlier[0].mail
    assert receipt.replayed
    assert len(services.ledger.mails) == 1


def test_one_key_from_twenty_threads_is_one_mail(services: FakeServices) -> None:
    with ThreadPoolExecutor(20) as pool:
        receipts = list(pool.map(lambda _: services.accept(idempotency_key="k"), range(20)))

    assert len({receipt.mail.mail_id for receipt in receipts}) == 1
    assert len(services.ledger.mails) == 1


def test_without_a_key_twenty_threads_are_twenty_mails(services: FakeServices) -> None:
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda _: services.accept(), range(20)))

    assert len(services.ledger.mails) == 20
    assert Counter(ring.mail_id for ring in services.wake_ups.enqueued) == Counter(
        {mail.mail_id: 1 for mail in services.ledger.mails}
    )


def test_an_insert_that_the_storage_client_repeated_is_no_replay(services: FakeServices) -> None:
    """Its first try took effect, its second found the row."""
    services.faults.after("ledger.insert", AlreadyExists("it is there already"))

    receipt = services.accept()

    assert not receipt.replayed
    assert [mail.mail_id for mail in services.ledger.mails] == [receipt.mail.mail_id]
    assert len(services.wake_ups.enqueued) == 1


def test_an_insert_whose_answer_was_lost_counts_where_the_row_is_there(
    services: FakeServices,
) -> None:
    services.faults.after("ledger.insert", LOST)

    receipt = services.accept()

    assert receipt.mail.mail_id == services.ledger.mails[0].mail_id
    assert len(services.wake_ups.enqueued) == 1


def test_an_insert_whose_answer_was_lost_is_an_error_where_the_row_is_not_there(
    services: FakeServices,
) -> None:
    services.faults.before("ledger.insert", LOST)

    with pytest.raises(type(LOST)):
        services.accept()
    assert services.wake_ups.enqueued == []


def test_a_claim_whose_row_belongs_to_a_mail_that_was_purged_writes_it_anew(
    services: FakeServices,
) -> None:
    order = order_of(idempotency_key="k")
    gone = ids.new_id(NOW, secrets.token_bytes)
    services.keys.claims["k"] = KeyClaim(gone, order.document_hash, NOW)

    assert services.submission.accept(order).mail.mail_id == gone


def test_a_mail_from_the_queue_carries_the_id_of_its_message(services: FakeServices) -> None:
    mail_id = ids.id_of_message("storage-1", NOW)

    receipt = services.submission.take_in(order_of(), mail_id, services.delivery.claim_or_hold)

    assert (receipt.mail.mail_id, receipt.mail.caller) == (mail_id, Caller.QUEUE)
    assert services.wake_ups.enqueued == []


def test_a_scheduled_mail_from_the_queue_rings_later(services: FakeServices) -> None:
    order = order_of(scheduled_at="2026-08-20T13:00:00Z")

    services.submission.take_in(order, ids.id_of_message("storage-1", NOW), held_by_nobody)

    assert [ring.after_seconds for ring in services.wake_ups.enqueued] == [3600]


def test_a_mail_from_the_queue_for_an_account_without_sign_in_is_taken(
    services: FakeServices,
) -> None:
    services = FakeServices(account_of(state=AccountState.NEEDS_SIGN_IN))

    receipt = services.submission.take_in(
        order_of(), ids.id_of_message("storage-1", NOW), held_by_nobody
    )

    assert receipt.mail.account == "billing"


def test_a_failure_is_recorded_once_with_its_raw_text(services: FakeServices) -> None:
    mail_id = ids.id_of_message("storage-1", NOW)

    for _ in range(2):
        FailedMessages(services.ledger, services.clock).record(
            mail_id, b"\xff\x00noise", "unreadable_message", "Help."
        )

    (mail,) = services.ledger.mails
    assert (mail.status, mail.reason, mail.help) == (
        Status.FAILED,
        "unreadable_message",
        "Help.",
    )
    assert mail.account is None
    assert unpack(mail.payload.inline or b"").raw == b"\xff\x00noise"


def test_a_failure_never_overwrites_a_mail_that_is_there(services: FakeServices) -> None:
    mail_id = services.accepted()

    FailedMessages(services.ledger, services.clock).record(mail_id, b"x", "poisoned", "Help.")

    assert services.status(mail_id) is Status.QUEUED


def test_pages_of_the_fake_ledger_are_newest_first_and_go_on(services: FakeServices) -> None:
    """The stand-in has to keep what the port promises."""
    written = []
    for _ in range(5):
        written.append(services.accepted())
        services.clock.forward(seconds=1)

    seen, cursor = _walk(services.ledger)

    assert seen == written[::-1]
    assert cursor is None


def _walk(ledger: MemoryLedger) -> tuple[list[str], str | None]:
    from shared.mail.mail import MailFilter

    seen: list[str] = []
    cursor = None
    for _ in range(3):
        page = ledger.page(MailFilter(), 2, cursor)
        assert all(mail.payload == Payload() for mail in page.mails)
        seen += [mail.mail_id for mail in page.mails]
        cursor = page.cursor
    return seen, cursor


def test_another_document_under_the_same_id_leaves_the_stored_payload_alone(
    services: FakeServices,
) -> None:
    mail_id = ids.id_of_message("storage-1", NOW)
    first = services.submission.take_in(incompressible(INLINE_BYTES + 1), mail_id, held_by_nobody)
    kept = services.payloads.blobs[first.mail.payload.blob or ""]

    services.submission.take_in(incompressible(INLINE_BYTES + 2), mail_id, held_by_nobody)

    assert services.ledger.mail(mail_id).payload == first.mail.payload
    assert services.payloads.blobs[first.mail.payload.blob or ""] == kept


def test_a_payload_left_by_a_first_try_is_not_taken_for_another_senders(
    services: FakeServices,
) -> None:
    """The row's write failed, the default account changed, and the caller repeats with its key."""
    services.accounts.put(account_of("sales"))
    services.accounts.change("billing", is_default=True)
    services.accounts.all(fresh=True)
    order = order_of(html=secrets.token_hex(INLINE_BYTES), idempotency_key="k")
    services.faults.before("ledger.insert", NOT_REACHED)
    with pytest.raises(NotSent):
        services.submission.accept(order)
    services.accounts.change("billing", is_default=False)
    services.accounts.change("sales", is_default=True)
    services.accounts.all(fresh=True)

    mail = services.submission.accept(order).mail

    packed = unpack(services.payloads.blobs[mail.payload.blob or ""])
    assert mail.account == "sales"
    assert packed.sender is not None
    assert packed.sender.email == "sales@contoso.com"
