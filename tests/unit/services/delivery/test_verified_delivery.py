"""Verified delivery: at every call where a worker can die or an answer be lost, one copy leaves."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
from msgspec.structs import replace

from shared.errors import AnswerLost, ConsentRequired, NotSent, RemoteRefused, RequestRejected
from shared.mail.account import Account
from shared.mail.after_attempt import SENT_AGAIN
from shared.mail.backoff import RetryLimit
from shared.mail.delivery_mode import DeliveryMode
from shared.mail.mail import FINDING_OUT
from shared.mail.outcome import Copy, GraphAnswer, Sought
from shared.mail.status import Status
from shared.services.delivery.delivery_result import DeliveryResult
from shared.services.delivery.mail_lease import RUN_SECONDS
from shared.services.delivery.ports import Found
from shared.services.intake.mail_document import read_mime
from tests.fakes import ACCEPTED, LOST, NOT_REACHED, NOW, Crash, FakeServices, account_of

GRAPH_LOST = AnswerLost("graph", "no answer came back")
GRAPH_AWAY = NotSent("graph", "not reached")
BROKEN = GraphAnswer(503, "ErrorServerBusy")
THROTTLED = GraphAnswer(429, "ApplicationThrottled", 40.0)
MISSING = GraphAnswer(404, "ErrorItemNotFound")
EXPIRED = GraphAnswer(401, "InvalidAuthenticationToken")
DENIED = GraphAnswer(403, "ErrorAccessDenied")
REFUSED = GraphAnswer(400, "ErrorInvalidRecipients")

READ_WRITE = frozenset({"Mail.Send", "Mail.ReadWrite", "User.Read"})


SHARED = READ_WRITE | {"Mail.Send.Shared"}


def verified_account(**changes: object) -> Account:
    return account_of("billing", scopes=READ_WRITE, **changes)


@pytest.fixture
def services() -> FakeServices:
    return FakeServices(verified_account())


def go_on(services: FakeServices, hours: int = 3) -> None:
    """Time passes; bells and the timer are heard."""
    for _ in range(hours * 60):
        for ring in services.wake_ups.take_due():
            services.handle(ring.mail_id)
        services.upkeep.requeue_overdue()
        services.clock.forward(minutes=1)


def crash(services: FakeServices, mail_id: str) -> None:
    with pytest.raises(Crash):
        services.handle(mail_id)


def dies(services: FakeServices, mail_id: str, call: str, when: str, nth: int) -> None:
    """A worker dies at this call, if it comes so far."""
    getattr(services.faults, when)(call, Crash(), nth=nth)
    try:
        services.handle(mail_id)
    except Crash:
        services.faults.forget()


def look(services: FakeServices, mail_id: str) -> DeliveryResult:
    """The next look, at its time."""
    services.clock.now = max(services.clock.now, services.ledger.mail(mail_id).due_at)
    return services.handle(mail_id)


# The way without trouble.


def test_a_mail_goes_as_a_draft_that_the_ledger_knew_before_it_was_sent(
    services: FakeServices,
) -> None:
    mail_id = services.accepted()
    known: list[str | None] = []
    services.faults.before(
        "drafts.send", lambda: known.append(services.ledger.mail(mail_id).draft_id)
    )

    assert services.handle(mail_id) is DeliveryResult.SENT

    mail = services.ledger.mail(mail_id)
    assert known == ["draft-1"]
    assert [letter.key for letter in services.drafts.sent] == [mail_id]
    assert (mail.status, mail.delivery, mail.draft_id) == (Status.SENT, DeliveryMode.VERIFIED, None)
    assert mail.payload.inline is None


def test_an_ordinary_mail_takes_two_calls_of_graph_and_four_of_storage(
    services: FakeServices,
) -> None:
    mail_id = services.accepted()
    services.faults.calls.clear()

    services.handle(mail_id)

    calls = services.faults.calls
    assert sum(n for name, n in calls.items() if name.startswith(("drafts.", "graph."))) == 2
    assert calls["ledger.get"] + calls["ledger.update"] == 4


@pytest.mark.parametrize("html", [None, "<p>both</p>"], ids=["json", "mime"])
def test_a_mail_takes_two_calls_of_graph_as_json_and_as_mime(
    services: FakeServices, html: str | None
) -> None:
    mail_id = services.accepted(**{"html": html} if html else {})
    services.faults.calls.clear()

    assert services.handle(mail_id) is DeliveryResult.SENT

    asked = {name: n for name, n in services.faults.calls.items() if name.startswith("drafts.")}
    assert asked == {"drafts.create": 1, "drafts.send": 1}
    assert [letter.key for letter in services.drafts.sent] == [mail_id]


@pytest.mark.parametrize("html", [None, "<p>both</p>"], ids=["json", "mime"])
def test_the_message_id_of_the_answer_is_written_with_the_draft_and_stays(
    services: FakeServices, html: str | None
) -> None:
    mail_id = services.accepted(**{"html": html} if html else {})
    known: list[str | None] = []
    services.faults.before(
        "drafts.send", lambda: known.append(services.ledger.mail(mail_id).message_id)
    )

    services.handle(mail_id)

    (letter,) = services.drafts.sent
    assert known == [letter.message_id] == [services.ledger.mail(mail_id).message_id]
    assert (letter.message_id == f"<postroom.{mail_id}@contoso.com>") is (html is not None)


def test_a_mail_that_was_not_sent_shows_no_message_id(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.drafts.answers["send"] = [REFUSED]

    services.handle(mail_id)

    assert services.status(mail_id) is Status.FAILED
    assert services.ledger.mail(mail_id).message_id is None


def test_a_mail_that_shall_leave_no_copy_goes_directly_and_says_why(services: FakeServices) -> None:
    receipt = services.accept(save_to_sent_items=False)

    assert services.handle(receipt.mail.mail_id) is DeliveryResult.SENT

    mail = services.ledger.mail(receipt.mail.mail_id)
    assert (receipt.mail.delivery, mail.delivery) == (DeliveryMode.DIRECT, DeliveryMode.DIRECT)
    assert (len(services.graph.posts), services.drafts.sends) == (1, [])


# A worker that dies, at every call.


@pytest.mark.parametrize(
    "call", ["drafts.create", "ledger.update", "drafts.send", "tokens.access_token"]
)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_wherever_a_worker_dies_one_copy_leaves(
    services: FakeServices, call: str, when: str, nth: int
) -> None:
    mail_id = services.accepted()
    dies(services, mail_id, call, when, nth)

    go_on(services)

    assert services.status(mail_id) is Status.SENT
    assert len(services.drafts.sent) == 1


def test_a_mail_whose_worker_died_before_the_draft_was_known_is_sent_at_once(
    services: FakeServices,
) -> None:
    mail_id = services.accepted()
    services.faults.after("drafts.create", Crash())
    crash(services, mail_id)
    services.clock.forward(seconds=301)

    assert services.handle(mail_id) is DeliveryResult.LATER
    assert services.ledger.mail(mail_id).due_at <= services.clock.now + timedelta(seconds=2)
    assert services.faults.calls["drafts.find"] == 0


def test_a_mail_whose_worker_died_after_sending_is_found_at_once(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.faults.after("drafts.send", Crash())
    crash(services, mail_id)
    services.clock.forward(seconds=301)

    assert services.handle(mail_id) is DeliveryResult.SENT
    assert len(services.drafts.sends) == 1


def test_a_mail_whose_worker_died_before_sending_goes_as_the_same_draft(
    services: FakeServices,
) -> None:
    mail_id = services.accepted()
    services.faults.before("drafts.send", Crash())
    crash(services, mail_id)
    services.clock.forward(seconds=301)

    assert services.handle(mail_id) is DeliveryResult.LATER
    assert services.handle(mail_id) is DeliveryResult.SENT
    assert services.drafts.sends == ["draft-1"]
    assert len(services.drafts.letters) == 1


# A worker that freezes.


def test_a_worker_that_freezes_with_its_draft_unknown_removes_it_and_leaves(
    services: FakeServices,
) -> None:
    mail_id = services.accepted()

    def freeze() -> None:
        services.clock.forward(seconds=301)
        services.handle(mail_id)
        services.clock.forward(seconds=2)
        assert services.handle(mail_id) is DeliveryResult.SENT

    services.faults.after("drafts.create", freeze)

    assert services.handle(mail_id) is DeliveryResult.LEFT
    assert [letter.draft_id for letter in services.drafts.sent] == ["draft-2"]
    assert services.drafts.removed == ["draft-1"]


def test_a_worker_that_freezes_before_sending_finds_its_lease_spent(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.faults.after("ledger.update", lambda: services.clock.forward(seconds=250), nth=2)

    assert services.handle(mail_id) is DeliveryResult.LATER
    assert services.drafts.sends == []
    go_on(services, hours=1)
    assert [letter.draft_id for letter in services.drafts.sent] == ["draft-1"]


def test_a_worker_that_freezes_while_it_sends_cannot_double_the_mail(
    services: FakeServices,
) -> None:
    mail_id = services.accepted()

    def freeze() -> None:
        services.clock.forward(seconds=301)
        assert services.handle(mail_id) is DeliveryResult.LATER
        assert services.handle(mail_id) is DeliveryResult.SENT

    services.faults.before("drafts.send", freeze)

    services.handle(mail_id)

    assert services.drafts.sends == ["draft-1", "draft-1"]
    assert len(services.drafts.sent) == 1
    assert services.status(mail_id) is Status.SENT


def test_a_late_answer_counts_more_than_the_look_that_came_first(services: FakeServices) -> None:
    mail_id = services.accepted()

    def freeze() -> None:
        services.drafts.letters[0].visible = False
        services.clock.forward(seconds=301)
        assert services.handle(mail_id) is DeliveryResult.UNKNOWN

    services.faults.after("drafts.send", freeze)

    assert services.handle(mail_id) is DeliveryResult.SENT
    assert services.status(mail_id) is Status.SENT


# Answers to making the draft.


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        ("create", BROKEN),
        ("create", THROTTLED),
        ("create", GraphAnswer(200)),
        ("create", GraphAnswer(409)),
    ],
    ids=str,
)
def test_a_draft_that_is_not_made_now_is_made_later(
    services: FakeServices, call: str, answer: GraphAnswer
) -> None:
    mail_id = services.accepted(html="<p>both</p>")
    services.drafts.answers[call] = [answer]

    assert services.handle(mail_id) is DeliveryResult.LATER
    assert services.ledger.mail(mail_id).draft_id is None
    go_on(services, hours=1)
    assert (services.status(mail_id), len(services.drafts.sent)) == (Status.SENT, 1)


@pytest.mark.parametrize("keeps_header", [True, False], ids=["header", "no-header"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("trouble", [GRAPH_LOST, GRAPH_AWAY], ids=["lost", "away"])
def test_a_draft_whose_answer_is_lost_is_harmless(
    services: FakeServices, keeps_header: bool, when: str, trouble: Exception
) -> None:
    services.drafts.keeps_header = keeps_header
    mail_id = services.accepted(html="<p>both</p>")
    getattr(services.faults, when)("drafts.create", trouble)

    assert services.handle(mail_id) is DeliveryResult.LATER
    go_on(services, hours=1)
    assert (services.status(mail_id), len(services.drafts.sent)) == (Status.SENT, 1)


@pytest.mark.parametrize("keeps_header", [True, False], ids=["header", "no-header"])
@pytest.mark.parametrize("trouble", [GRAPH_LOST, Crash()], ids=["lost", "crash"])
def test_a_draft_whose_answer_is_lost_is_removed_before_the_next_one_is_made(
    services: FakeServices, keeps_header: bool, trouble: BaseException
) -> None:
    services.drafts.keeps_header = keeps_header
    mail_id = services.accepted(html="<p>both</p>")
    services.faults.after("drafts.create", trouble)
    try:
        services.handle(mail_id)
    except Crash:
        services.faults.forget()
    removed: list[list[str]] = []
    services.faults.before("drafts.create", lambda: removed.append(list(services.drafts.removed)))

    go_on(services, hours=1)

    assert removed == [["draft-1"]]
    assert [letter.draft_id for letter in services.drafts.sent] == ["draft-2"]
    assert [letter.draft_id for letter in services.drafts.letters] == ["draft-2"]


@pytest.mark.parametrize("answer", [THROTTLED, GraphAnswer(409)], ids=str)
def test_after_an_answer_no_lost_draft_is_looked_for(
    services: FakeServices, answer: GraphAnswer
) -> None:
    mail_id = services.accepted()
    services.drafts.answers["create"] = [answer]

    services.handle(mail_id)
    go_on(services, hours=1)

    assert services.status(mail_id) is Status.SENT
    assert services.faults.calls["drafts.marked"] == 0


def test_a_lost_draft_that_cannot_be_looked_for_does_not_stop_the_mail(
    services: FakeServices,
) -> None:
    mail_id = services.accepted()
    services.faults.after("drafts.create", GRAPH_LOST)
    services.faults.before("drafts.marked", GRAPH_AWAY)

    services.handle(mail_id)
    go_on(services, hours=1)

    assert [letter.draft_id for letter in services.drafts.sent] == ["draft-2"]


def test_a_refused_draft_fails_the_mail(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.drafts.answers["create"] = [REFUSED]

    assert services.handle(mail_id) is DeliveryResult.FAILED
    assert services.ledger.mail(mail_id).reason == "ErrorInvalidRecipients"


def test_a_fresh_draft_that_is_not_found_is_asked_for_again(services: FakeServices) -> None:
    mail_id = services.accepted(html="<p>both</p>")
    services.drafts.answers["send"] = [MISSING, MISSING, MISSING]

    assert services.handle(mail_id) is DeliveryResult.SENT
    assert services.clock.now - NOW < timedelta(seconds=10)


def test_a_draft_that_vanished_before_anybody_sent_it_is_made_anew(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.drafts.answers["send"] = [MISSING] * 4

    assert services.handle(mail_id) is DeliveryResult.LATER
    assert services.ledger.mail(mail_id).draft_id is None
    go_on(services, hours=1)
    assert [letter.draft_id for letter in services.drafts.sent] == ["draft-2"]


# The ledger, when the draft's id is to be written.


@pytest.mark.parametrize("trouble", [LOST, NOT_REACHED], ids=["lost", "away"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_ledger_that_fails_for_a_moment_does_not_stop_the_mail(
    services: FakeServices, trouble: Exception, when: str
) -> None:
    mail_id = services.accepted()
    getattr(services.faults, when)("ledger.update", trouble, nth=2)

    assert services.handle(mail_id) is DeliveryResult.SENT
    assert len(services.drafts.sent) == 1


def test_without_the_ledger_nothing_is_sent(services: FakeServices) -> None:
    mail_id = services.accepted()
    for nth in (2, 3, 4):
        services.faults.before("ledger.update", NOT_REACHED, nth=nth)

    with pytest.raises(NotSent):
        services.handle(mail_id)

    assert services.drafts.sends == []
    go_on(services, hours=1)
    assert (services.status(mail_id), len(services.drafts.sent)) == (Status.SENT, 1)


# Answers to sending.


@pytest.mark.parametrize("answer", [THROTTLED, GraphAnswer(409), GraphAnswer(423)], ids=str)
def test_a_draft_that_was_certainly_not_sent_goes_later_as_it_is(
    services: FakeServices, answer: GraphAnswer
) -> None:
    mail_id = services.accepted()
    services.drafts.answers["send"] = [answer]

    assert services.handle(mail_id) is DeliveryResult.LATER
    assert services.ledger.mail(mail_id).draft_id == "draft-1"
    go_on(services, hours=1)
    assert services.drafts.sends == ["draft-1", "draft-1"]
    assert len(services.drafts.letters) == 1


def test_an_expired_token_is_renewed_for_the_same_draft(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.drafts.answers = {"create": [EXPIRED], "send": [EXPIRED]}

    assert services.handle(mail_id) is DeliveryResult.SENT
    assert len(services.tokens.forgotten) == 2


def test_a_grant_that_ends_holds_the_mail_with_its_draft(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.drafts.answers["send"] = [DENIED]

    assert services.handle(mail_id) is DeliveryResult.HELD
    assert services.ledger.mail(mail_id).draft_id == "draft-1"


def test_a_mail_that_is_refused_fails_and_its_draft_is_removed(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.drafts.answers["send"] = [REFUSED]

    assert services.handle(mail_id) is DeliveryResult.FAILED
    assert services.drafts.removed == ["draft-1"]
    assert services.ledger.mail(mail_id).draft_id is None


@pytest.mark.parametrize(
    "answer",
    [BROKEN, GraphAnswer(504, "UnknownError"), GraphAnswer(200), GraphAnswer(408)],
    ids=str,
)
def test_an_answer_that_leaves_it_open_is_found_out(
    services: FakeServices, answer: GraphAnswer
) -> None:
    mail_id = services.accepted()
    services.drafts.answers["send"] = [answer]

    assert services.handle(mail_id) is DeliveryResult.UNKNOWN

    mail = services.ledger.mail(mail_id)
    assert (mail.status, mail.reason, mail.search_count) == (Status.UNKNOWN, FINDING_OUT, 0)
    assert mail.due_at == services.clock.now + timedelta(seconds=5)
    go_on(services, hours=1)
    assert (services.status(mail_id), len(services.drafts.sent)) == (Status.SENT, 1)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_is_found_out(services: FakeServices, when: str) -> None:
    mail_id = services.accepted()
    getattr(services.faults, when)("drafts.send", GRAPH_LOST)

    assert services.handle(mail_id) is DeliveryResult.UNKNOWN
    go_on(services, hours=1)
    assert (services.status(mail_id), len(services.drafts.sent)) == (Status.SENT, 1)
    assert set(services.drafts.sends) == {"draft-1"}


def test_a_refused_draft_that_may_have_been_sent_is_no_failure(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.drafts.answers["send"] = [THROTTLED]
    services.handle(mail_id)
    services.drafts.letters[0].is_draft = False  # sent all the same, as has been reported
    services.drafts.sent.append(services.drafts.letters[0])
    services.clock.forward(minutes=5)

    assert services.handle(mail_id) is DeliveryResult.UNKNOWN
    assert look(services, mail_id) is DeliveryResult.SENT
    assert len(services.drafts.sent) == 1


# Finding out.


def in_doubt(services: FakeServices, *, sent: bool = True) -> str:
    mail_id = services.accepted()
    services.wake_ups.enqueued.clear()
    plan = services.faults.after if sent else services.faults.before
    plan("drafts.send", GRAPH_LOST)
    services.handle(mail_id)
    return mail_id


def test_each_look_comes_later_than_the_one_before(services: FakeServices) -> None:
    mail_id = in_doubt(services)
    services.drafts.letters[0].visible = False
    waits = []
    while services.ledger.mail(mail_id).finding_out:
        waits.append((services.ledger.mail(mail_id).due_at - services.clock.now).total_seconds())
        look(services, mail_id)

    assert waits == [5, 15, 60, 300, 900]
    assert (services.status(mail_id), services.ledger.mail(mail_id).reason) == (
        Status.UNKNOWN,
        "not_found",
    )


def test_a_copy_that_shows_late_is_found(services: FakeServices) -> None:
    mail_id = in_doubt(services)
    services.drafts.letters[0].visible = False
    look(services, mail_id)
    look(services, mail_id)
    services.drafts.letters[0].visible = True

    assert look(services, mail_id) is DeliveryResult.SENT


def test_a_draft_is_sent_again_only_at_the_fourth_look(services: FakeServices) -> None:
    mail_id = in_doubt(services, sent=False)

    result = [look(services, mail_id) for _ in range(4)]

    assert result == [
        DeliveryResult.UNKNOWN,
        DeliveryResult.UNKNOWN,
        DeliveryResult.UNKNOWN,
        DeliveryResult.LATER,
    ]
    assert services.handle(mail_id) is DeliveryResult.SENT
    assert services.drafts.sends == ["draft-1"]


def test_another_draft_with_the_key_is_no_sign_of_the_mail(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.faults.after("drafts.create", GRAPH_LOST)
    services.handle(mail_id)
    services.clock.forward(minutes=1)
    services.faults.before("drafts.marked", GRAPH_AWAY)
    services.faults.after("drafts.send", GRAPH_LOST)
    services.handle(mail_id)
    services.drafts.letters[1].visible = False

    result = [look(services, mail_id) for _ in range(5)]

    assert set(result) == {DeliveryResult.UNKNOWN}
    assert services.ledger.mail(mail_id).reason == "not_found"
    assert len(services.drafts.sent) == 1


# Mails that went as MIME, in mailboxes that drop our header or replace the Message-ID.

RENAMED = pytest.mark.parametrize("renames", [None, "draft", "send"])
HEADER = pytest.mark.parametrize("keeps_header", [True, False], ids=["header", "no-header"])


def as_mime_in_doubt(
    services: FakeServices,
    *,
    keeps_header: bool,
    renames: Literal["draft", "send"] | None,
    sent: bool,
) -> str:
    services.drafts.keeps_header, services.drafts.renames = keeps_header, renames
    mail_id = services.accepted(html="<p>both</p>")
    (services.faults.after if sent else services.faults.before)("drafts.send", GRAPH_LOST)
    services.handle(mail_id)
    return mail_id


@RENAMED
@HEADER
def test_a_mime_mail_that_was_sent_is_found_or_left_to_a_person_and_never_sent_again(
    services: FakeServices, keeps_header: bool, renames: Literal["draft", "send"] | None
) -> None:
    mail_id = as_mime_in_doubt(services, keeps_header=keeps_header, renames=renames, sent=True)

    go_on(services)

    found = keeps_header or renames != "send"
    mail = services.ledger.mail(mail_id)
    assert mail.status is (Status.SENT if found else Status.UNKNOWN)
    assert mail.reason == (None if found else "not_found")
    assert (len(services.drafts.sends), len(services.drafts.sent)) == (1, 1)


@RENAMED
@HEADER
def test_a_mime_mail_that_was_not_sent_goes_as_the_same_draft(
    services: FakeServices, keeps_header: bool, renames: Literal["draft", "send"] | None
) -> None:
    mail_id = as_mime_in_doubt(services, keeps_header=keeps_header, renames=renames, sent=False)

    go_on(services)

    assert services.status(mail_id) is Status.SENT
    assert (services.drafts.sends, len(services.drafts.sent)) == (["draft-1"], 1)


@RENAMED
@HEADER
@pytest.mark.parametrize("call", ["drafts.create", "ledger.update", "drafts.send"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_wherever_a_worker_dies_over_a_mime_mail_no_second_copy_leaves(
    services: FakeServices,
    keeps_header: bool,
    renames: Literal["draft", "send"] | None,
    call: str,
    when: str,
    nth: int,
) -> None:
    services.drafts.keeps_header, services.drafts.renames = keeps_header, renames
    mail_id = services.accepted(html="<p>both</p>")
    dies(services, mail_id, call, when, nth)

    go_on(services)

    assert len(services.drafts.sent) == 1
    traceless = not keeps_header and renames == "send"
    assert services.status(mail_id) in (
        {Status.SENT, Status.UNKNOWN} if traceless else {Status.SENT}
    )


def test_a_draft_that_vanished_without_a_trace_is_left_to_a_person(services: FakeServices) -> None:
    mail_id = as_mime_in_doubt(services, keeps_header=False, renames=None, sent=False)
    services.drafts.letters.clear()

    go_on(services)

    mail = services.ledger.mail(mail_id)
    assert (mail.status, mail.reason) == (Status.UNKNOWN, "not_found")
    assert services.drafts.sends == []


TWIN = b"To: ada@example.com\r\nMessage-ID: <one@app.contoso.com>\r\nSubject: s\r\n\r\nHello"


def accepted_twin(services: FakeServices) -> str:
    """A raw message whose Message-ID another one has as well."""
    return services.submission.accept(read_mime(TWIN)).mail.mail_id


def test_a_twin_with_the_same_message_id_does_not_hide_that_a_mail_was_not_sent(
    services: FakeServices,
) -> None:
    """The mailbox drops our header."""
    services.drafts.keeps_header = False
    first, second = (accepted_twin(services) for _ in range(2))
    services.handle(first)
    services.faults.before("drafts.send", GRAPH_LOST)

    services.handle(second)
    go_on(services)

    assert services.status(first) is Status.SENT
    mail = services.ledger.mail(second)
    assert (mail.status, mail.reason) == (Status.UNKNOWN, "not_found")
    assert len(services.drafts.sent) == 1


def test_a_twin_that_shows_its_own_key_is_not_taken_for_the_mail(services: FakeServices) -> None:
    first, second = (accepted_twin(services) for _ in range(2))
    services.handle(first)
    services.faults.before("drafts.send", GRAPH_LOST)

    services.handle(second)
    go_on(services)

    assert services.status(second) is Status.SENT
    assert [letter.key for letter in services.drafts.sent] == [first, second]


def raw_with_the_message_id_of(services: FakeServices, mail_id: str) -> str:
    """A raw mail of another caller, who read the Message-ID in the mail's view."""
    message_id = services.ledger.mail(mail_id).message_id
    raw = f"To: eve@example.com\r\nMessage-ID: {message_id}\r\nSubject: s\r\n\r\nHello"
    return services.submission.accept(read_mime(raw.encode())).mail.mail_id


