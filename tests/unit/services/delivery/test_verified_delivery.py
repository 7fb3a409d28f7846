"""Verified delivery: at every call where a worker can die or an answer be lost, one copy leaves."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
from msgspec.structs import replace

from shared.errors import AnswerLost, ConsentRequired, NotSent, Refused, RemoteRefused
from shared.mail.account import Account
from shared.mail.backoff import Patience
from shared.mail.mail import FINDING_OUT
from shared.mail.outcome import Copy, GraphAnswer, Sought
from shared.mail.status import Status
from shared.mail.way import Way
from shared.services.delivery.delivery import SENT_AGAIN, Heard
from shared.services.delivery.mail_lease import RUN_SECONDS
from shared.services.delivery.ports import Found
from shared.services.intake.mail_document import read_mime
from tests.fakes import ACCEPTED, LOST, NOT_REACHED, NOW, Crash, Room, account_of

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
def room() -> Room:
    return Room(verified_account())


def go_on(room: Room, hours: int = 3) -> None:
    """Time passes; bells and the timer are heard."""
    for _ in range(hours * 60):
        for ring in room.bell.take_due():
            room.hear(ring.mail_id)
        room.upkeep.ring_again()
        room.clock.forward(minutes=1)


def crash(room: Room, mail_id: str) -> None:
    with pytest.raises(Crash):
        room.hear(mail_id)


def dies(room: Room, mail_id: str, call: str, when: str, nth: int) -> None:
    """A worker dies at this call, if it comes so far."""
    getattr(room.faults, when)(call, Crash(), nth=nth)
    try:
        room.hear(mail_id)
    except Crash:
        room.faults.forget()


def look(room: Room, mail_id: str) -> Heard:
    """The next look, at its time."""
    room.clock.now = max(room.clock.now, room.ledger.mail(mail_id).due_at)
    return room.hear(mail_id)


# The way without trouble.


def test_a_mail_goes_as_a_draft_that_the_ledger_knew_before_it_was_sent(room: Room) -> None:
    mail_id = room.accepted()
    known: list[str | None] = []
    room.faults.before("drafts.send", lambda: known.append(room.ledger.mail(mail_id).draft_id))

    assert room.hear(mail_id) is Heard.SENT

    mail = room.ledger.mail(mail_id)
    assert known == ["draft-1"]
    assert [letter.key for letter in room.drafts.sent] == [mail_id]
    assert (mail.status, mail.delivery, mail.draft_id) == (Status.SENT, Way.VERIFIED, None)
    assert mail.payload.inline is None


def test_an_ordinary_mail_takes_two_calls_of_graph_and_four_of_storage(room: Room) -> None:
    mail_id = room.accepted()
    room.faults.calls.clear()

    room.hear(mail_id)

    calls = room.faults.calls
    assert sum(n for name, n in calls.items() if name.startswith(("drafts.", "graph."))) == 2
    assert calls["ledger.get"] + calls["ledger.update"] == 4


@pytest.mark.parametrize("html", [None, "<p>both</p>"], ids=["json", "mime"])
def test_a_mail_takes_two_calls_of_graph_as_json_and_as_mime(room: Room, html: str | None) -> None:
    mail_id = room.accepted(**{"html": html} if html else {})
    room.faults.calls.clear()

    assert room.hear(mail_id) is Heard.SENT

    asked = {name: n for name, n in room.faults.calls.items() if name.startswith("drafts.")}
    assert asked == {"drafts.create": 1, "drafts.send": 1}
    assert [letter.key for letter in room.drafts.sent] == [mail_id]


@pytest.mark.parametrize("html", [None, "<p>both</p>"], ids=["json", "mime"])
def test_the_message_id_of_the_answer_is_written_with_the_draft_and_stays(
    room: Room, html: str | None
) -> None:
    mail_id = room.accepted(**{"html": html} if html else {})
    known: list[str | None] = []
    room.faults.before("drafts.send", lambda: known.append(room.ledger.mail(mail_id).message_id))

    room.hear(mail_id)

    (letter,) = room.drafts.sent
    assert known == [letter.message_id] == [room.ledger.mail(mail_id).message_id]
    assert (letter.message_id == f"<postroom.{mail_id}@contoso.com>") is (html is not None)


def test_a_mail_that_was_not_sent_shows_no_message_id(room: Room) -> None:
    mail_id = room.accepted()
    room.drafts.answers["send"] = [REFUSED]

    room.hear(mail_id)

    assert room.status(mail_id) is Status.FAILED
    assert room.ledger.mail(mail_id).message_id is None


def test_a_mail_that_shall_leave_no_copy_goes_directly_and_says_why(room: Room) -> None:
    receipt = room.accept(save_to_sent_items=False)

    assert room.hear(receipt.mail.mail_id) is Heard.SENT

    mail = room.ledger.mail(receipt.mail.mail_id)
    assert (receipt.mail.delivery, mail.delivery) == (Way.DIRECT, Way.DIRECT)
    assert (len(room.graph.posts), room.drafts.sends) == (1, [])


# A worker that dies, at every call.


@pytest.mark.parametrize(
    "call", ["drafts.create", "ledger.update", "drafts.send", "tokens.access_token"]
)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_wherever_a_worker_dies_one_copy_leaves(room: Room, call: str, when: str, nth: int) -> None:
    mail_id = room.accepted()
    dies(room, mail_id, call, when, nth)

    go_on(room)

    assert room.status(mail_id) is Status.SENT
    assert len(room.drafts.sent) == 1


def test_a_mail_whose_worker_died_before_the_draft_was_known_is_sent_at_once(room: Room) -> None:
    mail_id = room.accepted()
    room.faults.after("drafts.create", Crash())
    crash(room, mail_id)
    room.clock.forward(seconds=301)

    assert room.hear(mail_id) is Heard.LATER
    assert room.ledger.mail(mail_id).due_at <= room.clock.now + timedelta(seconds=2)
    assert room.faults.calls["drafts.find"] == 0


def test_a_mail_whose_worker_died_after_sending_is_found_at_once(room: Room) -> None:
    mail_id = room.accepted()
    room.faults.after("drafts.send", Crash())
    crash(room, mail_id)
    room.clock.forward(seconds=301)

    assert room.hear(mail_id) is Heard.SENT
    assert len(room.drafts.sends) == 1


def test_a_mail_whose_worker_died_before_sending_goes_as_the_same_draft(room: Room) -> None:
    mail_id = room.accepted()
    room.faults.before("drafts.send", Crash())
    crash(room, mail_id)
    room.clock.forward(seconds=301)

    assert room.hear(mail_id) is Heard.LATER
    assert room.hear(mail_id) is Heard.SENT
    assert room.drafts.sends == ["draft-1"]
    assert len(room.drafts.letters) == 1


# A worker that freezes.


def test_a_worker_that_freezes_with_its_draft_unknown_removes_it_and_leaves(room: Room) -> None:
    mail_id = room.accepted()

    def freeze() -> None:
        room.clock.forward(seconds=301)
        room.hear(mail_id)
        room.clock.forward(seconds=2)
        assert room.hear(mail_id) is Heard.SENT

    room.faults.after("drafts.create", freeze)

    assert room.hear(mail_id) is Heard.LEFT
    assert [letter.draft_id for letter in room.drafts.sent] == ["draft-2"]
    assert room.drafts.removed == ["draft-1"]


def test_a_worker_that_freezes_before_sending_finds_its_lease_spent(room: Room) -> None:
    mail_id = room.accepted()
    room.faults.after("ledger.update", lambda: room.clock.forward(seconds=250), nth=2)

    assert room.hear(mail_id) is Heard.LATER
    assert room.drafts.sends == []
    go_on(room, hours=1)
    assert [letter.draft_id for letter in room.drafts.sent] == ["draft-1"]


def test_a_worker_that_freezes_while_it_sends_cannot_double_the_mail(room: Room) -> None:
    mail_id = room.accepted()

    def freeze() -> None:
        room.clock.forward(seconds=301)
        assert room.hear(mail_id) is Heard.LATER
        assert room.hear(mail_id) is Heard.SENT

    room.faults.before("drafts.send", freeze)

    room.hear(mail_id)

    assert room.drafts.sends == ["draft-1", "draft-1"]
    assert len(room.drafts.sent) == 1
    assert room.status(mail_id) is Status.SENT


def test_a_late_answer_counts_more_than_the_look_that_came_first(room: Room) -> None:
    mail_id = room.accepted()

    def freeze() -> None:
        room.drafts.letters[0].visible = False
        room.clock.forward(seconds=301)
        assert room.hear(mail_id) is Heard.UNKNOWN

    room.faults.after("drafts.send", freeze)

    assert room.hear(mail_id) is Heard.SENT
    assert room.status(mail_id) is Status.SENT


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
    room: Room, call: str, answer: GraphAnswer
) -> None:
    mail_id = room.accepted(html="<p>both</p>")
    room.drafts.answers[call] = [answer]

    assert room.hear(mail_id) is Heard.LATER
    assert room.ledger.mail(mail_id).draft_id is None
    go_on(room, hours=1)
    assert (room.status(mail_id), len(room.drafts.sent)) == (Status.SENT, 1)


@pytest.mark.parametrize("keeps_header", [True, False], ids=["header", "no-header"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("trouble", [GRAPH_LOST, GRAPH_AWAY], ids=["lost", "away"])
def test_a_draft_whose_answer_is_lost_is_harmless(
    room: Room, keeps_header: bool, when: str, trouble: Exception
) -> None:
    room.drafts.keeps_header = keeps_header
    mail_id = room.accepted(html="<p>both</p>")
    getattr(room.faults, when)("drafts.create", trouble)

    assert room.hear(mail_id) is Heard.LATER
    go_on(room, hours=1)
    assert (room.status(mail_id), len(room.drafts.sent)) == (Status.SENT, 1)


@pytest.mark.parametrize("keeps_header", [True, False], ids=["header", "no-header"])
@pytest.mark.parametrize("trouble", [GRAPH_LOST, Crash()], ids=["lost", "crash"])
def test_a_draft_whose_answer_is_lost_is_removed_before_the_next_one_is_made(
    room: Room, keeps_header: bool, trouble: BaseException
) -> None:
    room.drafts.keeps_header = keeps_header
    mail_id = room.accepted(html="<p>both</p>")
    room.faults.after("drafts.create", trouble)
    try:
        room.hear(mail_id)
    except Crash:
        room.faults.forget()
    removed: list[list[str]] = []
    room.faults.before("drafts.create", lambda: removed.append(list(room.drafts.removed)))

    go_on(room, hours=1)

    assert removed == [["draft-1"]]
    assert [letter.draft_id for letter in room.drafts.sent] == ["draft-2"]
    assert [letter.draft_id for letter in room.drafts.letters] == ["draft-2"]


@pytest.mark.parametrize("answer", [THROTTLED, GraphAnswer(409)], ids=str)
def test_after_an_answer_no_lost_draft_is_looked_for(room: Room, answer: GraphAnswer) -> None:
    mail_id = room.accepted()
    room.drafts.answers["create"] = [answer]

    room.hear(mail_id)
    go_on(room, hours=1)

    assert room.status(mail_id) is Status.SENT
    assert room.faults.calls["drafts.marked"] == 0


def test_a_lost_draft_that_cannot_be_looked_for_does_not_stop_the_mail(room: Room) -> None:
    mail_id = room.accepted()
    room.faults.after("drafts.create", GRAPH_LOST)
    room.faults.before("drafts.marked", GRAPH_AWAY)

    room.hear(mail_id)
    go_on(room, hours=1)

    assert [letter.draft_id for letter in room.drafts.sent] == ["draft-2"]


def test_a_refused_draft_fails_the_mail(room: Room) -> None:
    mail_id = room.accepted()
    room.drafts.answers["create"] = [REFUSED]

    assert room.hear(mail_id) is Heard.FAILED
    assert room.ledger.mail(mail_id).reason == "ErrorInvalidRecipients"


def test_a_fresh_draft_that_is_not_found_is_asked_for_again(room: Room) -> None:
    mail_id = room.accepted(html="<p>both</p>")
    room.drafts.answers["send"] = [MISSING, MISSING, MISSING]

    assert room.hear(mail_id) is Heard.SENT
    assert room.clock.now - NOW < timedelta(seconds=10)


def test_a_draft_that_vanished_before_anybody_sent_it_is_made_anew(room: Room) -> None:
    mail_id = room.accepted()
    room.drafts.answers["send"] = [MISSING] * 4

    assert room.hear(mail_id) is Heard.LATER
    assert room.ledger.mail(mail_id).draft_id is None
    go_on(room, hours=1)
    assert [letter.draft_id for letter in room.drafts.sent] == ["draft-2"]


# The ledger, when the draft's id is to be written.


@pytest.mark.parametrize("trouble", [LOST, NOT_REACHED], ids=["lost", "away"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_ledger_that_fails_for_a_moment_does_not_stop_the_mail(
    room: Room, trouble: Exception, when: str
) -> None:
    mail_id = room.accepted()
    getattr(room.faults, when)("ledger.update", trouble, nth=2)

    assert room.hear(mail_id) is Heard.SENT
    assert len(room.drafts.sent) == 1


def test_without_the_ledger_nothing_is_sent(room: Room) -> None:
    mail_id = room.accepted()
    for nth in (2, 3, 4):
        room.faults.before("ledger.update", NOT_REACHED, nth=nth)

    with pytest.raises(NotSent):
        room.hear(mail_id)

    assert room.drafts.sends == []
    go_on(room, hours=1)
    assert (room.status(mail_id), len(room.drafts.sent)) == (Status.SENT, 1)


# Answers to sending.


@pytest.mark.parametrize("answer", [THROTTLED, GraphAnswer(409), GraphAnswer(423)], ids=str)
def test_a_draft_that_was_certainly_not_sent_goes_later_as_it_is(
    room: Room, answer: GraphAnswer
) -> None:
    mail_id = room.accepted()
    room.drafts.answers["send"] = [answer]

    assert room.hear(mail_id) is Heard.LATER
    assert room.ledger.mail(mail_id).draft_id == "draft-1"
    go_on(room, hours=1)
    assert room.drafts.sends == ["draft-1", "draft-1"]
    assert len(room.drafts.letters) == 1


def test_an_expired_token_is_renewed_for_the_same_draft(room: Room) -> None:
    mail_id = room.accepted()
    room.drafts.answers = {"create": [EXPIRED], "send": [EXPIRED]}

    assert room.hear(mail_id) is Heard.SENT
    assert len(room.tokens.forgotten) == 2


def test_a_grant_that_ends_holds_the_mail_with_its_draft(room: Room) -> None:
    mail_id = room.accepted()
    room.drafts.answers["send"] = [DENIED]

    assert room.hear(mail_id) is Heard.HELD
    assert room.ledger.mail(mail_id).draft_id == "draft-1"


def test_a_mail_that_is_refused_fails_and_its_draft_is_removed(room: Room) -> None:
    mail_id = room.accepted()
    room.drafts.answers["send"] = [REFUSED]

    assert room.hear(mail_id) is Heard.FAILED
    assert room.drafts.removed == ["draft-1"]
    assert room.ledger.mail(mail_id).draft_id is None


@pytest.mark.parametrize(
    "answer",
    [BROKEN, GraphAnswer(504, "UnknownError"), GraphAnswer(200), GraphAnswer(408)],
    ids=str,
)
def test_an_answer_that_leaves_it_open_is_found_out(room: Room, answer: GraphAnswer) -> None:
    mail_id = room.accepted()
    room.drafts.answers["send"] = [answer]

    assert room.hear(mail_id) is Heard.UNKNOWN

    mail = room.ledger.mail(mail_id)
    assert (mail.status, mail.reason, mail.looks) == (Status.UNKNOWN, FINDING_OUT, 0)
    assert mail.due_at == room.clock.now + timedelta(seconds=5)
    go_on(room, hours=1)
    assert (room.status(mail_id), len(room.drafts.sent)) == (Status.SENT, 1)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_is_found_out(room: Room, when: str) -> None:
    mail_id = room.accepted()
    getattr(room.faults, when)("drafts.send", GRAPH_LOST)

    assert room.hear(mail_id) is Heard.UNKNOWN
    go_on(room, hours=1)
    assert (room.status(mail_id), len(room.drafts.sent)) == (Status.SENT, 1)
    assert set(room.drafts.sends) == {"draft-1"}


def test_a_refused_draft_that_may_have_been_sent_is_no_failure(room: Room) -> None:
    mail_id = room.accepted()
    room.drafts.answers["send"] = [THROTTLED]
    room.hear(mail_id)
    room.drafts.letters[0].is_draft = False  # sent all the same, as has been reported
    room.drafts.sent.append(room.drafts.letters[0])
    room.clock.forward(minutes=5)

    assert room.hear(mail_id) is Heard.UNKNOWN
    assert look(room, mail_id) is Heard.SENT
    assert len(room.drafts.sent) == 1


# Finding out.


def in_doubt(room: Room, *, sent: bool = True) -> str:
    mail_id = room.accepted()
    room.bell.rings.clear()
    plan = room.faults.after if sent else room.faults.before
    plan("drafts.send", GRAPH_LOST)
    room.hear(mail_id)
    return mail_id


def test_each_look_comes_later_than_the_one_before(room: Room) -> None:
    mail_id = in_doubt(room)
    room.drafts.letters[0].visible = False
    waits = []
    while room.ledger.mail(mail_id).finding_out:
        waits.append((room.ledger.mail(mail_id).due_at - room.clock.now).total_seconds())
        look(room, mail_id)

    assert waits == [5, 15, 60, 300, 900]
    assert (room.status(mail_id), room.ledger.mail(mail_id).reason) == (
        Status.UNKNOWN,
        "not_found",
    )


def test_a_copy_that_shows_late_is_found(room: Room) -> None:
    mail_id = in_doubt(room)
    room.drafts.letters[0].visible = False
    look(room, mail_id)
    look(room, mail_id)
    room.drafts.letters[0].visible = True

    assert look(room, mail_id) is Heard.SENT


def test_a_draft_is_sent_again_only_at_the_fourth_look(room: Room) -> None:
    mail_id = in_doubt(room, sent=False)

    heard = [look(room, mail_id) for _ in range(4)]

    assert heard == [Heard.UNKNOWN, Heard.UNKNOWN, Heard.UNKNOWN, Heard.LATER]
    assert room.hear(mail_id) is Heard.SENT
    assert room.drafts.sends == ["draft-1"]


def test_another_draft_with_the_key_is_no_sign_of_the_mail(room: Room) -> None:
    mail_id = room.accepted()
    room.faults.after("drafts.create", GRAPH_LOST)
    room.hear(mail_id)
    room.clock.forward(minutes=1)
    room.faults.before("drafts.marked", GRAPH_AWAY)
    room.faults.after("drafts.send", GRAPH_LOST)
    room.hear(mail_id)
    room.drafts.letters[1].visible = False

    heard = [look(room, mail_id) for _ in range(5)]

    assert set(heard) == {Heard.UNKNOWN}
    assert room.ledger.mail(mail_id).reason == "not_found"
    assert len(room.drafts.sent) == 1


# Mails that went as MIME, in mailboxes that drop our header or replace the Message-ID.

RENAMED = pytest.mark.parametrize("renames", [None, "draft", "send"])
HEADER = pytest.mark.parametrize("keeps_header", [True, False], ids=["header", "no-header"])


def as_mime_in_doubt(
    room: Room, *, keeps_header: bool, renames: Literal["draft", "send"] | None, sent: bool
) -> str:
    room.drafts.keeps_header, room.drafts.renames = keeps_header, renames
    mail_id = room.accepted(html="<p>both</p>")
    (room.faults.after if sent else room.faults.before)("drafts.send", GRAPH_LOST)
    room.hear(mail_id)
    return mail_id


@RENAMED
@HEADER
def test_a_mime_mail_that_was_sent_is_found_or_left_to_a_person_and_never_sent_again(
    room: Room, keeps_header: bool, renames: Literal["draft", "send"] | None
) -> None:
    mail_id = as_mime_in_doubt(room, keeps_header=keeps_header, renames=renames, sent=True)

    go_on(room)

    found = keeps_header or renames != "send"
    mail = room.ledger.mail(mail_id)
    assert mail.status is (Status.SENT if found else Status.UNKNOWN)
    assert mail.reason == (None if found else "not_found")
    assert (len(room.drafts.sends), len(room.drafts.sent)) == (1, 1)


@RENAMED
@HEADER
def test_a_mime_mail_that_was_not_sent_goes_as_the_same_draft(
    room: Room, keeps_header: bool, renames: Literal["draft", "send"] | None
) -> None:
    mail_id = as_mime_in_doubt(room, keeps_header=keeps_header, renames=renames, sent=False)

    go_on(room)

    assert room.status(mail_id) is Status.SENT
    assert (room.drafts.sends, len(room.drafts.sent)) == (["draft-1"], 1)


@RENAMED
@HEADER
@pytest.mark.parametrize("call", ["drafts.create", "ledger.update", "drafts.send"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_wherever_a_worker_dies_over_a_mime_mail_no_second_copy_leaves(
    room: Room,
    keeps_header: bool,
    renames: Literal["draft", "send"] | None,
    call: str,
    when: str,
    nth: int,
) -> None:
    room.drafts.keeps_header, room.drafts.renames = keeps_header, renames
    mail_id = room.accepted(html="<p>both</p>")
    dies(room, mail_id, call, when, nth)

    go_on(room)

    assert len(room.drafts.sent) == 1
    traceless = not keeps_header and renames == "send"
    assert room.status(mail_id) in ({Status.SENT, Status.UNKNOWN} if traceless else {Status.SENT})


def test_a_draft_that_vanished_without_a_trace_is_left_to_a_person(room: Room) -> None:
    mail_id = as_mime_in_doubt(room, keeps_header=False, renames=None, sent=False)
    room.drafts.letters.clear()

    go_on(room)

    mail = room.ledger.mail(mail_id)
    assert (mail.status, mail.reason) == (Status.UNKNOWN, "not_found")
    assert room.drafts.sends == []


TWIN = b"To: ada@example.com\r\nMessage-ID: <one@app.contoso.com>\r\nSubject: s\r\n\r\nHello"


def accepted_twin(room: Room) -> str:
    """A raw message whose Message-ID another one has as well."""
    return room.submission.accept(read_mime(TWIN)).mail.mail_id


def test_a_twin_with_the_same_message_id_does_not_hide_that_a_mail_was_not_sent(
    room: Room,
) -> None:
    """The mailbox drops our header."""
    room.drafts.keeps_header = False
    first, second = (accepted_twin(room) for _ in range(2))
    room.hear(first)
    room.faults.before("drafts.send", GRAPH_LOST)

    room.hear(second)
    go_on(room)

    assert room.status(first) is Status.SENT
    mail = room.ledger.mail(second)
    assert (mail.status, mail.reason) == (Status.UNKNOWN, "not_found")
    assert len(room.drafts.sent) == 1


def test_a_twin_that_shows_its_own_key_is_not_taken_for_the_mail(room: Room) -> None:
    first, second = (accepted_twin(room) for _ in range(2))
    room.hear(first)
    room.faults.before("drafts.send", GRAPH_LOST)

    room.hear(second)
    go_on(room)

    assert room.status(second) is Status.SENT
    assert [letter.key for letter in room.drafts.sent] == [first, second]


def raw_with_the_message_id_of(room: Room, mail_id: str) -> str:
    """A raw mail of another caller, who read the Message-ID in the mail's view."""
    message_id = room.ledger.mail(mail_id).message_id
    raw = f"To: eve@example.com\r\nMessage-ID: {message_id}\r\nSubject: s\r\n\r\nHello"
    return room.submission.accept(read_mime(raw.encode())).mail.mail_id


