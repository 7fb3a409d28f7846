"""Delivering: every verdict, every way to lose a worker, and what may never be sent again."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from shared.errors import (
    AnswerLost,
    ConsentRequired,
    CredentialRefused,
    LostRace,
    NotSent,
    RemoteRefused,
)
from shared.mail import ids, rights
from shared.mail.account import AccountState
from shared.mail.backoff import RetryLimit
from shared.mail.mail import GRACE
from shared.mail.outcome import GraphAnswer
from shared.mail.status import Status
from shared.services.delivery.delivery_result import DeliveryResult
from shared.services.intake.outbox_message import LONGEST_DELAY, wake_up_for
from shared.services.mails.content_store import INLINE_BYTES
from shared.services.mails.packing import unpack
from tests.fakes import (
    ACCEPTED,
    LOST,
    NOT_REACHED,
    NOW,
    Crash,
    FakeServices,
    account_of,
    document_of,
)

GRAPH_LOST = AnswerLost("graph", "no answer came back")
GRAPH_AWAY = NotSent("graph", "not reached")
CONSENT = ConsentRequired("AADSTS50173", "revoked")
CREDENTIAL = CredentialRefused("AADSTS7000222", "expired")
SHARED = frozenset({"Mail.Send", "Mail.Send.Shared"})


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


def throttled(seconds: float | None = None) -> GraphAnswer:
    return GraphAnswer(429, "ApplicationThrottled", seconds, "req-9")


def held_mail(services: FakeServices) -> str:
    services.faults.before("tokens.access_token", CONSENT)
    mail_id = services.accepted()
    services.handle(mail_id)
    assert services.status(mail_id) is Status.HELD
    services.wake_ups.enqueued.clear()
    return mail_id


def abandoned_mail(services: FakeServices) -> str:
    """A mail whose worker died after the claim."""
    mail_id = services.accepted()
    services.faults.before("graph.send_mail", Crash())
    with pytest.raises(Crash):
        services.handle(mail_id)
    assert services.status(mail_id) is Status.SENDING
    services.wake_ups.enqueued.clear()
    return mail_id


# Every verdict.


def test_a_mail_that_graph_took_is_sent_and_its_payload_gone(services: FakeServices) -> None:
    mail_id = services.accepted()

    assert services.handle(mail_id) is DeliveryResult.SENT

    mail = services.ledger.mail(mail_id)
    assert (mail.status, mail.sent_at, mail.request_id) == (Status.SENT, NOW, "req-1")
    assert mail.payload.inline is None
    assert [post.mail_id for post in services.graph.posts] == [mail_id]


def test_a_sent_mails_blob_is_removed(services: FakeServices) -> None:
    noise = base64.b64encode(secrets.token_bytes(INLINE_BYTES + 1)).decode()
    mail_id = services.accepted(attachments=[{"filename": "n.bin", "content": noise}])

    assert services.handle(mail_id) is DeliveryResult.SENT
    assert services.payloads.blobs == {}


def test_a_blob_that_cannot_be_removed_does_not_unsend_the_mail(services: FakeServices) -> None:
    noise = base64.b64encode(secrets.token_bytes(INLINE_BYTES + 1)).decode()
    mail_id = services.accepted(attachments=[{"filename": "n.bin", "content": noise}])
    services.faults.before("payloads.delete", NOT_REACHED)

    assert services.handle(mail_id) is DeliveryResult.SENT
    assert services.status(mail_id) is Status.SENT


def test_retry_after_becomes_a_new_bell_with_that_delay(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.wake_ups.enqueued.clear()
    services.graph.answers = [throttled(40)]

    assert services.handle(mail_id) is DeliveryResult.LATER

    (ring,) = services.wake_ups.enqueued
    mail = services.ledger.mail(mail_id)
    assert ring.mail_id == mail_id
    assert 40 <= ring.after_seconds <= 44
    assert mail.status is Status.QUEUED
    assert mail.due_at == NOW + timedelta(seconds=ring.after_seconds)
    assert (mail.reason, mail.request_id) == ("ApplicationThrottled", "req-9")


def test_a_bell_before_the_retry_is_due_sends_nothing(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.graph.answers = [throttled(40)]
    services.handle(mail_id)
    services.clock.forward(seconds=39)

    assert services.handle(mail_id) is DeliveryResult.LATER
    assert len(services.graph.posts) == 1


def test_a_retry_that_is_due_is_sent(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.graph.answers = [throttled(40)]
    services.handle(mail_id)
    services.clock.forward(seconds=45)

    assert services.handle(mail_id) is DeliveryResult.SENT
    assert services.ledger.mail(mail_id).attempts == 2


@pytest.mark.parametrize("asked", [1e12, 1e300])
def test_a_retry_after_beyond_any_calendar_holds_the_account_for_a_day(
    services: FakeServices, asked: float
) -> None:
    services.graph.answers = [throttled(asked)]

    assert services.handle(services.accepted()) is DeliveryResult.HELD
    assert services.accounts.rows["billing"].held_until == NOW + timedelta(days=1)


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        pytest.param(GRAPH_AWAY, "not_reached", id="not reached"),
        pytest.param(GraphAnswer(423, "ErrorLocked"), "ErrorLocked", id="locked"),
    ],
)
def test_what_was_certainly_not_sent_is_tried_again(
    services: FakeServices, trouble: NotSent | GraphAnswer, reason: str
) -> None:
    mail_id = services.accepted()
    services.graph.answers = [trouble]

    assert services.handle(mail_id) is DeliveryResult.LATER
    assert services.ledger.mail(mail_id).reason == reason


@pytest.mark.parametrize("error", [NotSent("vault", "away"), AnswerLost("entra", "late")])
def test_a_token_that_did_not_come_sends_nothing_and_is_tried_again(
    services: FakeServices, error: NotSent | AnswerLost
) -> None:
    mail_id = services.accepted()
    services.faults.before("tokens.access_token", error)

    assert services.handle(mail_id) is DeliveryResult.LATER
    assert services.graph.posts == []
    assert services.ledger.mail(mail_id).reason == f"{error.system}_unreachable"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(GRAPH_LOST, id="answer lost"),
        pytest.param(GraphAnswer(504, "UnknownError"), id="504"),
        pytest.param(GraphAnswer(503, "ErrorServerBusy"), id="503"),
        pytest.param(GraphAnswer(200), id="200"),
    ],
)
def test_what_may_have_been_sent_is_unknown_and_never_sent_again(
    services: FakeServices, answer: GraphAnswer | AnswerLost
) -> None:
    mail_id = services.accepted()
    services.graph.answers = [answer]

    assert services.handle(mail_id) is DeliveryResult.UNKNOWN
    services.clock.forward(days=2)
    services.upkeep.requeue_overdue()
    assert services.handle(mail_id) is DeliveryResult.LEFT
    assert len(services.graph.posts) == 1
    assert services.status(mail_id) is Status.UNKNOWN


def test_an_unknown_mail_keeps_its_payload_for_a_persons_decision(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.graph.answers = [GRAPH_LOST]
    services.handle(mail_id)

    mail = services.ledger.mail(mail_id)
    assert unpack(mail.payload.inline or b"").message is not None
    assert "Sent Items" in (mail.help or "")


def test_what_graph_refuses_is_failed_with_its_code_and_a_remedy(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.graph.answers = [GraphAnswer(403, "ErrorSendAsDenied", None, "req-3")]

    assert services.handle(mail_id) is DeliveryResult.FAILED

    mail = services.ledger.mail(mail_id)
    assert (mail.reason, mail.request_id) == ("ErrorSendAsDenied", "req-3")
    assert "Send as" in (mail.help or "")


def test_a_refused_token_is_replaced_once_and_the_mail_goes(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.graph.answers = [GraphAnswer(401, "InvalidAuthenticationToken"), ACCEPTED]

    assert services.handle(mail_id) is DeliveryResult.SENT
    assert [post.token for post in services.graph.posts] == ["token-billing-1", "token-billing-2"]
    assert services.ledger.mail(mail_id).attempts == 1


def test_a_daily_limit_holds_the_account_for_a_day_and_its_mail(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.graph.answers = [GraphAnswer(429, "ErrorExceededMessageLimit")]

    assert services.handle(mail_id) is DeliveryResult.HELD

    account = services.accounts.rows["billing"]
    assert (account.state, account.reason) == (AccountState.HELD, "ErrorExceededMessageLimit")
    assert account.held_until == NOW + timedelta(days=1)
    assert services.ledger.mail(mail_id).reason == "ErrorExceededMessageLimit"


def test_the_first_mail_that_goes_out_after_a_hold_makes_the_account_ready(
    services: FakeServices,
) -> None:
    mail_id = services.accepted()
    services.graph.answers = [GraphAnswer(429, "ErrorExceededHourlyMessageLimit"), ACCEPTED]
    services.handle(mail_id)
    services.clock.forward(hours=1, seconds=1)

    result = services.handle(mail_id)

    account = services.accounts.rows["billing"]
    assert result is DeliveryResult.SENT
    assert (account.state, account.reason, account.held_until) == (AccountState.READY, None, None)


def test_a_mail_that_went_out_does_not_end_a_hold_that_came_meanwhile(
    services: FakeServices,
) -> None:
    mail_id = services.accepted()
    services.accounts.change("billing", state=AccountState.HELD, held_until=NOW)
    services.accounts.all(fresh=True)
    limit = NOW + timedelta(hours=1)

    def meanwhile() -> GraphAnswer:
        services.accounts.change("billing", held_until=limit)
        return ACCEPTED

    services.graph.answers = [meanwhile]

    result = services.handle(mail_id)

    account = services.accounts.rows["billing"]
    assert result is DeliveryResult.SENT
    assert (account.state, account.held_until) == (AccountState.HELD, limit)


def test_a_hold_asked_for_beyond_any_calendar_ends_all_the_same(services: FakeServices) -> None:
    services.graph.answers = [GraphAnswer(429, "ErrorExceededMessageLimit", 1e15)]

    assert services.handle(services.accepted()) is DeliveryResult.HELD
    assert services.accounts.rows["billing"].held_until == NOW + timedelta(days=7)


def test_a_refused_credential_holds_the_account_for_a_while(services: FakeServices) -> None:
    services.faults.before("tokens.access_token", CREDENTIAL)

    assert services.handle(services.accepted()) is DeliveryResult.HELD
    account = services.accounts.rows["billing"]
    assert (account.state, account.reason) == (AccountState.HELD, "AADSTS7000222")
    assert services.graph.posts == []


# Accounts.


def test_mails_of_a_dead_grant_are_held_by_one_change_of_the_account(
    services: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    mails = [services.accepted() for _ in range(3)]
    services.faults.always("tokens.access_token", CONSENT)

    result = [services.handle(mail_id) for mail_id in mails]

    assert result == [DeliveryResult.HELD] * 3
    assert services.faults.calls["accounts.save"] == 1
    alerts = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert [json.loads(line)["event"] for line in alerts] == ["account_cannot_send"]
    assert services.accounts.rows["billing"].state is AccountState.NEEDS_SIGN_IN


def test_a_mail_held_before_it_was_tried_spends_no_attempt(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN, reason="AADSTS50173")
    services.accounts.all(fresh=True)

    assert services.handle(mail_id) is DeliveryResult.HELD

    mail = services.ledger.mail(mail_id)
    assert (mail.attempts, mail.reason) == (0, "AADSTS50173")
    assert "/accounts" in (mail.help or "")


def test_an_account_that_cannot_be_marked_leaves_the_mail_held(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.faults.before("tokens.access_token", CONSENT)
    services.faults.before("accounts.save", NOT_REACHED)

    assert services.handle(mail_id) is DeliveryResult.HELD
    assert services.status(mail_id) is Status.HELD


def test_an_account_that_was_changed_in_the_same_moment_leaves_the_mail_held(
    services: FakeServices,
) -> None:
    mail_id = services.accepted()
    services.faults.before("tokens.access_token", CONSENT)
    services.faults.before("accounts.save", LostRace("changed"))

    assert services.handle(mail_id) is DeliveryResult.HELD


def test_a_sign_in_during_the_attempt_is_not_undone_by_its_failure(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.faults.before(
        "tokens.access_token", lambda: services.accounts.change("billing", signed_in_at=NOW)
    )
    services.graph.answers = [GraphAnswer(403, "ErrorAccessDenied")]

    services.handle(mail_id)

    assert services.accounts.rows["billing"].state is AccountState.READY
    assert services.status(mail_id) is Status.HELD
    assert services.upkeep.requeue_overdue() == 1


def test_a_new_sign_in_releases_the_held_mails(services: FakeServices) -> None:
    mail_id = held_mail(services)
    account = services.accounts.change("billing", state=AccountState.READY, reason=None)

    assert services.upkeep.release(account) == 1
    assert [ring.mail_id for ring in services.wake_ups.enqueued] == [mail_id]
    assert services.handle(mail_id) is DeliveryResult.SENT


def test_a_released_mail_is_sent_by_an_instance_whose_cached_account_is_old(
    services: FakeServices,
) -> None:
    mail_id = held_mail(services)
    services.accounts.all(fresh=True)
    services.accounts.change("billing", state=AccountState.READY, reason=None)

    assert services.handle(mail_id) is DeliveryResult.SENT


def test_a_bell_for_a_mail_that_is_still_held_changes_nothing(services: FakeServices) -> None:
    mail_id = held_mail(services)
    before = services.ledger.mail(mail_id)

    assert services.handle(mail_id) is DeliveryResult.HELD
    assert services.ledger.mail(mail_id) is before


def test_a_hold_ends_by_itself(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.graph.answers = [GraphAnswer(429, "ErrorExceededHourlyMessageLimit")]
    services.handle(mail_id)
    services.wake_ups.enqueued.clear()
    assert services.upkeep.requeue_overdue() == 0
    services.clock.forward(hours=1)

    assert services.upkeep.requeue_overdue() == 1
    assert services.handle(mail_id) is DeliveryResult.SENT


def test_a_mail_whose_account_was_removed_is_held_and_goes_when_it_is_linked_again(
    services: FakeServices,
) -> None:
    mail_id = services.accepted()
    removed = services.accounts.rows.pop("billing")
    services.accounts.all(fresh=True)

    assert services.handle(mail_id) is DeliveryResult.HELD
    assert services.ledger.mail(mail_id).reason == "account_gone"
    services.accounts.put(removed)
    assert services.upkeep.requeue_overdue() == 1
    assert services.handle(mail_id) is DeliveryResult.SENT


def test_release_leaves_the_mails_of_other_accounts_alone() -> None:
    services = FakeServices(account_of(is_default=True), account_of("hr"))
    held_mail(services)

    assert services.upkeep.release(services.accounts.rows["hr"]) == 0
    assert services.wake_ups.enqueued == []


# Giving up.


def test_it_gives_up_after_the_allowed_attempts_and_says_why() -> None:
    services = FakeServices(patience=RetryLimit(3, 48 * 3600))
    mail_id = services.accepted()
    services.graph.answers = [throttled()] * 3

    result = []
    for _ in range(3):
        result.append(services.handle(mail_id))
        services.clock.forward(hours=1)

    mail = services.ledger.mail(mail_id)
    assert result == [DeliveryResult.LATER, DeliveryResult.LATER, DeliveryResult.FAILED]
    assert (mail.status, mail.reason) == (Status.FAILED, "ApplicationThrottled")
    assert (mail.help or "").startswith("Given up after 3 attempts.")


def test_it_gives_up_after_the_allowed_time_and_says_why() -> None:
    services = FakeServices(patience=RetryLimit(1000, 3600))
    mail_id = services.accepted()
    services.graph.answers = [GraphAnswer(423, "ErrorLocked", 1200)] * 4

    result: list[DeliveryResult] = []
    while not result or result[-1] is DeliveryResult.LATER:
        result.append(services.handle(mail_id))
        services.clock.forward(seconds=1300)

    assert result == [DeliveryResult.LATER, DeliveryResult.LATER, DeliveryResult.FAILED]
    assert "Given up" in (services.ledger.mail(mail_id).help or "")


def test_time_in_which_a_mail_was_held_does_not_count_against_it(services: FakeServices) -> None:
    mail_id = held_mail(services)
    services.clock.forward(days=30)
    services.accounts.change("billing", state=AccountState.READY, reason=None)
    services.graph.answers = [throttled(40)]

    assert services.handle(mail_id) is DeliveryResult.LATER


def test_time_before_the_first_attempt_does_not_count_against_a_mail(
    services: FakeServices,
) -> None:
    mail_id = services.accepted()
    services.clock.forward(days=30)
    services.graph.answers = [throttled(40)]

    assert services.handle(mail_id) is DeliveryResult.LATER


def test_a_payload_that_cannot_be_read_is_tried_again_and_sends_nothing(
    services: FakeServices,
) -> None:
    noise = base64.b64encode(secrets.token_bytes(INLINE_BYTES + 1)).decode()
    mail_id = services.accepted(attachments=[{"filename": "n.bin", "content": noise}])
    services.faults.before("payloads.get", NOT_REACHED)

    assert services.handle(mail_id) is DeliveryResult.LATER
    assert services.ledger.mail(mail_id).reason == "payload_unreadable"
    services.clock.forward(minutes=1)
    assert services.handle(mail_id) is DeliveryResult.SENT


def test_a_damaged_payload_sends_nothing(services: FakeServices) -> None:
    from msgspec.structs import replace

    from shared.mail.mail import Payload

    mail_id = services.accepted()
    services.ledger.overwrite(
        replace(services.ledger.mail(mail_id), payload=Payload(inline=b"\x00"))
    )

    assert services.handle(mail_id) is DeliveryResult.LATER
    assert services.graph.posts == []


# Claims, leases and lost answers.


def test_a_claim_lost_to_another_worker_is_left_quietly(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.faults.before("ledger.update", lambda: services.handle(mail_id))

    assert services.handle(mail_id) is DeliveryResult.LEFT
    assert len(services.graph.posts) == 1


def test_two_bells_at_once_are_one_send(services: FakeServices) -> None:
    mail_id = services.accepted()

    with ThreadPoolExecutor(16) as pool:
        result = list(pool.map(lambda _: services.handle(mail_id), range(16)))

    assert result.count(DeliveryResult.SENT) == 1
    assert set(result) <= {DeliveryResult.SENT, DeliveryResult.LEFT}
    assert len(services.graph.posts) == 1


def test_a_mail_is_claimed_in_the_ledger_before_graph_hears_of_it(services: FakeServices) -> None:
    mail_id = services.accepted()
    seen: list[Status] = []
    services.faults.before("graph.send_mail", lambda: seen.append(services.status(mail_id)))

    services.handle(mail_id)

    assert seen == [Status.SENDING]


def test_a_bell_while_the_lease_runs_is_left(services: FakeServices) -> None:
    mail_id = abandoned_mail(services)
    services.clock.forward(seconds=299)

    assert services.handle(mail_id) is DeliveryResult.LEFT
    assert services.upkeep.requeue_overdue() == 0
    assert services.status(mail_id) is Status.SENDING


def test_a_lease_that_ran_out_makes_the_mail_unknown_and_it_is_never_sent_again(
    services: FakeServices,
) -> None:
    mail_id = abandoned_mail(services)
    services.clock.forward(seconds=300)

    assert services.upkeep.requeue_overdue() == 1
    assert services.handle(mail_id) is DeliveryResult.UNKNOWN
    assert services.handle(mail_id) is DeliveryResult.LEFT
    assert services.ledger.mail(mail_id).reason == "worker_lost"
    assert len(services.graph.posts) == 0


def test_a_frozen_worker_that_wakes_late_keeps_its_sent(services: FakeServices) -> None:
    mail_id = services.accepted()

    def meanwhile() -> GraphAnswer:
        services.clock.forward(seconds=301)
        assert services.handle(mail_id) is DeliveryResult.UNKNOWN
        services.clock.forward(seconds=5)
        return ACCEPTED

    services.graph.answers = [meanwhile]

    assert services.handle(mail_id) is DeliveryResult.SENT

    mail = services.ledger.mail(mail_id)
    assert (mail.status, mail.reason) == (Status.SENT, None)
    assert [event.status.value for event in mail.events] == [
        "queued",
        "sending",
        "unknown",
        "sent",
    ]
    assert mail.payload.inline is None


def test_a_frozen_worker_that_wakes_late_without_success_changes_nothing(
    services: FakeServices,
) -> None:
    mail_id = services.accepted()

    def meanwhile() -> GraphAnswer:
        services.clock.forward(seconds=301)
        services.handle(mail_id)
        return throttled(5)

    services.graph.answers = [meanwhile]
    services.handle(mail_id)

    assert services.status(mail_id) is Status.UNKNOWN


def test_a_worker_frozen_before_its_request_does_not_send(services: FakeServices) -> None:
    """A request started now would end after the lease; another worker may have the mail by then."""
    mail_id = services.accepted()
    services.faults.after("tokens.access_token", lambda: services.clock.forward(seconds=201))

    assert services.handle(mail_id) is DeliveryResult.LATER
    assert services.graph.posts == []
    assert services.ledger.mail(mail_id).reason == "lease_spent"


def test_a_claim_whose_answer_was_lost_goes_on_where_the_row_is_ours(
    services: FakeServices,
) -> None:
    mail_id = services.accepted()
    services.faults.after("ledger.update", LOST)

    assert services.handle(mail_id) is DeliveryResult.SENT
    assert len(services.graph.posts) == 1


def test_a_claim_that_the_storage_client_repeated_goes_on_where_the_row_is_ours(
    services: FakeServices,
) -> None:
    mail_id = services.accepted()
    services.faults.after("ledger.update", LostRace("its own second try"))

    assert services.handle(mail_id) is DeliveryResult.SENT
    assert len(services.graph.posts) == 1


@pytest.mark.parametrize("effect", ["before", "after"])
def test_an_outcome_whose_answer_was_lost_is_written(services: FakeServices, effect: str) -> None:
    mail_id = services.accepted()
    getattr(services.faults, effect)("ledger.update", LOST, nth=2)

    assert services.handle(mail_id) is DeliveryResult.SENT
    assert services.status(mail_id) is Status.SENT


@pytest.mark.parametrize("answer", [throttled(5), GraphAnswer(403, "ErrorSendAsDenied")])
def test_a_certain_no_whose_write_had_no_effect_is_written_again(
    services: FakeServices, answer: GraphAnswer
) -> None:
    mail_id = services.accepted()
    services.graph.answers = [answer]
    services.faults.before("ledger.update", LOST, nth=2)

    services.handle(mail_id)

    assert services.status(mail_id) in (Status.QUEUED, Status.FAILED)


def test_an_outcome_that_cannot_be_written_leaves_the_mail_unknown_in_the_end(
    services: FakeServices,
) -> None:
    """Graph took it, the ledger never heard: it may not be sent a second time."""
    mail_id = services.accepted()
    for nth in (2, 3, 4):
        services.faults.before("ledger.update", NOT_REACHED, nth=nth)

    with pytest.raises(NotSent):
        services.handle(mail_id)
    assert services.handle(mail_id) is DeliveryResult.LEFT
    services.clock.forward(seconds=301)
    assert services.handle(mail_id) is DeliveryResult.UNKNOWN
    assert len(services.graph.posts) == 1


def test_a_ledger_that_confirms_nothing_at_all_is_an_error(services: FakeServices) -> None:
    mail_id = services.accepted()
    for nth in (2, 3, 4):
        services.faults.before("ledger.update", LOST, nth=nth)

    with pytest.raises(AnswerLost):
        services.handle(mail_id)
    assert services.status(mail_id) is Status.SENDING


def test_a_mail_that_was_purged_while_it_was_sent_is_no_error(services: FakeServices) -> None:
    mail_id = services.accepted()

    def purged() -> GraphAnswer:
        del services.ledger._rows[mail_id]
        return ACCEPTED

    services.graph.answers = [purged]

    assert services.handle(mail_id) is DeliveryResult.SENT
    assert services.ledger.mails == []


# Bells.


def test_a_bell_for_a_mail_that_is_not_there_is_left(services: FakeServices) -> None:
    assert services.handle(ids.new_id(NOW, secrets.token_bytes)) is DeliveryResult.LEFT
    assert services.ledger.mails == []


@pytest.mark.parametrize("status", [Status.SENT, Status.FAILED, Status.CANCELLED, Status.UNKNOWN])
def test_a_bell_for_a_settled_mail_is_left(services: FakeServices, status: Status) -> None:
    from msgspec.structs import replace

    mail_id = services.accepted()
    services.ledger.overwrite(replace(services.ledger.mail(mail_id), status=status))

    assert services.handle(mail_id) is DeliveryResult.LEFT
    assert services.graph.posts == []


@pytest.mark.parametrize(
    "foreign",
    [
        "7",
        "../mails",
        "' or '1' eq '1",
        "00000000-0000-4000-8000-000000000000",
        "ffffffff-ffff-7fff-bfff-ffffffffffff",
        "x" * 5000,
    ],
)
def test_a_forged_bell_does_no_harm(services: FakeServices, foreign: str) -> None:
    assert services.handle(foreign) is DeliveryResult.LEFT
    assert services.faults.calls["ledger.get"] == 0


def test_a_bell_for_a_mail_due_later_rings_again(services: FakeServices) -> None:
    mail_id = services.accepted(scheduled_at="2026-09-20T12:00:00Z")
    services.clock.forward(seconds=LONGEST_DELAY)
    services.wake_ups.enqueued.clear()

    assert services.handle(mail_id) is DeliveryResult.LATER
    assert [ring.after_seconds for ring in services.wake_ups.enqueued] == [LONGEST_DELAY]
    assert services.status(mail_id) is Status.SCHEDULED


def test_a_scheduled_mail_goes_when_it_is_due(services: FakeServices) -> None:
    mail_id = services.accepted(scheduled_at="2026-09-20T12:00:00Z")
    services.clock.forward(days=31)

    assert services.handle(mail_id) is DeliveryResult.SENT


def test_the_timer_leaves_a_mail_alone_whose_bell_may_still_come(services: FakeServices) -> None:
    services.accepted()
    services.wake_ups.enqueued.clear()
    services.clock.forward(seconds=GRACE.total_seconds() - 1)

    assert services.upkeep.requeue_overdue() == 0


def test_the_timer_rings_for_a_mail_whose_bell_was_lost(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.wake_ups.enqueued.clear()
    services.clock.forward(seconds=GRACE.total_seconds())

    assert services.upkeep.requeue_overdue() == 1
    assert [ring.mail_id for ring in services.wake_ups.enqueued] == [mail_id]


def test_a_retry_whose_bell_could_not_be_rung_is_found_by_the_timer(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.graph.answers = [throttled(5)]
    services.faults.before("wake_ups.enqueue", NOT_REACHED)
    assert services.handle(mail_id) is DeliveryResult.LATER
    services.wake_ups.enqueued.clear()
    services.clock.forward(seconds=GRACE.total_seconds() + 6)

    assert services.upkeep.requeue_overdue() == 1


@pytest.mark.parametrize("call", ["ledger.get", "accounts.all", "ledger.update"])
def test_storage_that_is_away_before_the_claim_gives_the_bell_back(
    services: FakeServices, call: str
) -> None:
    mail_id = services.accepted()
    services.faults.before(call, NOT_REACHED)

    with pytest.raises(NotSent):
        services.handle(mail_id)
    assert services.status(mail_id) is Status.QUEUED
    assert services.handle(mail_id) is DeliveryResult.SENT
    assert len(services.graph.posts) == 1


# Whole mails from the queue.


def plain(document: dict[str, object]) -> bytes:
    return json.dumps(document).encode()


def in_base64(document: dict[str, object]) -> bytes:
    return base64.b64encode(plain(document))


@pytest.mark.parametrize("spelled", [plain, in_base64])
def test_a_whole_mail_is_accepted_and_sent_in_one_go(
    services: FakeServices, spelled: Callable[[dict[str, object]], bytes]
) -> None:
    assert services.outbox.handle(services.message(spelled(document_of()))) is DeliveryResult.SENT

    (mail,) = services.ledger.mails
    assert (mail.status, mail.caller.value, mail.attempts) == (Status.SENT, "queue", 1)
    assert services.wake_ups.enqueued == []


def test_a_whole_mail_is_accepted_and_claimed_by_one_write(services: FakeServices) -> None:
    services.outbox.handle(services.message(document_of()))

    assert (services.faults.calls["ledger.insert"], services.faults.calls["ledger.update"]) == (
        1,
        1,
    )


def test_a_whole_mail_delivered_twice_is_one_send(services: FakeServices) -> None:
    message = services.message(document_of())

    assert services.outbox.handle(message) is DeliveryResult.SENT
    services.clock.forward(seconds=30)
    assert services.outbox.handle(message) is DeliveryResult.LEFT
    assert len(services.graph.posts) == len(services.ledger.mails) == 1


def test_a_whole_mail_whose_worker_died_after_the_claim_is_not_sent_by_its_redelivery(
    services: FakeServices,
) -> None:
    message = services.message(document_of())
    services.faults.before("graph.send_mail", Crash())
    with pytest.raises(Crash):
        services.outbox.handle(message)

    assert services.outbox.handle(message) is DeliveryResult.LEFT
    services.clock.forward(seconds=301)
    assert services.outbox.handle(message) is DeliveryResult.UNKNOWN
    assert services.graph.posts == []


def test_a_whole_mail_that_was_not_stored_is_sent_by_its_redelivery(services: FakeServices) -> None:
    message = services.message(document_of())
    services.faults.before("ledger.insert", NOT_REACHED)
    with pytest.raises(NotSent):
        services.outbox.handle(message)

    assert services.outbox.handle(message) is DeliveryResult.SENT
    assert len(services.graph.posts) == 1


def test_a_whole_mail_whose_insert_was_repeated_by_the_storage_client_is_sent_once(
    services: FakeServices,
) -> None:
    from shared.errors import AlreadyExists

    services.faults.after("ledger.insert", AlreadyExists("its own second try"))

    assert services.outbox.handle(services.message(document_of())) is DeliveryResult.SENT
    assert len(services.graph.posts) == 1


def test_a_whole_mail_is_sent_though_the_account_list_is_away_after_the_claim(
    services: FakeServices,
) -> None:
    services.faults.before("accounts.all", NOT_REACHED, nth=2)

    assert services.outbox.handle(services.message(document_of())) is DeliveryResult.SENT


def test_two_whole_mails_with_one_key_are_one_send(services: FakeServices) -> None:
    document = document_of(idempotency_key="k")

    assert services.outbox.handle(services.message(document)) is DeliveryResult.SENT
    assert services.outbox.handle(services.message(document)) is DeliveryResult.LEFT
    assert len(services.graph.posts) == len(services.ledger.mails) == 1


def test_a_key_used_with_another_document_is_recorded_as_a_failed_mail(
    services: FakeServices,
) -> None:
    services.outbox.handle(services.message(document_of(idempotency_key="k")))

    result = services.outbox.handle(
        services.message(document_of(idempotency_key="k", subject="Other"))
    )

    assert result is DeliveryResult.FAILED
    assert {mail.reason for mail in services.ledger.mails} == {None, "idempotency_conflict"}


def test_a_whole_mail_for_an_account_that_needs_a_sign_in_is_held(services: FakeServices) -> None:
    services = FakeServices(account_of(state=AccountState.NEEDS_SIGN_IN, reason="AADSTS50173"))

    assert services.outbox.handle(services.message(document_of())) is DeliveryResult.HELD

    (mail,) = services.ledger.mails
    assert (mail.status, mail.attempts, mail.reason) == (Status.HELD, 0, "AADSTS50173")


def test_a_whole_mail_for_later_waits(services: FakeServices) -> None:
    message = services.message(document_of(scheduled_at="2026-08-20T13:00:00Z"))

    assert services.outbox.handle(message) is DeliveryResult.LATER
    assert [ring.after_seconds for ring in services.wake_ups.enqueued] == [3600]


def test_a_scheduled_whole_mail_whose_worker_died_before_ringing_rings_at_its_redelivery(
    services: FakeServices,
) -> None:
    message = services.message(document_of(scheduled_at="2026-08-20T13:00:00Z"))
    services.faults.before("wake_ups.enqueue", Crash())
    with pytest.raises(Crash):
        services.outbox.handle(message)

    assert services.outbox.handle(message) is DeliveryResult.LATER
    assert len(services.wake_ups.enqueued) == 1


NOISE = [
    pytest.param(b"", "unreadable_message", id="empty"),
    pytest.param(b"hello", "unreadable_message", id="text"),
    pytest.param(b"\xff\xfe\x00\x80", "unreadable_message", id="not UTF-8"),
    pytest.param(b"\x80" + secrets.token_bytes(65535), "unreadable_message", id="64 KiB of noise"),
    pytest.param(b"[1, 2]", "unreadable_message", id="array"),
    pytest.param(base64.b64encode(b"[1, 2]"), "unreadable_message", id="array in base64"),
    pytest.param(b"null", "unreadable_message", id="null"),
    pytest.param(b"{", "invalid_json", id="half a document"),
    pytest.param(base64.b64encode(b"{nonsense"), "invalid_json", id="nonsense in base64"),
    pytest.param(b'{"to": "\xff@example.com"}', "invalid_json", id="latin-1"),
    pytest.param(b'{"postroom":"bell"}', "invalid_mail", id="bell without an id"),
    pytest.param(b'{"postroom":"gong","mail_id":"x"}', "invalid_mail", id="another instrument"),
    pytest.param(b'{"to":"a@example.com"}', "invalid_mail", id="no text"),
    pytest.param(b'{"to":"a@example.com","dry_run":true,"text":"x"}', "invalid_mail", id="dry"),
    pytest.param(
        b'{"to":"a@example.com","text":"x","from":"ceo@contoso.com"}',
        "sender_not_allowed",
        id="from",
    ),
]


@pytest.mark.parametrize(("body", "reason"), NOISE)
def test_what_cannot_become_a_mail_is_written_down_once_and_never_loops(
    services: FakeServices, body: bytes, reason: str
) -> None:
    message = services.message(body)

    assert [services.outbox.handle(message) for _ in range(2)] == [
        DeliveryResult.FAILED,
        DeliveryResult.FAILED,
    ]

    (mail,) = services.ledger.mails
    assert (mail.status, mail.reason) == (Status.FAILED, reason)
    assert mail.help
    assert unpack(mail.payload.inline or b"").raw == body
    assert services.graph.posts == []


def test_a_refused_whole_mail_says_which_field_is_wrong(services: FakeServices) -> None:
    services.outbox.handle(services.message(document_of(to="nobody")))

    (mail,) = services.ledger.mails
    assert "to has no '@'" in (mail.help or "")


# The poison queue.


def test_a_poisoned_bell_makes_its_mail_late_and_the_timer_rings_again(
    services: FakeServices,
) -> None:
    mail_id = services.accepted()

    result = services.outbox.record_poisoned(services.message(wake_up_for(mail_id).encode()))

    services.clock.forward(minutes=5)
    assert result is DeliveryResult.LATER
    assert services.ledger.mail(mail_id).events[-1].reason == "poisoned"
    assert services.upkeep.requeue_overdue() == 1
    assert services.delivery.deliver(mail_id) is DeliveryResult.SENT


def test_a_mail_whose_bell_is_poisoned_time_after_time_fails(services: FakeServices) -> None:
    mail_id = services.accepted()
    wake_ups = wake_up_for(mail_id).encode()

    result = [services.outbox.record_poisoned(services.message(wake_ups)) for _ in range(3)]

    assert result == [DeliveryResult.LATER, DeliveryResult.LATER, DeliveryResult.FAILED]
    assert services.ledger.mail(mail_id).reason == "poisoned"


def test_outages_that_are_months_apart_do_not_fail_a_mail_that_waits_for_its_day(
    services: FakeServices,
) -> None:
    mail_id = services.accepted(scheduled_at=(NOW + timedelta(days=300)).isoformat())
    for _ in range(4):
        services.clock.forward(days=60)
        services.outbox.record_poisoned(services.message(wake_up_for(mail_id).encode()))

    assert services.status(mail_id) is Status.SCHEDULED


def test_a_message_that_comes_back_after_its_row_has_gone_is_not_sent_again(
    services: FakeServices,
) -> None:
    message = services.message(document_of())
    services.outbox.handle(message)
    services.clock.forward(days=90, minutes=1)
    services.retention.sweep()
    assert services.ledger.mails == []

    assert services.outbox.handle(message) is DeliveryResult.FAILED

    (mail,) = services.ledger.mails
    assert (mail.status, mail.reason) == (Status.FAILED, "message_too_old")
    assert len(services.graph.posts) == 1


def test_an_old_message_whose_mail_still_waits_goes(services: FakeServices) -> None:
    due = NOW + timedelta(days=100)
    message = services.message(document_of(scheduled_at=due.isoformat()))
    services.outbox.handle(message)
    services.clock.forward(days=101)

    assert services.outbox.handle(message) is DeliveryResult.SENT
    assert len(services.graph.posts) == 1


@pytest.mark.parametrize("status", [Status.HELD, Status.UNKNOWN, Status.SENT, Status.SENDING])
def test_a_poisoned_bell_leaves_a_mail_with_its_own_story_alone(
    services: FakeServices, status: Status
) -> None:
    from msgspec.structs import replace

    mail_id = services.accepted()
    services.ledger.overwrite(replace(services.ledger.mail(mail_id), status=status))

    assert (
        services.outbox.record_poisoned(services.message(wake_up_for(mail_id).encode()))
        is DeliveryResult.LEFT
    )
    assert services.status(mail_id) is status


@pytest.mark.parametrize("foreign", ["7", "ffffffff-ffff-7fff-bfff-ffffffffffff"])
def test_a_poisoned_forged_bell_is_left(services: FakeServices, foreign: str) -> None:
    assert (
        services.outbox.record_poisoned(services.message(wake_up_for(foreign).encode()))
        is DeliveryResult.LEFT
    )
    assert services.ledger.mails == []


@pytest.mark.parametrize("body", [b"noise", json.dumps(document_of()).encode()])
def test_a_poisoned_whole_mail_is_written_down_and_never_sent(
    services: FakeServices, body: bytes
) -> None:
    assert services.outbox.record_poisoned(services.message(body)) is DeliveryResult.FAILED

    (mail,) = services.ledger.mails
    assert (mail.status, mail.reason) == (Status.FAILED, "poisoned")
    assert unpack(mail.payload.inline or b"").raw == body
    assert services.graph.posts == []


def test_a_poisoned_bell_that_comes_late_to_a_mail_on_its_way_is_superseded(
    services: FakeServices,
) -> None:
    mail_id = services.accepted()
    services.faults.before("ledger.update", lambda: services.handle(mail_id))

    services.outbox.record_poisoned(services.message(wake_up_for(mail_id).encode()))

    assert services.status(mail_id) is Status.SENT


def test_a_remote_that_is_gone_for_good_refuses_like_any_other(services: FakeServices) -> None:
    """RemoteRefused of the bell is a RemoteError: the timer takes over."""
    mail_id = services.accepted()
    services.graph.answers = [throttled(5)]
    services.faults.before("wake_ups.enqueue", RemoteRefused("storage", "no queue"))

    assert services.handle(mail_id) is DeliveryResult.LATER


def test_an_outcome_is_written_although_storage_is_away_for_a_moment(
    services: FakeServices,
) -> None:
    mail_id = services.accepted()
    services.faults.before("ledger.update", NOT_REACHED, nth=2)

    assert services.handle(mail_id) is DeliveryResult.SENT
    assert services.status(mail_id) is Status.SENT


def test_a_mail_never_goes_out_from_a_mailbox_that_took_over_its_alias(
    services: FakeServices,
) -> None:
    mail_id = services.accepted()
    services.accounts.change("billing", account_id="id-other", address="other@contoso.com")

    assert (
        services.handle(mail_id) is DeliveryResult.SENT
    )  # what is cached still has the mailbox of that time
    late = services.accepted()
    services.accounts.all(fresh=True)

    assert services.handle(late) is DeliveryResult.FAILED
    mail = services.ledger.mail(late)
    assert (mail.status, mail.reason) == (Status.FAILED, "mailbox_replaced")
    assert len(services.graph.posts) == 1
    assert services.accounts.rows["billing"].state is AccountState.READY


def test_mail_held_for_a_replaced_mailbox_does_not_disable_the_new_one(
    services: FakeServices,
) -> None:
    mail_id = services.accepted()
    services.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN)
    services.accounts.all(fresh=True)
    services.handle(mail_id)
    services.accounts.change(
        "billing", account_id="id-other", address="other@contoso.com", state=AccountState.READY
    )
    services.upkeep.release(services.accounts.rows["billing"])

    assert services.handle(mail_id) is DeliveryResult.FAILED
    assert services.graph.posts == []
    assert services.accounts.rows["billing"].state is AccountState.READY


def test_a_worker_with_an_old_list_finds_the_new_mailbox_before_it_sends(
    services: FakeServices,
) -> None:
    """Accepted by an instance that knows of the replacement, delivered by one that does not."""
    services.accounts.change("billing", account_id="id-other", address="other@contoso.com")
    fresh = services.accounts.rows["billing"]
    services.accounts.all(fresh=True)
    mail_id = services.accepted()
    services.accounts.remember(account_of())

    assert services.handle(mail_id) is DeliveryResult.SENT
    assert [post.token for post in services.graph.posts] == [f"token-{fresh.alias}-1"]
    assert services.tokens.asked[-1].account_id == "id-other"


def test_a_from_address_that_was_taken_away_fails_the_mail_and_not_the_account(
    services: FakeServices,
) -> None:
    services.accounts.change("billing", scopes=SHARED, allowed_from=("sales@contoso.com",))
    services.accounts.all(fresh=True)
    mail_id = services.accepted(**{"from": "sales@contoso.com"})
    services.accounts.change("billing", allowed_from=())
    services.accounts.all(fresh=True)

    assert services.handle(mail_id) is DeliveryResult.FAILED
    assert services.ledger.mail(mail_id).reason == "sender_not_allowed"
    assert services.graph.posts == []
    assert services.accounts.rows["billing"].state is AccountState.READY


def test_a_denial_about_another_from_address_leaves_the_account_alone(
    services: FakeServices,
) -> None:
    services.accounts.change("billing", scopes=SHARED, allowed_from=("sales@contoso.com",))
    services.accounts.all(fresh=True)
    mail_id = services.accepted(**{"from": "sales@contoso.com"})
    services.graph.answers = [GraphAnswer(403, "ErrorAccessDenied")]

    assert services.handle(mail_id) is DeliveryResult.FAILED
    assert services.ledger.mail(mail_id).help == rights.NO_SEND_RIGHT
    assert services.accounts.rows["billing"].state is AccountState.READY


def test_a_permission_that_went_since_the_mail_was_accepted_is_named(
    services: FakeServices,
) -> None:
    services.accounts.change("billing", scopes=SHARED, allowed_from=("sales@contoso.com",))
    services.accounts.all(fresh=True)
    mail_id = services.accepted(**{"from": "sales@contoso.com"})
    services.accounts.change("billing", scopes=frozenset({"Mail.Send"}))
    services.accounts.all(fresh=True)
    services.graph.answers = [GraphAnswer(403, "ErrorAccessDenied")]

    assert services.handle(mail_id) is DeliveryResult.FAILED
    assert services.ledger.mail(mail_id).help == rights.NO_SHARED_SCOPE


def test_attempts_are_counted_anew_after_a_hold(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.graph.answers = [GraphAnswer(429), GraphAnswer(429, "ErrorExceededHourlyMessageLimit")]
    services.handle(mail_id)
    services.clock.forward(minutes=1)
    services.handle(mail_id)
    services.clock.forward(hours=2)

    assert services.handle(mail_id) is DeliveryResult.SENT
    assert services.ledger.mail(mail_id).attempts == 1


@pytest.mark.parametrize(
    "scopes", [SHARED, SHARED | {"Mail.ReadWrite"}], ids=["direct", "verified"]
)
def test_a_grant_that_ended_holds_mails_of_every_from_address(scopes: frozenset[str]) -> None:
    services = FakeServices(account_of(scopes=scopes, allowed_from=("info@contoso.com",)))
    mail_id = services.accepted(**{"from": "info@contoso.com"})
    services.faults.before("tokens.access_token", CONSENT)

    assert services.handle(mail_id) is DeliveryResult.HELD


def test_a_429_to_a_mails_last_attempt_rests_its_mailbox_all_the_same() -> None:
    services = FakeServices(patience=RetryLimit(1, 3600))
    first, second = services.accepted(), services.accepted()
    services.graph.answers = [throttled(120.0)]

    assert [services.handle(first), services.handle(second)] == [
        DeliveryResult.FAILED,
        DeliveryResult.LATER,
    ]
    assert len(services.graph.posts) == 1


@pytest.mark.parametrize(
    ("call", "status"),
    [("graph.send_mail", Status.UNKNOWN), ("tokens.access_token", Status.QUEUED)],
)
def test_a_fault_of_our_own_is_an_outcome_at_once(
    services: FakeServices, call: str, status: Status
) -> None:
    mail_id = services.accepted()
    services.faults.after(call, OverflowError("a bug"))

    services.handle(mail_id)

    assert (services.status(mail_id), services.ledger.mail(mail_id).reason) == (
        status,
        "worker_failed",
    )


@pytest.mark.parametrize("seconds", [200_000.0, 1e15])
def test_a_pause_longer_than_a_mail_is_tried_holds_its_account(
    services: FakeServices, seconds: float
) -> None:
    mail_id = services.accepted()
    services.faults.before("tokens.access_token", NotSent("entra", "busy", retry_after=seconds))

    assert services.handle(mail_id) is DeliveryResult.HELD
    account = services.accounts.rows["billing"]
    assert account.state is AccountState.HELD
    assert account.held_until == NOW + timedelta(seconds=min(seconds, 7 * 86400.0))


def test_the_time_for_which_its_caller_put_a_mail_off_does_not_count_against_it(
    services: FakeServices,
) -> None:
    mail_id = services.accepted()
    services.graph.answers = [GRAPH_AWAY]
    services.handle(mail_id)
    services.changes.reschedule(mail_id, NOW + timedelta(days=3))
    services.clock.forward(days=3)
    services.graph.answers = [GRAPH_AWAY]

    assert services.handle(mail_id) is DeliveryResult.LATER