@pytest.mark.parametrize("removed", [False, True])
def test_another_callers_raw_mail_does_not_pass_for_a_mail_by_its_message_id(
    services: FakeServices, removed: bool
) -> None:
    """The mailbox drops our header; the answer to the send was lost, and nothing was sent."""
    services.drafts.keeps_header = False
    mail_id = services.accepted()
    services.faults.before("drafts.send", GRAPH_LOST)
    services.handle(mail_id)
    services.handle(raw_with_the_message_id_of(services, mail_id))
    if removed:
        # By a person.
        services.drafts.letters = [
            one for one in services.drafts.letters if one.draft_id != "draft-1"
        ]

    go_on(services)

    mail = services.ledger.mail(mail_id)
    left = [letter.key for letter in services.drafts.sent].count(mail_id)
    expected = (Status.UNKNOWN, "not_found", 0) if removed else (Status.SENT, None, 1)
    assert (mail.status, mail.reason, left) == expected


def test_nobody_can_give_a_mail_the_message_id_of_one_that_went_as_mime(
    services: FakeServices,
) -> None:
    mail_id = as_mime_in_doubt(services, keeps_header=False, renames=None, sent=False)

    with pytest.raises(RequestRejected) as caught:
        raw_with_the_message_id_of(services, mail_id)

    assert [one.field for one in caught.value.errors] == ["Message-ID"]