@pytest.mark.parametrize("removed", [False, True])
def test_another_callers_raw_mail_does_not_pass_for_a_mail_by_its_message_id(
    room: Room, removed: bool
) -> None:
    """The mailbox drops our header; the answer to the send was lost, and nothing was sent."""
    room.drafts.keeps_header = False
    mail_id = room.accepted()
    room.faults.before("drafts.send", GRAPH_LOST)
    room.hear(mail_id)
    room.hear(raw_with_the_message_id_of(room, mail_id))
    if removed:
        # By a person.
        room.drafts.letters = [one for one in room.drafts.letters if one.draft_id != "draft-1"]

    go_on(room)

    mail = room.ledger.mail(mail_id)
    left = [letter.key for letter in room.drafts.sent].count(mail_id)
    expected = (Status.UNKNOWN, "not_found", 0) if removed else (Status.SENT, None, 1)
    assert (mail.status, mail.reason, left) == expected


def test_nobody_can_give_a_mail_the_message_id_of_one_that_went_as_mime(room: Room) -> None:
    mail_id = as_mime_in_doubt(room, keeps_header=False, renames=None, sent=False)

    with pytest.raises(Refused) as caught:
        raw_with_the_message_id_of(room, mail_id)

    assert [one.field for one in caught.value.errors] == ["Message-ID"]


