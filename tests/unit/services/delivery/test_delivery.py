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
from shared.mail.backoff import Patience
from shared.mail.mail import GRACE
from shared.mail.outcome import GraphAnswer
from shared.mail.status import Status
from shared.services.delivery.delivery import Heard
from shared.services.intake.outbox_message import LONGEST_DELAY, bell_for
from shared.services.intake.submission import INLINE_BYTES
from shared.services.mails.packing import unpack
from tests.fakes import (
    ACCEPTED,
    LOST,
    NOT_REACHED,
    NOW,
    Crash,
    Room,
    account_of,
    document_of,
)

GRAPH_LOST = AnswerLost("graph", "no answer came back")
GRAPH_AWAY = NotSent("graph", "not reached")
CONSENT = ConsentRequired("AADSTS50173", "revoked")
CREDENTIAL = CredentialRefused("AADSTS7000222", "expired")
SHARED = frozenset({"Mail.Send", "Mail.Send.Shared"})


@pytest.fixture
def room() -> Room:
    return Room()


def throttled(seconds: float | None = None) -> GraphAnswer:
    return GraphAnswer(429, "ApplicationThrottled", seconds, "req-9")


def held_mail(room: Room) -> str:
    room.faults.before("tokens.access_token", CONSENT)
    mail_id = room.accepted()
    room.hear(mail_id)
    assert room.status(mail_id) is Status.HELD
    room.bell.rings.clear()
    return mail_id


def abandoned_mail(room: Room) -> str:
    """A mail whose worker died after the claim."""
    mail_id = room.accepted()
    room.faults.before("graph.send_mail", Crash())
    with pytest.raises(Crash):
        room.hear(mail_id)
    assert room.status(mail_id) is Status.SENDING
    room.bell.rings.clear()
    return mail_id


# Every verdict.


def test_a_mail_that_graph_took_is_sent_and_its_payload_gone(room: Room) -> None:
    mail_id = room.accepted()

    assert room.hear(mail_id) is Heard.SENT

    mail = room.ledger.mail(mail_id)
    assert (mail.status, mail.sent_at, mail.request_id) == (Status.SENT, NOW, "req-1")
    assert mail.payload.inline is None
    assert [post.mail_id for post in room.graph.posts] == [mail_id]


def test_a_sent_mails_blob_is_removed(room: Room) -> None:
    noise = base64.b64encode(secrets.token_bytes(INLINE_BYTES + 1)).decode()
    mail_id = room.accepted(attachments=[{"filename": "n.bin", "content": noise}])

    assert room.hear(mail_id) is Heard.SENT
    assert room.payloads.blobs == {}


def test_a_blob_that_cannot_be_removed_does_not_unsend_the_mail(room: Room) -> None:
    noise = base64.b64encode(secrets.token_bytes(INLINE_BYTES + 1)).decode()
    mail_id = room.accepted(attachments=[{"filename": "n.bin", "content": noise}])
    room.faults.before("payloads.delete", NOT_REACHED)

    assert room.hear(mail_id) is Heard.SENT
    assert room.status(mail_id) is Status.SENT


def test_retry_after_becomes_a_new_bell_with_that_delay(room: Room) -> None:
    mail_id = room.accepted()
    room.bell.rings.clear()
    room.graph.answers = [throttled(40)]

    assert room.hear(mail_id) is Heard.LATER

    (ring,) = room.bell.rings
    mail = room.ledger.mail(mail_id)
    assert ring.mail_id == mail_id
    assert 40 <= ring.after_seconds <= 44
    assert mail.status is Status.QUEUED
    assert mail.due_at == NOW + timedelta(seconds=ring.after_seconds)
    assert (mail.reason, mail.request_id) == ("ApplicationThrottled", "req-9")


def test_a_bell_before_the_retry_is_due_sends_nothing(room: Room) -> None:
    mail_id = room.accepted()
    room.graph.answers = [throttled(40)]
    room.hear(mail_id)
    room.clock.forward(seconds=39)

    assert room.hear(mail_id) is Heard.LATER
    assert len(room.graph.posts) == 1


def test_a_retry_that_is_due_is_sent(room: Room) -> None:
    mail_id = room.accepted()
    room.graph.answers = [throttled(40)]
    room.hear(mail_id)
    room.clock.forward(seconds=45)

    assert room.hear(mail_id) is Heard.SENT
    assert room.ledger.mail(mail_id).attempts == 2


@pytest.mark.parametrize("asked", [1e12, 1e300])
def test_a_retry_after_beyond_any_calendar_holds_the_account_for_a_day(
    room: Room, asked: float
) -> None:
    room.graph.answers = [throttled(asked)]

    assert room.hear(room.accepted()) is Heard.HELD
    assert room.accounts.rows["billing"].held_until == NOW + timedelta(days=1)


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        pytest.param(GRAPH_AWAY, "not_reached", id="not reached"),
        pytest.param(GraphAnswer(423, "ErrorLocked"), "ErrorLocked", id="locked"),
    ],
)
def test_what_was_certainly_not_sent_is_tried_again(
    room: Room, trouble: NotSent | GraphAnswer, reason: str
) -> None:
    mail_id = room.accepted()
    room.graph.answers = [trouble]

    assert room.hear(mail_id) is Heard.LATER
    assert room.ledger.mail(mail_id).reason == reason