@pytest.mark.parametrize("renames", [None, "draft"])
def test_a_raw_mail_that_came_with_a_message_id_is_found_by_it_where_its_key_was_dropped(
    services: FakeServices, renames: Literal["draft"] | None
) -> None:
    services.drafts.keeps_header, services.drafts.renames = False, renames
    mail_id = accepted_twin(services)
    services.faults.after("drafts.send", GRAPH_LOST)
    services.handle(mail_id)

    go_on(services)

    assert services.ledger.mail(mail_id).message_id_given
    assert services.status(mail_id) is Status.SENT
    assert len(services.drafts.sent) == 1


def test_a_draft_of_the_version_before_is_found_by_the_key_that_it_was_given(
    services: FakeServices,
) -> None:
    """It was made as MIME, its key set by a PATCH, and its row has no Message-ID."""
    mail_id = as_mime_in_doubt(services, keeps_header=True, renames="send", sent=True)
    mail = services.ledger.mail(mail_id)
    services.ledger.overwrite(replace(mail, message_id=None))

    assert look(services, mail_id) is DeliveryResult.SENT


@pytest.mark.parametrize("trouble", [GRAPH_LOST, GRAPH_AWAY], ids=["lost", "away"])
def test_a_look_that_graph_does_not_answer_does_not_count(
    services: FakeServices, trouble: Exception
) -> None:
    mail_id = in_doubt(services)
    services.faults.before("drafts.find", trouble)

    assert look(services, mail_id) is DeliveryResult.UNKNOWN

    mail = services.ledger.mail(mail_id)
    assert (mail.search_count, mail.finding_out) == (0, True)
    assert look(services, mail_id) is DeliveryResult.SENT