@pytest.mark.parametrize("renames", [None, "draft"])
def test_a_raw_mail_that_came_with_a_message_id_is_found_by_it_where_its_key_was_dropped(
    room: Room, renames: Literal["draft"] | None
) -> None:
    room.drafts.keeps_header, room.drafts.renames = False, renames
    mail_id = accepted_twin(room)
    room.faults.after("drafts.send", GRAPH_LOST)
    room.hear(mail_id)

    go_on(room)

    assert room.ledger.mail(mail_id).message_id_given
    assert room.status(mail_id) is Status.SENT
    assert len(room.drafts.sent) == 1


def test_a_draft_of_the_version_before_is_found_by_the_key_that_it_was_given(room: Room) -> None:
    """It was made as MIME, its key set by a PATCH, and its row has no Message-ID."""
    mail_id = as_mime_in_doubt(room, keeps_header=True, renames="send", sent=True)
    mail = room.ledger.mail(mail_id)
    room.ledger.overwrite(replace(mail, message_id=None))

    assert look(room, mail_id) is Heard.SENT


@pytest.mark.parametrize("trouble", [GRAPH_LOST, GRAPH_AWAY], ids=["lost", "away"])
def test_a_look_that_graph_does_not_answer_does_not_count(room: Room, trouble: Exception) -> None:
    mail_id = in_doubt(room)
    room.faults.before("drafts.find", trouble)

    assert look(room, mail_id) is Heard.UNKNOWN

    mail = room.ledger.mail(mail_id)
    assert (mail.looks, mail.finding_out) == (0, True)
    assert look(room, mail_id) is Heard.SENT