@pytest.mark.parametrize("error", [NotSent("vault", "away"), AnswerLost("entra", "late")])
def test_a_token_that_did_not_come_sends_nothing_and_is_tried_again(
    room: Room, error: NotSent | AnswerLost
) -> None:
    mail_id = room.accepted()
    room.faults.before("tokens.access_token", error)

    assert room.hear(mail_id) is Heard.LATER
    assert room.graph.posts == []
    assert room.ledger.mail(mail_id).reason == f"{error.system}_unreachable"


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
    room: Room, answer: GraphAnswer | AnswerLost
) -> None:
    mail_id = room.accepted()
    room.graph.answers = [answer]

    assert room.hear(mail_id) is Heard.UNKNOWN
    room.clock.forward(days=2)
    room.upkeep.ring_again()
    assert room.hear(mail_id) is Heard.LEFT
    assert len(room.graph.posts) == 1
    assert room.status(mail_id) is Status.UNKNOWN


def test_an_unknown_mail_keeps_its_payload_for_a_persons_decision(room: Room) -> None:
    mail_id = room.accepted()
    room.graph.answers = [GRAPH_LOST]
    room.hear(mail_id)

    mail = room.ledger.mail(mail_id)
    assert unpack(mail.payload.inline or b"").message is not None
    assert "Sent Items" in (mail.help or "")


def test_what_graph_refuses_is_failed_with_its_code_and_a_remedy(room: Room) -> None:
    mail_id = room.accepted()
    room.graph.answers = [GraphAnswer(403, "ErrorSendAsDenied", None, "req-3")]

    assert room.hear(mail_id) is Heard.FAILED

    mail = room.ledger.mail(mail_id)
    assert (mail.reason, mail.request_id) == ("ErrorSendAsDenied", "req-3")
    assert "Send as" in (mail.help or "")


def test_a_refused_token_is_replaced_once_and_the_mail_goes(room: Room) -> None:
    mail_id = room.accepted()
    room.graph.answers = [GraphAnswer(401, "InvalidAuthenticationToken"), ACCEPTED]

    assert room.hear(mail_id) is Heard.SENT
    assert [post.token for post in room.graph.posts] == ["token-billing-1", "token-billing-2"]
    assert room.ledger.mail(mail_id).attempts == 1


def test_a_daily_limit_holds_the_account_for_a_day_and_its_mail(room: Room) -> None:
    mail_id = room.accepted()
    room.graph.answers = [GraphAnswer(429, "ErrorExceededMessageLimit")]

    assert room.hear(mail_id) is Heard.HELD

    account = room.accounts.rows["billing"]
    assert (account.state, account.reason) == (AccountState.HELD, "ErrorExceededMessageLimit")
    assert account.held_until == NOW + timedelta(days=1)
    assert room.ledger.mail(mail_id).reason == "ErrorExceededMessageLimit"


def test_the_first_mail_that_goes_out_after_a_hold_makes_the_account_ready(room: Room) -> None:
    mail_id = room.accepted()
    room.graph.answers = [GraphAnswer(429, "ErrorExceededHourlyMessageLimit"), ACCEPTED]
    room.hear(mail_id)
    room.clock.forward(hours=1, seconds=1)

    heard = room.hear(mail_id)

    account = room.accounts.rows["billing"]
    assert heard is Heard.SENT
    assert (account.state, account.reason, account.held_until) == (AccountState.READY, None, None)


def test_a_mail_that_went_out_does_not_end_a_hold_that_came_meanwhile(room: Room) -> None:
    mail_id = room.accepted()
    room.accounts.change("billing", state=AccountState.HELD, held_until=NOW)
    room.accounts.all(fresh=True)
    limit = NOW + timedelta(hours=1)

    def meanwhile() -> GraphAnswer:
        room.accounts.change("billing", held_until=limit)
        return ACCEPTED

    room.graph.answers = [meanwhile]

    heard = room.hear(mail_id)

    account = room.accounts.rows["billing"]
    assert heard is Heard.SENT
    assert (account.state, account.held_until) == (AccountState.HELD, limit)


def test_a_hold_asked_for_beyond_any_calendar_ends_all_the_same(room: Room) -> None:
    room.graph.answers = [GraphAnswer(429, "ErrorExceededMessageLimit", 1e15)]

    assert room.hear(room.accepted()) is Heard.HELD
    assert room.accounts.rows["billing"].held_until == NOW + timedelta(days=7)


def test_a_refused_credential_holds_the_account_for_a_while(room: Room) -> None:
    room.faults.before("tokens.access_token", CREDENTIAL)

    assert room.hear(room.accepted()) is Heard.HELD
    account = room.accounts.rows["billing"]
    assert (account.state, account.reason) == (AccountState.HELD, "AADSTS7000222")
    assert room.graph.posts == []


# Accounts.


def test_mails_of_a_dead_grant_are_held_by_one_change_of_the_account(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    mails = [room.accepted() for _ in range(3)]
    room.faults.always("tokens.access_token", CONSENT)

    heard = [room.hear(mail_id) for mail_id in mails]

    assert heard == [Heard.HELD] * 3
    assert room.faults.calls["accounts.save"] == 1
    alerts = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert [json.loads(line)["event"] for line in alerts] == ["account_cannot_send"]
    assert room.accounts.rows["billing"].state is AccountState.NEEDS_SIGN_IN


def test_a_mail_held_before_it_was_tried_spends_no_attempt(room: Room) -> None:
    mail_id = room.accepted()
    room.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN, reason="AADSTS50173")
    room.accounts.all(fresh=True)

    assert room.hear(mail_id) is Heard.HELD

    mail = room.ledger.mail(mail_id)
    assert (mail.attempts, mail.reason) == (0, "AADSTS50173")
    assert "/accounts" in (mail.help or "")