@pytest.mark.parametrize("answer", [BROKEN, THROTTLED, DENIED], ids=str)
def test_a_look_that_graph_refuses_does_not_count(
    services: FakeServices, answer: GraphAnswer
) -> None:
    mail_id = in_doubt(services)
    services.drafts.answers["find"] = [answer]

    look(services, mail_id)

    assert services.ledger.mail(mail_id).search_count == 0
    assert look(services, mail_id) is DeliveryResult.SENT


def test_a_mailbox_that_stays_shut_leaves_the_mail_to_a_person(services: FakeServices) -> None:
    mail_id = in_doubt(services)
    services.faults.always("tokens.access_token", ConsentRequired("AADSTS50173", "revoked"))

    go_on(services, hours=50)

    mail = services.ledger.mail(mail_id)
    assert (mail.status, mail.reason) == (Status.UNKNOWN, "could_not_look")


def test_two_workers_that_look_at_once_write_one_outcome(services: FakeServices) -> None:
    mail_id = in_doubt(services)
    services.concurrency.result(services.accounts.rows["billing"], in_time=True)
    result: list[DeliveryResult] = []

    def second() -> None:
        result.append(services.handle(mail_id))
        services.clock.forward(seconds=1)

    services.faults.after("drafts.find", second)

    result.append(look(services, mail_id))

    assert result == [DeliveryResult.SENT, DeliveryResult.LEFT]
    assert [e.status for e in services.ledger.mail(mail_id).events].count(Status.SENT) == 1