@pytest.mark.parametrize("answer", [BROKEN, THROTTLED, DENIED], ids=str)
def test_a_look_that_graph_refuses_does_not_count(room: Room, answer: GraphAnswer) -> None:
    mail_id = in_doubt(room)
    room.drafts.answers["find"] = [answer]

    look(room, mail_id)

    assert room.ledger.mail(mail_id).looks == 0
    assert look(room, mail_id) is Heard.SENT


def test_a_mailbox_that_stays_shut_leaves_the_mail_to_a_person(room: Room) -> None:
    mail_id = in_doubt(room)
    room.faults.always("tokens.access_token", ConsentRequired("AADSTS50173", "revoked"))

    go_on(room, hours=50)

    mail = room.ledger.mail(mail_id)
    assert (mail.status, mail.reason) == (Status.UNKNOWN, "could_not_look")


def test_two_workers_that_look_at_once_write_one_outcome(room: Room) -> None:
    mail_id = in_doubt(room)
    room.places.heard(room.accounts.rows["billing"], in_time=True)
    heard: list[Heard] = []

    def second() -> None:
        heard.append(room.hear(mail_id))
        room.clock.forward(seconds=1)

    room.faults.after("drafts.find", second)

    heard.append(look(room, mail_id))

    assert heard == [Heard.SENT, Heard.LEFT]
    assert [e.status for e in room.ledger.mail(mail_id).events].count(Status.SENT) == 1