def test_an_account_that_cannot_be_marked_leaves_the_mail_held(room: Room) -> None:
    mail_id = room.accepted()
    room.faults.before("tokens.access_token", CONSENT)
    room.faults.before("accounts.save", NOT_REACHED)

    assert room.hear(mail_id) is Heard.HELD
    assert room.status(mail_id) is Status.HELD


def test_an_account_that_was_changed_in_the_same_moment_leaves_the_mail_held(room: Room) -> None:
    mail_id = room.accepted()
    room.faults.before("tokens.access_token", CONSENT)
    room.faults.before("accounts.save", LostRace("changed"))

    assert room.hear(mail_id) is Heard.HELD


def test_a_sign_in_during_the_attempt_is_not_undone_by_its_failure(room: Room) -> None:
    mail_id = room.accepted()
    room.faults.before(
        "tokens.access_token", lambda: room.accounts.change("billing", signed_in_at=NOW)
    )
    room.graph.answers = [GraphAnswer(403, "ErrorAccessDenied")]

    room.hear(mail_id)

    assert room.accounts.rows["billing"].state is AccountState.READY
    assert room.status(mail_id) is Status.HELD
    assert room.upkeep.ring_again() == 1


def test_a_new_sign_in_releases_the_held_mails(room: Room) -> None:
    mail_id = held_mail(room)
    account = room.accounts.change("billing", state=AccountState.READY, reason=None)

    assert room.upkeep.release(account) == 1
    assert [ring.mail_id for ring in room.bell.rings] == [mail_id]
    assert room.hear(mail_id) is Heard.SENT


def test_a_released_mail_is_sent_by_an_instance_whose_cached_account_is_old(room: Room) -> None:
    mail_id = held_mail(room)
    room.accounts.all(fresh=True)
    room.accounts.change("billing", state=AccountState.READY, reason=None)

    assert room.hear(mail_id) is Heard.SENT


def test_a_bell_for_a_mail_that_is_still_held_changes_nothing(room: Room) -> None:
    mail_id = held_mail(room)
    before = room.ledger.mail(mail_id)

    assert room.hear(mail_id) is Heard.HELD
    assert room.ledger.mail(mail_id) is before


def test_a_hold_ends_by_itself(room: Room) -> None:
    mail_id = room.accepted()
    room.graph.answers = [GraphAnswer(429, "ErrorExceededHourlyMessageLimit")]
    room.hear(mail_id)
    room.bell.rings.clear()
    assert room.upkeep.ring_again() == 0
    room.clock.forward(hours=1)

    assert room.upkeep.ring_again() == 1
    assert room.hear(mail_id) is Heard.SENT


def test_a_mail_whose_account_was_removed_is_held_and_goes_when_it_is_linked_again(
    room: Room,
) -> None:
    mail_id = room.accepted()
    removed = room.accounts.rows.pop("billing")
    room.accounts.all(fresh=True)

    assert room.hear(mail_id) is Heard.HELD
    assert room.ledger.mail(mail_id).reason == "account_gone"
    room.accounts.put(removed)
    assert room.upkeep.ring_again() == 1
    assert room.hear(mail_id) is Heard.SENT


def test_release_leaves_the_mails_of_other_accounts_alone() -> None:
    room = Room(account_of(is_default=True), account_of("hr"))
    held_mail(room)

    assert room.upkeep.release(room.accounts.rows["hr"]) == 0
    assert room.bell.rings == []


# Giving up.


def test_it_gives_up_after_the_allowed_attempts_and_says_why() -> None:
    room = Room(patience=Patience(3, 48 * 3600))
    mail_id = room.accepted()
    room.graph.answers = [throttled()] * 3

    heard = []
    for _ in range(3):
        heard.append(room.hear(mail_id))
        room.clock.forward(hours=1)

    mail = room.ledger.mail(mail_id)
    assert heard == [Heard.LATER, Heard.LATER, Heard.FAILED]
    assert (mail.status, mail.reason) == (Status.FAILED, "ApplicationThrottled")
    assert (mail.help or "").startswith("Given up after 3 attempts.")


def test_it_gives_up_after_the_allowed_time_and_says_why() -> None:
    room = Room(patience=Patience(1000, 3600))
    mail_id = room.accepted()
    room.graph.answers = [GraphAnswer(423, "ErrorLocked", 1200)] * 4

    heard: list[Heard] = []
    while not heard or heard[-1] is Heard.LATER:
        heard.append(room.hear(mail_id))
        room.clock.forward(seconds=1300)

    assert heard == [Heard.LATER, Heard.LATER, Heard.FAILED]
    assert "Given up" in (room.ledger.mail(mail_id).help or "")


def test_time_in_which_a_mail_was_held_does_not_count_against_it(room: Room) -> None:
    mail_id = held_mail(room)
    room.clock.forward(days=30)
    room.accounts.change("billing", state=AccountState.READY, reason=None)
    room.graph.answers = [throttled(40)]

    assert room.hear(mail_id) is Heard.LATER


def test_time_before_the_first_attempt_does_not_count_against_a_mail(room: Room) -> None:
    mail_id = room.accepted()
    room.clock.forward(days=30)
    room.graph.answers = [throttled(40)]

    assert room.hear(mail_id) is Heard.LATER