def test_a_look_whose_bell_was_lost_is_made_by_the_timer(services: FakeServices) -> None:
    mail_id = in_doubt(services)
    services.wake_ups.enqueued.clear()

    go_on(services, hours=1)

    assert services.status(mail_id) is Status.SENT


def test_a_person_who_sends_it_again_gets_a_new_draft(services: FakeServices) -> None:
    mail_id = in_doubt(services)
    services.drafts.letters[0].visible = False
    for _ in range(5):
        look(services, mail_id)
    row = services.ledger.get(mail_id)
    assert row is not None

    again = row.mail.moved(Status.QUEUED, services.clock.now)

    assert (row.mail.draft_id, again.draft_id, again.search_count) == ("draft-1", None, 0)


def test_an_account_that_lost_the_right_to_read_still_sends_the_draft_it_has(
    services: FakeServices,
) -> None:
    mail_id = services.accepted()
    services.drafts.answers["send"] = [THROTTLED]
    services.handle(mail_id)
    services.accounts.remember(services.accounts.change("billing", scopes=frozenset({"Mail.Send"})))
    services.clock.forward(minutes=5)

    assert services.handle(mail_id) is DeliveryResult.SENT
    assert (len(services.drafts.sent), services.graph.posts) == (1, [])


def test_a_direct_mail_whose_worker_died_is_unknown_though_the_account_can_read_by_now() -> None:
    services = FakeServices(account_of())
    mail_id = services.accepted()
    services.faults.after("graph.send_mail", Crash())
    crash(services, mail_id)
    services.accounts.remember(services.accounts.change("billing", scopes=READ_WRITE))
    services.clock.forward(seconds=301)

    assert services.handle(mail_id) is DeliveryResult.UNKNOWN
    assert services.ledger.mail(mail_id).reason == "worker_lost"
    assert len(services.graph.posts) == 1