def test_a_look_whose_bell_was_lost_is_made_by_the_timer(room: Room) -> None:
    mail_id = in_doubt(room)
    room.bell.rings.clear()

    go_on(room, hours=1)

    assert room.status(mail_id) is Status.SENT


def test_a_person_who_sends_it_again_gets_a_new_draft(room: Room) -> None:
    mail_id = in_doubt(room)
    room.drafts.letters[0].visible = False
    for _ in range(5):
        look(room, mail_id)
    row = room.ledger.get(mail_id)
    assert row is not None

    again = row.mail.moved(Status.QUEUED, room.clock.now)

    assert (row.mail.draft_id, again.draft_id, again.looks) == ("draft-1", None, 0)


def test_an_account_that_lost_the_right_to_read_still_sends_the_draft_it_has(room: Room) -> None:
    mail_id = room.accepted()
    room.drafts.answers["send"] = [THROTTLED]
    room.hear(mail_id)
    room.accounts.remember(room.accounts.change("billing", scopes=frozenset({"Mail.Send"})))
    room.clock.forward(minutes=5)

    assert room.hear(mail_id) is Heard.SENT
    assert (len(room.drafts.sent), room.graph.posts) == (1, [])


def test_a_direct_mail_whose_worker_died_is_unknown_though_the_account_can_read_by_now() -> None:
    room = Room(account_of())
    mail_id = room.accepted()
    room.faults.after("graph.send_mail", Crash())
    crash(room, mail_id)
    room.accounts.remember(room.accounts.change("billing", scopes=READ_WRITE))
    room.clock.forward(seconds=301)

    assert room.hear(mail_id) is Heard.UNKNOWN
    assert room.ledger.mail(mail_id).reason == "worker_lost"
    assert len(room.graph.posts) == 1