def test_a_payload_that_cannot_be_read_is_tried_again_and_sends_nothing(room: Room) -> None:
    noise = base64.b64encode(secrets.token_bytes(INLINE_BYTES + 1)).decode()
    mail_id = room.accepted(attachments=[{"filename": "n.bin", "content": noise}])
    room.faults.before("payloads.get", NOT_REACHED)

    assert room.hear(mail_id) is Heard.LATER
    assert room.ledger.mail(mail_id).reason == "payload_unreadable"
    room.clock.forward(minutes=1)
    assert room.hear(mail_id) is Heard.SENT


def test_a_damaged_payload_sends_nothing(room: Room) -> None:
    from msgspec.structs import replace

    from shared.mail.mail import Payload

    mail_id = room.accepted()
    room.ledger.overwrite(replace(room.ledger.mail(mail_id), payload=Payload(inline=b"\x00")))

    assert room.hear(mail_id) is Heard.LATER
    assert room.graph.posts == []


# Claims, leases and lost answers.


def test_a_claim_lost_to_another_worker_is_left_quietly(room: Room) -> None:
    mail_id = room.accepted()
    room.faults.before("ledger.update", lambda: room.hear(mail_id))

    assert room.hear(mail_id) is Heard.LEFT
    assert len(room.graph.posts) == 1


def test_two_bells_at_once_are_one_send(room: Room) -> None:
    mail_id = room.accepted()

    with ThreadPoolExecutor(16) as pool:
        heard = list(pool.map(lambda _: room.hear(mail_id), range(16)))

    assert heard.count(Heard.SENT) == 1
    assert set(heard) <= {Heard.SENT, Heard.LEFT}
    assert len(room.graph.posts) == 1


def test_a_mail_is_claimed_in_the_ledger_before_graph_hears_of_it(room: Room) -> None:
    mail_id = room.accepted()
    seen: list[Status] = []
    room.faults.before("graph.send_mail", lambda: seen.append(room.status(mail_id)))

    room.hear(mail_id)

    assert seen == [Status.SENDING]


def test_a_bell_while_the_lease_runs_is_left(room: Room) -> None:
    mail_id = abandoned_mail(room)
    room.clock.forward(seconds=299)

    assert room.hear(mail_id) is Heard.LEFT
    assert room.upkeep.ring_again() == 0
    assert room.status(mail_id) is Status.SENDING


def test_a_lease_that_ran_out_makes_the_mail_unknown_and_it_is_never_sent_again(
    room: Room,
) -> None:
    mail_id = abandoned_mail(room)
    room.clock.forward(seconds=300)

    assert room.upkeep.ring_again() == 1
    assert room.hear(mail_id) is Heard.UNKNOWN
    assert room.hear(mail_id) is Heard.LEFT
    assert room.ledger.mail(mail_id).reason == "worker_lost"
    assert len(room.graph.posts) == 0


def test_a_frozen_worker_that_wakes_late_keeps_its_sent(room: Room) -> None:
    mail_id = room.accepted()

    def meanwhile() -> GraphAnswer:
        room.clock.forward(seconds=301)
        assert room.hear(mail_id) is Heard.UNKNOWN
        room.clock.forward(seconds=5)
        return ACCEPTED

    room.graph.answers = [meanwhile]

    assert room.hear(mail_id) is Heard.SENT

    mail = room.ledger.mail(mail_id)
    assert (mail.status, mail.reason) == (Status.SENT, None)
    assert [event.status.value for event in mail.events] == [
        "queued",
        "sending",
        "unknown",
        "sent",
    ]
    assert mail.payload.inline is None


def test_a_frozen_worker_that_wakes_late_without_success_changes_nothing(room: Room) -> None:
    mail_id = room.accepted()

    def meanwhile() -> GraphAnswer:
        room.clock.forward(seconds=301)
        room.hear(mail_id)
        return throttled(5)

    room.graph.answers = [meanwhile]
    room.hear(mail_id)

    assert room.status(mail_id) is Status.UNKNOWN


def test_a_worker_frozen_before_its_request_does_not_send(room: Room) -> None:
    """A request started now would end after the lease; another worker may have the mail by then."""
    mail_id = room.accepted()
    room.faults.after("tokens.access_token", lambda: room.clock.forward(seconds=201))

    assert room.hear(mail_id) is Heard.LATER
    assert room.graph.posts == []
    assert room.ledger.mail(mail_id).reason == "lease_spent"


def test_a_claim_whose_answer_was_lost_goes_on_where_the_row_is_ours(room: Room) -> None:
    mail_id = room.accepted()
    room.faults.after("ledger.update", LOST)

    assert room.hear(mail_id) is Heard.SENT
    assert len(room.graph.posts) == 1


def test_a_claim_that_the_storage_client_repeated_goes_on_where_the_row_is_ours(
    room: Room,
) -> None:
    mail_id = room.accepted()
    room.faults.after("ledger.update", LostRace("its own second try"))

    assert room.hear(mail_id) is Heard.SENT
    assert len(room.graph.posts) == 1


@pytest.mark.parametrize("effect", ["before", "after"])
def test_an_outcome_whose_answer_was_lost_is_written(room: Room, effect: str) -> None:
    mail_id = room.accepted()
    getattr(room.faults, effect)("ledger.update", LOST, nth=2)

    assert room.hear(mail_id) is Heard.SENT
    assert room.status(mail_id) is Status.SENT