# A draft that may have been sent before, and refusals.

CODES_OF_USED_DRAFTS = [
    GraphAnswer(400, "ErrorInvalidRequest"),
    GraphAnswer(403, "ErrorCannotUpdateSentItem"),
    GraphAnswer(404, "ErrorMessageNotFound"),
    GraphAnswer(409),
    GraphAnswer(410),
]


def seen_as_a_draft_for_ever(services: FakeServices, mail_id: str) -> None:
    """An index that is behind: the sent mail shows as the draft that it was."""
    stale = Found(GraphAnswer(200), [Copy("draft-1", is_draft=True)])

    def find(access_token: str, mailbox: str, sought: Sought) -> Found:
        return stale

    services.drafts.find = find  # type: ignore[method-assign]


@pytest.mark.parametrize("answer", CODES_OF_USED_DRAFTS, ids=str)
def test_no_refusal_of_a_draft_that_was_sent_before_fails_the_mail(answer: GraphAnswer) -> None:
    services = FakeServices(verified_account(), patience=RetryLimit(4, 48 * 3600))
    mail_id = in_doubt(services)
    seen_as_a_draft_for_ever(services, mail_id)
    services.drafts.answers["send"] = [answer] * 50

    go_on(services, hours=50)

    mail = services.ledger.mail(mail_id)
    assert (mail.status, mail.reason) == (Status.UNKNOWN, "not_found")
    assert (len(services.drafts.sent), services.drafts.removed) == (1, [])