# A draft that may have been sent before, and refusals.

CODES_OF_USED_DRAFTS = [
    GraphAnswer(400, "ErrorInvalidRequest"),
    GraphAnswer(403, "ErrorCannotUpdateSentItem"),
    GraphAnswer(404, "ErrorMessageNotFound"),
    GraphAnswer(409),
    GraphAnswer(410),
]


def seen_as_a_draft_for_ever(room: Room, mail_id: str) -> None:
    """An index that is behind: the sent mail shows as the draft that it was."""
    stale = Found(GraphAnswer(200), [Copy("draft-1", is_draft=True)])

    def find(access_token: str, mailbox: str, sought: Sought) -> Found:
        return stale

    room.drafts.find = find  # type: ignore[method-assign]


@pytest.mark.parametrize("answer", CODES_OF_USED_DRAFTS, ids=str)
def test_no_refusal_of_a_draft_that_was_sent_before_fails_the_mail(answer: GraphAnswer) -> None:
    room = Room(verified_account(), patience=Patience(4, 48 * 3600))
    mail_id = in_doubt(room)
    seen_as_a_draft_for_ever(room, mail_id)
    room.drafts.answers["send"] = [answer] * 50

    go_on(room, hours=50)

    mail = room.ledger.mail(mail_id)
    assert (mail.status, mail.reason) == (Status.UNKNOWN, "not_found")
    assert (len(room.drafts.sent), room.drafts.removed) == (1, [])