@pytest.mark.parametrize("answer", [throttled(5), GraphAnswer(403, "ErrorSendAsDenied")])
def test_a_certain_no_whose_write_had_no_effect_is_written_again(
    room: Room, answer: GraphAnswer
) -> None:
    mail_id = room.accepted()
    room.graph.answers = [answer]
    room.faults.before("ledger.update", LOST, nth=2)

    room.hear(mail_id)

    assert room.status(mail_id) in (Status.QUEUED, Status.FAILED)


def test_an_outcome_that_cannot_be_written_leaves_the_mail_unknown_in_the_end(room: Room) -> None:
    """Graph took it, the ledger never heard: it may not be sent a second time."""
    mail_id = room.accepted()
    for nth in (2, 3, 4):
        room.faults.before("ledger.update", NOT_REACHED, nth=nth)

    with pytest.raises(NotSent):
        room.hear(mail_id)
    assert room.hear(mail_id) is Heard.LEFT
    room.clock.forward(seconds=301)
    assert room.hear(mail_id) is Heard.UNKNOWN
    assert len(room.graph.posts) == 1


def test_a_ledger_that_confirms_nothing_at_all_is_an_error(room: Room) -> None:
    mail_id = room.accepted()
    for nth in (2, 3, 4):
        room.faults.before("ledger.update", LOST, nth=nth)

    with pytest.raises(AnswerLost):
        room.hear(mail_id)
    assert room.status(mail_id) is Status.SENDING


def test_a_mail_that_was_purged_while_it_was_sent_is_no_error(room: Room) -> None:
    mail_id = room.accepted()

    def purged() -> GraphAnswer:
        del room.ledger._rows[mail_id]
        return ACCEPTED

    room.graph.answers = [purged]

    assert room.hear(mail_id) is Heard.SENT
    assert room.ledger.mails == []


# Bells.


def test_a_bell_for_a_mail_that_is_not_there_is_left(room: Room) -> None:
    assert room.hear(ids.new_id(NOW, secrets.token_bytes)) is Heard.LEFT
    assert room.ledger.mails == []


@pytest.mark.parametrize("status", [Status.SENT, Status.FAILED, Status.CANCELLED, Status.UNKNOWN])
def test_a_bell_for_a_settled_mail_is_left(room: Room, status: Status) -> None:
    from msgspec.structs import replace

    mail_id = room.accepted()
    room.ledger.overwrite(replace(room.ledger.mail(mail_id), status=status))

    assert room.hear(mail_id) is Heard.LEFT
    assert room.graph.posts == []


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
def test_a_forged_bell_does_no_harm(room: Room, foreign: str) -> None:
    assert room.hear(foreign) is Heard.LEFT
    assert room.faults.calls["ledger.get"] == 0


def test_a_bell_for_a_mail_due_later_rings_again(room: Room) -> None:
    mail_id = room.accepted(scheduled_at="2026-09-20T12:00:00Z")
    room.clock.forward(seconds=LONGEST_DELAY)
    room.bell.rings.clear()

    assert room.hear(mail_id) is Heard.LATER
    assert [ring.after_seconds for ring in room.bell.rings] == [LONGEST_DELAY]
    assert room.status(mail_id) is Status.SCHEDULED


def test_a_scheduled_mail_goes_when_it_is_due(room: Room) -> None:
    mail_id = room.accepted(scheduled_at="2026-09-20T12:00:00Z")
    room.clock.forward(days=31)

    assert room.hear(mail_id) is Heard.SENT


def test_the_timer_leaves_a_mail_alone_whose_bell_may_still_come(room: Room) -> None:
    room.accepted()
    room.bell.rings.clear()
    room.clock.forward(seconds=GRACE.total_seconds() - 1)

    assert room.upkeep.ring_again() == 0


def test_the_timer_rings_for_a_mail_whose_bell_was_lost(room: Room) -> None:
    mail_id = room.accepted()
    room.bell.rings.clear()
    room.clock.forward(seconds=GRACE.total_seconds())

    assert room.upkeep.ring_again() == 1
    assert [ring.mail_id for ring in room.bell.rings] == [mail_id]


def test_a_retry_whose_bell_could_not_be_rung_is_found_by_the_timer(room: Room) -> None:
    mail_id = room.accepted()
    room.graph.answers = [throttled(5)]
    room.faults.before("bell.ring", NOT_REACHED)
    assert room.hear(mail_id) is Heard.LATER
    room.bell.rings.clear()
    room.clock.forward(seconds=GRACE.total_seconds() + 6)

    assert room.upkeep.ring_again() == 1


@pytest.mark.parametrize("call", ["ledger.get", "accounts.all", "ledger.update"])
def test_storage_that_is_away_before_the_claim_gives_the_bell_back(room: Room, call: str) -> None:
    mail_id = room.accepted()
    room.faults.before(call, NOT_REACHED)

    with pytest.raises(NotSent):
        room.hear(mail_id)
    assert room.status(mail_id) is Status.QUEUED
    assert room.hear(mail_id) is Heard.SENT
    assert len(room.graph.posts) == 1


# Whole mails from the queue.


def plain(document: dict[str, object]) -> bytes:
    return json.dumps(document).encode()


def in_base64(document: dict[str, object]) -> bytes:
    return base64.b64encode(plain(document))