@pytest.mark.parametrize("answer", [REFUSED, GraphAnswer(410)], ids=str)
def test_a_refused_draft_that_a_look_still_sees_is_removed_and_its_mail_fails(
    services: FakeServices, answer: GraphAnswer
) -> None:
    mail_id = services.accepted()
    services.drafts.answers["send"] = [THROTTLED, answer]
    services.handle(mail_id)
    services.clock.forward(minutes=1)

    result = [services.handle(mail_id), *(look(services, mail_id) for _ in range(4))]

    assert result == [*[DeliveryResult.UNKNOWN] * 4, DeliveryResult.FAILED]
    assert (services.drafts.removed, services.drafts.sent) == (["draft-1"], [])
    mail = services.ledger.mail(mail_id)
    assert (mail.reason, mail.draft_id) == (answer.code or "bad_request", None)


def test_a_draft_that_cannot_be_removed_leaves_its_mail_open(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.drafts.answers = {"send": [THROTTLED, REFUSED], "remove": [BROKEN]}
    services.handle(mail_id)
    services.clock.forward(minutes=1)
    services.handle(mail_id)

    result = [look(services, mail_id) for _ in range(5)]

    assert result == [*[DeliveryResult.UNKNOWN] * 4, DeliveryResult.FAILED]


@pytest.mark.parametrize("trouble", [GraphAnswer(500), GRAPH_LOST], ids=["500", "lost"])
def test_a_mail_whose_sending_never_succeeds_fails_in_the_end_and_leaves_no_draft(
    trouble: GraphAnswer | Exception,
) -> None:
    services = FakeServices(verified_account(), patience=RetryLimit(3, 48 * 3600))
    mail_id = services.accepted()
    if isinstance(trouble, GraphAnswer):
        services.drafts.answers["send"] = [trouble] * 100
    else:
        services.faults.always("drafts.send", trouble)

    go_on(services, hours=3)

    mail = services.ledger.mail(mail_id)
    assert (mail.status, mail.reason, mail.attempts) == (Status.FAILED, "not_sent", 3)
    assert (services.drafts.letters, services.faults.calls["drafts.send"]) == ([], 3)


def test_workers_that_die_over_a_draft_again_and_again_fail_its_mail() -> None:
    services = FakeServices(verified_account(), patience=RetryLimit(3, 48 * 3600))
    mail_id = services.accepted()
    for _ in range(3):
        services.faults.before("drafts.send", Crash())
        crash(services, mail_id)
        services.clock.forward(seconds=301)
        services.handle(mail_id)

    assert (services.status(mail_id), services.drafts.letters) == (Status.FAILED, [])


def test_a_mail_that_ran_out_of_attempts_is_looked_for_and_its_draft_removed() -> None:
    services = FakeServices(verified_account(), patience=RetryLimit(1, 48 * 3600))
    mail_id = services.accepted()
    services.drafts.answers["send"] = [THROTTLED]

    assert services.handle(mail_id) is DeliveryResult.UNKNOWN
    go_on(services, hours=1)

    assert (services.status(mail_id), services.ledger.mail(mail_id).reason) == (
        Status.FAILED,
        "ApplicationThrottled",
    )
    assert services.drafts.letters == []


@pytest.mark.parametrize("seconds", [86400.0 * 365, 1e15])
def test_no_look_is_put_off_for_longer_than_six_hours(
    services: FakeServices, seconds: float
) -> None:
    mail_id = in_doubt(services)
    services.drafts.answers["find"] = [GraphAnswer(503, retry_after=seconds)]

    look(services, mail_id)

    assert services.ledger.mail(mail_id).due_at == services.clock.now + timedelta(hours=6)


# A run that has an end, and faults of our own.

FILE = "attachments/big.bin"


def with_files(count: int, size: int) -> tuple[FakeServices, str]:
    services = FakeServices(verified_account(), max_bytes=64 * 1024 * 1024)
    services.files.blobs["attachments"]["big.bin"] = b"x" * size
    named = [{"filename": f"{n}.bin", "blob": FILE} for n in range(count)]
    return services, services.accepted(attachments=named)


@pytest.mark.parametrize(
    ("call", "count", "size"), [("drafts.attach", 100, 200_000), ("drafts.chunk", 1, 25_000_000)]
)
def test_a_mail_that_outlasts_a_run_is_given_up_in_time_and_tried_again(
    call: str, count: int, size: int
) -> None:
    services, mail_id = with_files(count, size)
    for nth in range(1, 101):
        services.faults.after(call, lambda: services.clock.forward(seconds=40), nth=nth)
    began = services.clock.now

    assert services.handle(mail_id) is DeliveryResult.LATER
    assert services.clock.now - began <= timedelta(seconds=RUN_SECONDS)
    mail = services.ledger.mail(mail_id)
    assert (mail.reason, mail.draft_id, services.drafts.letters) == ("out_of_time", None, [])
    assert mail.due_at > services.clock.now


def test_a_run_ends_before_the_host_ends_it() -> None:
    host = json.loads((Path(__file__).parents[4] / "host.json").read_text(encoding="utf-8"))
    hours, minutes, seconds = map(int, host["functionTimeout"].split(":"))

    assert hours * 3600 + minutes * 60 + seconds >= RUN_SECONDS + 60


@pytest.mark.parametrize("call", ["files.chunk", "ledger.update"])
def test_storage_that_refuses_for_a_moment_fails_no_mail(call: str) -> None:
    services, mail_id = with_files(1, 5_000_000)
    services.faults.after("drafts.create", lambda: services.clock.forward(seconds=150))
    refused = RemoteRefused("storage", "storage answered 403")
    services.faults.before(call, refused, nth=2 if call == "ledger.update" else 1)

    assert services.handle(mail_id) is DeliveryResult.LATER
    assert services.ledger.mail(mail_id).reason == "attachment_unreadable"


def test_an_upload_that_leads_elsewhere_fails_its_mail() -> None:
    services, mail_id = with_files(1, 5_000_000)
    services.faults.before("drafts.upload", RemoteRefused("graph", "not one of Microsoft's"))

    assert services.handle(mail_id) is DeliveryResult.FAILED
    assert services.ledger.mail(mail_id).reason == "upload_elsewhere"


@pytest.mark.parametrize(
    ("call", "result"),
    [("drafts.create", DeliveryResult.LATER), ("drafts.send", DeliveryResult.UNKNOWN)],
)
def test_a_fault_of_our_own_does_not_keep_a_verified_mail(
    services: FakeServices, call: str, result: DeliveryResult, caplog: pytest.LogCaptureFixture
) -> None:
    mail_id = services.accepted()
    services.faults.after(call, OverflowError("a bug"))

    assert services.handle(mail_id) is result
    assert services.ledger.mail(mail_id).status is not Status.SENDING
    assert "internal_error" in caplog.text
    assert "OverflowError" in caplog.text
    go_on(services, hours=1)
    assert (services.status(mail_id), len(services.drafts.sent)) == (Status.SENT, 1)


def test_a_pause_longer_than_a_mail_is_tried_holds_its_account(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.drafts.answers["create"] = [GraphAnswer(503, retry_after=200_000.0)]

    assert services.handle(mail_id) is DeliveryResult.HELD
    held_until = services.accounts.rows["billing"].held_until
    assert held_until == services.clock.now + timedelta(seconds=200_000)


# Another From address.


@pytest.mark.parametrize("call", ["create", "send"])
def test_a_denied_from_address_is_the_mails_trouble(call: str) -> None:
    services = FakeServices(account_of(scopes=SHARED, allowed_from=("info@contoso.com",)))
    mail_id = services.accepted(**{"from": "info@contoso.com"})
    services.drafts.answers[call] = [DENIED]

    assert services.handle(mail_id) is DeliveryResult.FAILED


@pytest.mark.parametrize("call", ["create", "send"])
def test_a_token_that_is_refused_is_the_accounts_trouble_whatever_the_from_address(
    call: str,
) -> None:
    services = FakeServices(account_of(scopes=SHARED, allowed_from=("info@contoso.com",)))
    mail_id = services.accepted(**{"from": "info@contoso.com"})
    services.drafts.answers[call] = [EXPIRED, EXPIRED]

    assert services.handle(mail_id) is DeliveryResult.HELD


# The setting for direct mails.


def test_an_unknown_direct_mail_is_sent_again_where_the_setting_says_so_and_its_story_tells() -> (
    None
):
    services = FakeServices(account_of(), send_unknown_again=True)
    mail_id = services.accepted()
    services.graph.answers = [GRAPH_LOST, ACCEPTED]

    assert services.handle(mail_id) is DeliveryResult.LATER
    services.clock.forward(minutes=1)
    assert services.handle(mail_id) is DeliveryResult.SENT

    mail = services.ledger.mail(mail_id)
    assert SENT_AGAIN in [step.reason for step in mail.events]
    assert "twice" in (mail.help or "")


def test_sending_again_ends_in_unknown_and_not_in_failed() -> None:
    services = FakeServices(account_of(), send_unknown_again=True)
    mail_id = services.accepted()
    services.graph.default = GRAPH_LOST

    go_on(services, hours=50)

    assert services.status(mail_id) is Status.UNKNOWN