@pytest.mark.parametrize("answer", [REFUSED, GraphAnswer(410)], ids=str)
def test_a_refused_draft_that_a_look_still_sees_is_removed_and_its_mail_fails(
    room: Room, answer: GraphAnswer
) -> None:
    mail_id = room.accepted()
    room.drafts.answers["send"] = [THROTTLED, answer]
    room.hear(mail_id)
    room.clock.forward(minutes=1)

    heard = [room.hear(mail_id), *(look(room, mail_id) for _ in range(4))]

    assert heard == [*[Heard.UNKNOWN] * 4, Heard.FAILED]
    assert (room.drafts.removed, room.drafts.sent) == (["draft-1"], [])
    mail = room.ledger.mail(mail_id)
    assert (mail.reason, mail.draft_id) == (answer.code or "bad_request", None)


def test_a_draft_that_cannot_be_removed_leaves_its_mail_open(room: Room) -> None:
    mail_id = room.accepted()
    room.drafts.answers = {"send": [THROTTLED, REFUSED], "remove": [BROKEN]}
    room.hear(mail_id)
    room.clock.forward(minutes=1)
    room.hear(mail_id)

    heard = [look(room, mail_id) for _ in range(5)]

    assert heard == [*[Heard.UNKNOWN] * 4, Heard.FAILED]


@pytest.mark.parametrize("trouble", [GraphAnswer(500), GRAPH_LOST], ids=["500", "lost"])
def test_a_mail_whose_sending_never_succeeds_fails_in_the_end_and_leaves_no_draft(
    trouble: GraphAnswer | Exception,
) -> None:
    room = Room(verified_account(), patience=Patience(3, 48 * 3600))
    mail_id = room.accepted()
    if isinstance(trouble, GraphAnswer):
        room.drafts.answers["send"] = [trouble] * 100
    else:
        room.faults.always("drafts.send", trouble)

    go_on(room, hours=3)

    mail = room.ledger.mail(mail_id)
    assert (mail.status, mail.reason, mail.attempts) == (Status.FAILED, "not_sent", 3)
    assert (room.drafts.letters, room.faults.calls["drafts.send"]) == ([], 3)


def test_workers_that_die_over_a_draft_again_and_again_fail_its_mail() -> None:
    room = Room(verified_account(), patience=Patience(3, 48 * 3600))
    mail_id = room.accepted()
    for _ in range(3):
        room.faults.before("drafts.send", Crash())
        crash(room, mail_id)
        room.clock.forward(seconds=301)
        room.hear(mail_id)

    assert (room.status(mail_id), room.drafts.letters) == (Status.FAILED, [])


def test_a_mail_that_ran_out_of_attempts_is_looked_for_and_its_draft_removed() -> None:
    room = Room(verified_account(), patience=Patience(1, 48 * 3600))
    mail_id = room.accepted()
    room.drafts.answers["send"] = [THROTTLED]

    assert room.hear(mail_id) is Heard.UNKNOWN
    go_on(room, hours=1)

    assert (room.status(mail_id), room.ledger.mail(mail_id).reason) == (
        Status.FAILED,
        "ApplicationThrottled",
    )
    assert room.drafts.letters == []


@pytest.mark.parametrize("seconds", [86400.0 * 365, 1e15])
def test_no_look_is_put_off_for_longer_than_six_hours(room: Room, seconds: float) -> None:
    mail_id = in_doubt(room)
    room.drafts.answers["find"] = [GraphAnswer(503, retry_after=seconds)]

    look(room, mail_id)

    assert room.ledger.mail(mail_id).due_at == room.clock.now + timedelta(hours=6)


# A run that has an end, and faults of our own.

FILE = "attachments/big.bin"


def with_files(count: int, size: int) -> tuple[Room, str]:
    room = Room(verified_account(), max_bytes=64 * 1024 * 1024)
    room.files.blobs["attachments"]["big.bin"] = b"x" * size
    named = [{"filename": f"{n}.bin", "blob": FILE} for n in range(count)]
    return room, room.accepted(attachments=named)