@pytest.mark.parametrize("spelled", [plain, in_base64])
def test_a_whole_mail_is_accepted_and_sent_in_one_go(
    room: Room, spelled: Callable[[dict[str, object]], bytes]
) -> None:
    assert room.outbox.hear(room.message(spelled(document_of()))) is Heard.SENT

    (mail,) = room.ledger.mails
    assert (mail.status, mail.caller.value, mail.attempts) == (Status.SENT, "queue", 1)
    assert room.bell.rings == []


def test_a_whole_mail_is_accepted_and_claimed_by_one_write(room: Room) -> None:
    room.outbox.hear(room.message(document_of()))

    assert (room.faults.calls["ledger.insert"], room.faults.calls["ledger.update"]) == (1, 1)


def test_a_whole_mail_delivered_twice_is_one_send(room: Room) -> None:
    message = room.message(document_of())

    assert room.outbox.hear(message) is Heard.SENT
    room.clock.forward(seconds=30)
    assert room.outbox.hear(message) is Heard.LEFT
    assert len(room.graph.posts) == len(room.ledger.mails) == 1


def test_a_whole_mail_whose_worker_died_after_the_claim_is_not_sent_by_its_redelivery(
    room: Room,
) -> None:
    message = room.message(document_of())
    room.faults.before("graph.send_mail", Crash())
    with pytest.raises(Crash):
        room.outbox.hear(message)

    assert room.outbox.hear(message) is Heard.LEFT
    room.clock.forward(seconds=301)
    assert room.outbox.hear(message) is Heard.UNKNOWN
    assert room.graph.posts == []


def test_a_whole_mail_that_was_not_stored_is_sent_by_its_redelivery(room: Room) -> None:
    message = room.message(document_of())
    room.faults.before("ledger.insert", NOT_REACHED)
    with pytest.raises(NotSent):
        room.outbox.hear(message)

    assert room.outbox.hear(message) is Heard.SENT
    assert len(room.graph.posts) == 1


def test_a_whole_mail_whose_insert_was_repeated_by_the_storage_client_is_sent_once(
    room: Room,
) -> None:
    from shared.errors import AlreadyExists

    room.faults.after("ledger.insert", AlreadyExists("its own second try"))

    assert room.outbox.hear(room.message(document_of())) is Heard.SENT
    assert len(room.graph.posts) == 1


def test_a_whole_mail_is_sent_though_the_account_list_is_away_after_the_claim(room: Room) -> None:
    room.faults.before("accounts.all", NOT_REACHED, nth=2)

    assert room.outbox.hear(room.message(document_of())) is Heard.SENT


def test_two_whole_mails_with_one_key_are_one_send(room: Room) -> None:
    document = document_of(idempotency_key="k")

    assert room.outbox.hear(room.message(document)) is Heard.SENT
    assert room.outbox.hear(room.message(document)) is Heard.LEFT
    assert len(room.graph.posts) == len(room.ledger.mails) == 1


def test_a_key_used_with_another_document_is_recorded_as_a_failed_mail(room: Room) -> None:
    room.outbox.hear(room.message(document_of(idempotency_key="k")))

    heard = room.outbox.hear(room.message(document_of(idempotency_key="k", subject="Other")))

    assert heard is Heard.FAILED
    assert {mail.reason for mail in room.ledger.mails} == {None, "idempotency_conflict"}


def test_a_whole_mail_for_an_account_that_needs_a_sign_in_is_held(room: Room) -> None:
    room = Room(account_of(state=AccountState.NEEDS_SIGN_IN, reason="AADSTS50173"))

    assert room.outbox.hear(room.message(document_of())) is Heard.HELD

    (mail,) = room.ledger.mails
    assert (mail.status, mail.attempts, mail.reason) == (Status.HELD, 0, "AADSTS50173")


def test_a_whole_mail_for_later_waits(room: Room) -> None:
    message = room.message(document_of(scheduled_at="2026-08-20T13:00:00Z"))

    assert room.outbox.hear(message) is Heard.LATER
    assert [ring.after_seconds for ring in room.bell.rings] == [3600]


def test_a_scheduled_whole_mail_whose_worker_died_before_ringing_rings_at_its_redelivery(
    room: Room,
) -> None:
    message = room.message(document_of(scheduled_at="2026-08-20T13:00:00Z"))
    room.faults.before("bell.ring", Crash())
    with pytest.raises(Crash):
        room.outbox.hear(message)

    assert room.outbox.hear(message) is Heard.LATER
    assert len(room.bell.rings) == 1


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
    room: Room, body: bytes, reason: str
) -> None:
    message = room.message(body)

    assert [room.outbox.hear(message) for _ in range(2)] == [Heard.FAILED, Heard.FAILED]

    (mail,) = room.ledger.mails
    assert (mail.status, mail.reason) == (Status.FAILED, reason)
    assert mail.help
    assert unpack(mail.payload.inline or b"").raw == body
    assert room.graph.posts == []


def test_a_refused_whole_mail_says_which_field_is_wrong(room: Room) -> None:
    room.outbox.hear(room.message(document_of(to="nobody")))

    (mail,) = room.ledger.mails
    assert "to has no '@'" in (mail.help or "")


# The poison queue.


def test_a_poisoned_bell_makes_its_mail_late_and_the_timer_rings_again(room: Room) -> None:
    mail_id = room.accepted()

    heard = room.outbox.bury(room.message(bell_for(mail_id).encode()))

    room.clock.forward(minutes=5)
    assert heard is Heard.LATER
    assert room.ledger.mail(mail_id).events[-1].reason == "poisoned"
    assert room.upkeep.ring_again() == 1
    assert room.delivery.deliver(mail_id) is Heard.SENT


def test_a_mail_whose_bell_is_poisoned_time_after_time_fails(room: Room) -> None:
    mail_id = room.accepted()
    bell = bell_for(mail_id).encode()

    heard = [room.outbox.bury(room.message(bell)) for _ in range(3)]

    assert heard == [Heard.LATER, Heard.LATER, Heard.FAILED]
    assert room.ledger.mail(mail_id).reason == "poisoned"


def test_outages_that_are_months_apart_do_not_fail_a_mail_that_waits_for_its_day(
    room: Room,
) -> None:
    mail_id = room.accepted(scheduled_at=(NOW + timedelta(days=300)).isoformat())
    for _ in range(4):
        room.clock.forward(days=60)
        room.outbox.bury(room.message(bell_for(mail_id).encode()))

    assert room.status(mail_id) is Status.SCHEDULED


def test_a_message_that_comes_back_after_its_row_has_gone_is_not_sent_again(room: Room) -> None:
    message = room.message(document_of())
    room.outbox.hear(message)
    room.clock.forward(days=90, minutes=1)
    room.retention.sweep()
    assert room.ledger.mails == []

    assert room.outbox.hear(message) is Heard.FAILED

    (mail,) = room.ledger.mails
    assert (mail.status, mail.reason) == (Status.FAILED, "message_too_old")
    assert len(room.graph.posts) == 1


def test_an_old_message_whose_mail_still_waits_goes(room: Room) -> None:
    due = NOW + timedelta(days=100)
    message = room.message(document_of(scheduled_at=due.isoformat()))
    room.outbox.hear(message)
    room.clock.forward(days=101)

    assert room.outbox.hear(message) is Heard.SENT
    assert len(room.graph.posts) == 1


@pytest.mark.parametrize("status", [Status.HELD, Status.UNKNOWN, Status.SENT, Status.SENDING])
def test_a_poisoned_bell_leaves_a_mail_with_its_own_story_alone(room: Room, status: Status) -> None:
    from msgspec.structs import replace

    mail_id = room.accepted()
    room.ledger.overwrite(replace(room.ledger.mail(mail_id), status=status))

    assert room.outbox.bury(room.message(bell_for(mail_id).encode())) is Heard.LEFT
    assert room.status(mail_id) is status


@pytest.mark.parametrize("foreign", ["7", "ffffffff-ffff-7fff-bfff-ffffffffffff"])
def test_a_poisoned_forged_bell_is_left(room: Room, foreign: str) -> None:
    assert room.outbox.bury(room.message(bell_for(foreign).encode())) is Heard.LEFT
    assert room.ledger.mails == []


@pytest.mark.parametrize("body", [b"noise", json.dumps(document_of()).encode()])
def test_a_poisoned_whole_mail_is_written_down_and_never_sent(room: Room, body: bytes) -> None:
    assert room.outbox.bury(room.message(body)) is Heard.FAILED

    (mail,) = room.ledger.mails
    assert (mail.status, mail.reason) == (Status.FAILED, "poisoned")
    assert unpack(mail.payload.inline or b"").raw == body
    assert room.graph.posts == []


def test_a_poisoned_bell_that_comes_late_to_a_mail_on_its_way_is_superseded(room: Room) -> None:
    mail_id = room.accepted()
    room.faults.before("ledger.update", lambda: room.hear(mail_id))

    room.outbox.bury(room.message(bell_for(mail_id).encode()))

    assert room.status(mail_id) is Status.SENT


def test_a_remote_that_is_gone_for_good_refuses_like_any_other(room: Room) -> None:
    """RemoteRefused of the bell is a RemoteError: the timer takes over."""
    mail_id = room.accepted()
    room.graph.answers = [throttled(5)]
    room.faults.before("bell.ring", RemoteRefused("storage", "no queue"))

    assert room.hear(mail_id) is Heard.LATER


def test_an_outcome_is_written_although_storage_is_away_for_a_moment(room: Room) -> None:
    mail_id = room.accepted()
    room.faults.before("ledger.update", NOT_REACHED, nth=2)

    assert room.hear(mail_id) is Heard.SENT
    assert room.status(mail_id) is Status.SENT


def test_a_mail_never_goes_out_from_a_mailbox_that_took_over_its_alias(room: Room) -> None:
    mail_id = room.accepted()
    room.accounts.change("billing", account_id="id-other", address="other@contoso.com")

    assert room.hear(mail_id) is Heard.SENT  # what is cached still has the mailbox of that time
    late = room.accepted()
    room.accounts.all(fresh=True)

    assert room.hear(late) is Heard.FAILED
    mail = room.ledger.mail(late)
    assert (mail.status, mail.reason) == (Status.FAILED, "mailbox_replaced")
    assert len(room.graph.posts) == 1
    assert room.accounts.rows["billing"].state is AccountState.READY


def test_mail_held_for_a_replaced_mailbox_does_not_disable_the_new_one(room: Room) -> None:
    mail_id = room.accepted()
    room.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN)
    room.accounts.all(fresh=True)
    room.hear(mail_id)
    room.accounts.change(
        "billing", account_id="id-other", address="other@contoso.com", state=AccountState.READY
    )
    room.upkeep.release(room.accounts.rows["billing"])

    assert room.hear(mail_id) is Heard.FAILED
    assert room.graph.posts == []
    assert room.accounts.rows["billing"].state is AccountState.READY