@pytest.mark.parametrize(
    ("call", "count", "size"), [("drafts.attach", 100, 200_000), ("drafts.chunk", 1, 25_000_000)]
)
def test_a_mail_that_outlasts_a_run_is_given_up_in_time_and_tried_again(
    call: str, count: int, size: int
) -> None:
    room, mail_id = with_files(count, size)
    for nth in range(1, 101):
        room.faults.after(call, lambda: room.clock.forward(seconds=40), nth=nth)
    began = room.clock.now

    assert room.hear(mail_id) is Heard.LATER
    assert room.clock.now - began <= timedelta(seconds=RUN_SECONDS)
    mail = room.ledger.mail(mail_id)
    assert (mail.reason, mail.draft_id, room.drafts.letters) == ("out_of_time", None, [])
    assert mail.due_at > room.clock.now


def test_a_run_ends_before_the_host_ends_it() -> None:
    host = json.loads((Path(__file__).parents[4] / "host.json").read_text(encoding="utf-8"))
    hours, minutes, seconds = map(int, host["functionTimeout"].split(":"))

    assert hours * 3600 + minutes * 60 + seconds >= RUN_SECONDS + 60


@pytest.mark.parametrize("call", ["files.chunk", "ledger.update"])
def test_storage_that_refuses_for_a_moment_fails_no_mail(call: str) -> None:
    room, mail_id = with_files(1, 5_000_000)
    room.faults.after("drafts.create", lambda: room.clock.forward(seconds=150))
    refused = RemoteRefused("storage", "storage answered 403")
    room.faults.before(call, refused, nth=2 if call == "ledger.update" else 1)

    assert room.hear(mail_id) is Heard.LATER
    assert room.ledger.mail(mail_id).reason == "attachment_unreadable"


def test_an_upload_that_leads_elsewhere_fails_its_mail() -> None:
    room, mail_id = with_files(1, 5_000_000)
    room.faults.before("drafts.upload", RemoteRefused("graph", "not one of Microsoft's"))

    assert room.hear(mail_id) is Heard.FAILED
    assert room.ledger.mail(mail_id).reason == "upload_elsewhere"


@pytest.mark.parametrize(
    ("call", "heard"), [("drafts.create", Heard.LATER), ("drafts.send", Heard.UNKNOWN)]
)
def test_a_fault_of_our_own_does_not_keep_a_verified_mail(
    room: Room, call: str, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    mail_id = room.accepted()
    room.faults.after(call, OverflowError("a bug"))

    assert room.hear(mail_id) is heard
    assert room.ledger.mail(mail_id).status is not Status.SENDING
    assert "internal_error" in caplog.text
    assert "OverflowError" in caplog.text
    go_on(room, hours=1)
    assert (room.status(mail_id), len(room.drafts.sent)) == (Status.SENT, 1)


def test_a_pause_longer_than_a_mail_is_tried_holds_its_account(room: Room) -> None:
    mail_id = room.accepted()
    room.drafts.answers["create"] = [GraphAnswer(503, retry_after=200_000.0)]

    assert room.hear(mail_id) is Heard.HELD
    held_until = room.accounts.rows["billing"].held_until
    assert held_until == room.clock.now + timedelta(seconds=200_000)


# Another From address.


@pytest.mark.parametrize("call", ["create", "send"])
def test_a_denied_from_address_is_the_mails_trouble(call: str) -> None:
    room = Room(account_of(scopes=SHARED, allowed_from=("info@contoso.com",)))
    mail_id = room.accepted(**{"from": "info@contoso.com"})
    room.drafts.answers[call] = [DENIED]

    assert room.hear(mail_id) is Heard.FAILED


@pytest.mark.parametrize("call", ["create", "send"])
def test_a_token_that_is_refused_is_the_accounts_trouble_whatever_the_from_address(
    call: str,
) -> None:
    room = Room(account_of(scopes=SHARED, allowed_from=("info@contoso.com",)))
    mail_id = room.accepted(**{"from": "info@contoso.com"})
    room.drafts.answers[call] = [EXPIRED, EXPIRED]

    assert room.hear(mail_id) is Heard.HELD


# The setting for direct mails.


def test_an_unknown_direct_mail_is_sent_again_where_the_setting_says_so_and_its_story_tells() -> (
    None
):
    room = Room(account_of(), send_unknown_again=True)
    mail_id = room.accepted()
    room.graph.answers = [GRAPH_LOST, ACCEPTED]

    assert room.hear(mail_id) is Heard.LATER
    room.clock.forward(minutes=1)
    assert room.hear(mail_id) is Heard.SENT

    mail = room.ledger.mail(mail_id)
    assert SENT_AGAIN in [step.reason for step in mail.events]
    assert "twice" in (mail.help or "")


def test_sending_again_ends_in_unknown_and_not_in_failed() -> None:
    room = Room(account_of(), send_unknown_again=True)
    mail_id = room.accepted()
    room.graph.default = GRAPH_LOST

    go_on(room, hours=50)

    assert room.status(mail_id) is Status.UNKNOWN