def test_a_worker_with_an_old_list_finds_the_new_mailbox_before_it_sends(room: Room) -> None:
    """Accepted by an instance that knows of the replacement, delivered by one that does not."""
    room.accounts.change("billing", account_id="id-other", address="other@contoso.com")
    fresh = room.accounts.rows["billing"]
    room.accounts.all(fresh=True)
    mail_id = room.accepted()
    room.accounts.remember(account_of())

    assert room.hear(mail_id) is Heard.SENT
    assert [post.token for post in room.graph.posts] == [f"token-{fresh.alias}-1"]
    assert room.tokens.asked[-1].account_id == "id-other"


def test_a_from_address_that_was_taken_away_fails_the_mail_and_not_the_account(room: Room) -> None:
    room.accounts.change("billing", scopes=SHARED, allowed_from=("sales@contoso.com",))
    room.accounts.all(fresh=True)
    mail_id = room.accepted(**{"from": "sales@contoso.com"})
    room.accounts.change("billing", allowed_from=())
    room.accounts.all(fresh=True)

    assert room.hear(mail_id) is Heard.FAILED
    assert room.ledger.mail(mail_id).reason == "sender_not_allowed"
    assert room.graph.posts == []
    assert room.accounts.rows["billing"].state is AccountState.READY


def test_a_denial_about_another_from_address_leaves_the_account_alone(room: Room) -> None:
    room.accounts.change("billing", scopes=SHARED, allowed_from=("sales@contoso.com",))
    room.accounts.all(fresh=True)
    mail_id = room.accepted(**{"from": "sales@contoso.com"})
    room.graph.answers = [GraphAnswer(403, "ErrorAccessDenied")]

    assert room.hear(mail_id) is Heard.FAILED
    assert room.ledger.mail(mail_id).help == rights.NO_SEND_RIGHT
    assert room.accounts.rows["billing"].state is AccountState.READY


def test_a_permission_that_went_since_the_mail_was_accepted_is_named(room: Room) -> None:
    room.accounts.change("billing", scopes=SHARED, allowed_from=("sales@contoso.com",))
    room.accounts.all(fresh=True)
    mail_id = room.accepted(**{"from": "sales@contoso.com"})
    room.accounts.change("billing", scopes=frozenset({"Mail.Send"}))
    room.accounts.all(fresh=True)
    room.graph.answers = [GraphAnswer(403, "ErrorAccessDenied")]

    assert room.hear(mail_id) is Heard.FAILED
    assert room.ledger.mail(mail_id).help == rights.NO_SHARED_SCOPE


def test_attempts_are_counted_anew_after_a_hold(room: Room) -> None:
    mail_id = room.accepted()
    room.graph.answers = [GraphAnswer(429), GraphAnswer(429, "ErrorExceededHourlyMessageLimit")]
    room.hear(mail_id)
    room.clock.forward(minutes=1)
    room.hear(mail_id)
    room.clock.forward(hours=2)

    assert room.hear(mail_id) is Heard.SENT
    assert room.ledger.mail(mail_id).attempts == 1


@pytest.mark.parametrize(
    "scopes", [SHARED, SHARED | {"Mail.ReadWrite"}], ids=["direct", "verified"]
)
def test_a_grant_that_ended_holds_mails_of_every_from_address(scopes: frozenset[str]) -> None:
    room = Room(account_of(scopes=scopes, allowed_from=("info@contoso.com",)))
    mail_id = room.accepted(**{"from": "info@contoso.com"})
    room.faults.before("tokens.access_token", CONSENT)

    assert room.hear(mail_id) is Heard.HELD


def test_a_429_to_a_mails_last_attempt_rests_its_mailbox_all_the_same() -> None:
    room = Room(patience=Patience(1, 3600))
    first, second = room.accepted(), room.accepted()
    room.graph.answers = [throttled(120.0)]

    assert [room.hear(first), room.hear(second)] == [Heard.FAILED, Heard.LATER]
    assert len(room.graph.posts) == 1


@pytest.mark.parametrize(
    ("call", "status"),
    [("graph.send_mail", Status.UNKNOWN), ("tokens.access_token", Status.QUEUED)],
)
def test_a_fault_of_our_own_is_an_outcome_at_once(room: Room, call: str, status: Status) -> None:
    mail_id = room.accepted()
    room.faults.after(call, OverflowError("a bug"))

    room.hear(mail_id)

    assert (room.status(mail_id), room.ledger.mail(mail_id).reason) == (status, "worker_failed")


@pytest.mark.parametrize("seconds", [200_000.0, 1e15])
def test_a_pause_longer_than_a_mail_is_tried_holds_its_account(room: Room, seconds: float) -> None:
    mail_id = room.accepted()
    room.faults.before("tokens.access_token", NotSent("entra", "busy", retry_after=seconds))

    assert room.hear(mail_id) is Heard.HELD
    account = room.accounts.rows["billing"]
    assert account.state is AccountState.HELD
    assert account.held_until == NOW + timedelta(seconds=min(seconds, 7 * 86400.0))


def test_the_time_for_which_its_caller_put_a_mail_off_does_not_count_against_it(
    room: Room,
) -> None:
    mail_id = room.accepted()
    room.graph.answers = [GRAPH_AWAY]
    room.hear(mail_id)
    room.changes.reschedule(mail_id, NOW + timedelta(days=3))
    room.clock.forward(days=3)
    room.graph.answers = [GRAPH_AWAY]

    assert room.hear(mail_id) is Heard.LATER
