"""Drafts through the Graph adapter against the simulator: made, sent, found, uploaded to, listed.

The simulator is written from Microsoft's documentation and says what really went out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from shared.adapters.graph.drafts import GraphDrafts
from shared.adapters.graph.mail_service import Graph
from shared.adapters.graph.upload_session import UploadSessions
from shared.errors import AnswerLost, LostRace, RemoteRefused
from shared.mail.account import user_path
from shared.mail.address import Address
from shared.mail.graph_payload import (
    JSON,
    attachment_request,
    draft_request,
    session_request,
    trial_request,
)
from shared.mail.limits import CHUNK_BYTES
from shared.mail.message import Attachment, Message
from shared.mail.outcome import (
    Evidence,
    GraphAnswer,
    SearchResult,
    Sought,
    Verdict,
    judge_draft,
    judge_draft_send,
    judge_look,
)
from shared.services.delivery.ports import MarkedDraft
from shared.services.mails.stored_files import Attached
from tests.contract.conftest import Stand
from tests.contract.test_graph_adapter import BILLING, KEY, deliveries, issue
from tests.fakes import Faults, MemoryFiles, MemoryPayloads

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
GRACE = Address("grace@example.org")
SMALL = Message(sender=None, to=(GRACE,), subject="Hello", text="Good day.")
BOTH = Message(sender=None, to=(GRACE,), subject="Both", text="plain", html="<p>rich</p>")
BIG = os.urandom(2 * CHUNK_BYTES + 1234)


@pytest.fixture
def graph(stand: Stand) -> Iterator[Graph]:
    adapter = Graph(
        stand.stack["graph_url"], ca_file=stand.ca_file, send_seconds=1.0, clock=lambda: NOW
    )
    yield adapter
    adapter.close()


@pytest.fixture
def uploads(stand: Stand) -> Iterator[UploadSessions]:
    sessions = UploadSessions(
        ca_file=stand.ca_file,
        chunk_seconds=2.0,
        clock=lambda: NOW,
        local_host=urlsplit(stand.stack["graph_url"]).netloc,
        sleep=lambda seconds: None,
    )
    yield sessions
    sessions.close()


@pytest.fixture
def drafts(graph: Graph, uploads: UploadSessions) -> GraphDrafts:
    return GraphDrafts(graph, uploads)


@pytest.fixture
def token(stand: Stand) -> str:
    return issue(stand, "Mail.Send", "Mail.ReadWrite", "User.Read")


def made(drafts: GraphDrafts, token: str, message: Message = SMALL) -> str:
    """A finished draft; its id."""
    request = draft_request(message, BILLING, KEY, NOW)
    answer = drafts.create(token, "/me", request.content_type, request.body)
    assert answer.answer.status == 201
    assert answer.draft_id is not None
    assert answer.message_id is not None
    return answer.draft_id


def looked(
    drafts: GraphDrafts, token: str, draft_id: str, message_id: str | None = None
) -> SearchResult:
    sought = Sought(KEY, draft_id, message_id)
    found = drafts.find(token, "/me", sought)
    return judge_look(found.answer, found.copies, sought)


def marked(drafts: GraphDrafts, token: str) -> list[MarkedDraft]:
    return list(drafts.marked(token, "/me", datetime.now(UTC) + timedelta(minutes=1)))


def known_header(drafts: GraphDrafts, token: str, mailbox: str = "/me") -> None:
    """What the sign-in does."""
    trial = drafts.create(token, mailbox, JSON, trial_request()).draft_id
    drafts.remove(token, mailbox, str(trial))


def upload(drafts: GraphDrafts, token: str, draft_id: str, content: bytes = BIG) -> GraphAnswer:
    item = Attachment("ü big.bin", content, "application/x-big")
    files = MemoryFiles(Faults(), MemoryPayloads(Faults()))
    return drafts.upload(
        token, "/me", draft_id, session_request(item), Attached(item, files), lambda: None
    )


def names(stand: Stand) -> list[tuple[str, int]]:
    (sent,) = deliveries(stand)
    return [(one["name"], one["size"]) for one in sent["attachments"]]


@pytest.mark.parametrize("message", [SMALL, BOTH], ids=["json", "mime"])
def test_a_draft_is_found_by_its_key_before_and_after_it_is_sent(
    stand: Stand, drafts: GraphDrafts, token: str, message: Message
) -> None:
    known_header(drafts, token)
    draft_id = made(drafts, token, message)

    before = looked(drafts, token, draft_id)
    answer = drafts.send(token, "/me", draft_id)
    after = looked(drafts, token, draft_id)

    assert (before.evidence, answer.status, after.evidence) == (Evidence.DRAFT, 202, Evidence.SENT)
    assert [sent["key"] for sent in deliveries(stand)] == [KEY]


def test_a_used_draft_is_refused_and_sends_nothing(
    stand: Stand, drafts: GraphDrafts, token: str
) -> None:
    draft_id = made(drafts, token)
    drafts.send(token, "/me", draft_id)

    again = drafts.send(token, "/me", draft_id)

    assert judge_draft_send(again, untouched=False).verdict is Verdict.UNKNOWN
    assert len(deliveries(stand)) == 1


def test_a_fresh_draft_that_is_not_found_yet_is_no_failure(
    stand: Stand, drafts: GraphDrafts, token: str
) -> None:
    stand.control("options", {"graph": {"fresh_draft_misses": 1}})
    draft_id = made(drafts, token)

    early = judge_draft_send(drafts.send(token, "/me", draft_id), untouched=True)

    assert (early.verdict, early.draft_is_gone) == (Verdict.AGAIN, True)
    assert drafts.send(token, "/me", draft_id).status == 202


def test_a_submitted_draft_that_lists_still_show_is_taken_for_nothing(
    stand: Stand, drafts: GraphDrafts, token: str
) -> None:
    stand.control(
        "options", {"graph": {"sent_items_delay_seconds": 60, "submitted_draft_visible": True}}
    )
    draft_id = made(drafts, token)
    drafts.send(token, "/me", draft_id)

    assert looked(drafts, token, draft_id).evidence is Evidence.NOTHING
    assert drafts.send(token, "/me", draft_id).status == 404


def test_a_copy_that_shows_late_is_not_found_yet(
    stand: Stand, drafts: GraphDrafts, token: str
) -> None:
    stand.control("options", {"graph": {"sent_items_delay_seconds": 60}})
    draft_id = made(drafts, token)
    drafts.send(token, "/me", draft_id)

    assert looked(drafts, token, draft_id).evidence is Evidence.NOTHING


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        ({"status": 429}, Verdict.THROTTLED),
        ({"status": 503}, Verdict.AGAIN),
        ({"status": 500, "when": "after"}, Verdict.AGAIN),
        ({"status": 200, "action": "empty"}, Verdict.AGAIN),
        ({"status": 403, "code": "ErrorAccessDenied"}, Verdict.NEEDS_SIGN_IN),
        ({"status": 413, "action": "html"}, Verdict.FAILED),
    ],
    ids=str,
)
def test_an_answer_to_making_a_draft_never_leaves_a_send_open(
    stand: Stand, drafts: GraphDrafts, token: str, fault: dict[str, object], verdict: Verdict
) -> None:
    stand.fault("graph.create_message", **fault)
    request = draft_request(SMALL, BILLING, KEY, NOW)

    found = drafts.create(token, "/me", request.content_type, request.body)

    assert found.draft_id is None
    assert judge_draft(found.answer).verdict is verdict
    assert deliveries(stand) == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_to_a_send_is_found_out(
    stand: Stand, drafts: GraphDrafts, token: str, when: str
) -> None:
    draft_id = made(drafts, token)
    stand.fault("graph.send_message", when=when, action="reset")

    with pytest.raises(AnswerLost):
        drafts.send(token, "/me", draft_id)

    seen = looked(drafts, token, draft_id).evidence
    assert seen is (Evidence.SENT if when == "after" else Evidence.DRAFT)
    assert len(deliveries(stand)) == (1 if when == "after" else 0)


def test_without_the_right_to_read_nothing_is_seen(stand: Stand, drafts: GraphDrafts) -> None:
    look = looked(drafts, issue(stand, "Mail.Send"), "draft")

    assert look.evidence is Evidence.UNSEEN
    assert look.outcome is not None
    assert look.outcome.verdict is Verdict.NEEDS_SIGN_IN


def test_marked_drafts_are_listed_over_pages_and_others_are_not(
    stand: Stand, drafts: GraphDrafts, token: str
) -> None:
    made(drafts, token)
    unmarked = draft_request(BOTH, BILLING, "01a203ad-b662-7144-9552-511623ad80cb", NOW)
    drafts.create(token, "/me", unmarked.content_type, unmarked.body)
    drafts.create(token, "/me", "application/json", b'{"subject": "a person writes this"}')

    found = marked(drafts, token)

    assert {draft.mail_id for draft in found} == {KEY, "01a203ad-b662-7144-9552-511623ad80cb"}
    assert all(draft.created_at.tzinfo is not None for draft in found)


def test_what_a_check_left_behind_is_found_and_is_no_mails(drafts: GraphDrafts, token: str) -> None:
    trial = drafts.create(token, "/me", "application/json", trial_request()).draft_id
    mail = made(drafts, token)

    assert [one.message_id for one in drafts.trials(token, "/me").copies] == [trial]
    assert [one.draft_id for one in marked(drafts, token)] == [mail]


def test_a_long_list_of_drafts_is_read_to_its_end(
    stand: Stand, drafts: GraphDrafts, token: str
) -> None:
    made(drafts, token)
    for number in range(105):
        drafts.create(token, "/me", "application/json", b'{"subject": "%d"}' % number)

    assert [draft.mail_id for draft in marked(drafts, token)] == [KEY]


def test_a_removed_draft_is_not_found_as_the_mails(
    stand: Stand, drafts: GraphDrafts, token: str
) -> None:
    draft_id = made(drafts, token)

    answer = drafts.remove(token, "/me", draft_id)

    assert answer.status == 204
    assert marked(drafts, token) == []
    assert looked(drafts, token, draft_id).evidence is Evidence.NOTHING


def test_a_small_file_is_attached_by_one_request(
    stand: Stand, drafts: GraphDrafts, token: str
) -> None:
    draft_id = made(drafts, token)
    item = Attachment("one.txt", b"", "text/plain")

    answer = drafts.attach(token, "/me", draft_id, attachment_request(item, b"x" * 2_900_000))
    drafts.send(token, "/me", draft_id)

    assert answer.status == 201
    assert names(stand) == [("one.txt", 2_900_000)]


def test_a_large_file_is_uploaded_in_chunks_without_a_token(
    stand: Stand, drafts: GraphDrafts, token: str
) -> None:
    draft_id = made(drafts, token, BOTH)

    answer = upload(drafts, token, draft_id)
    drafts.send(token, "/me", draft_id)

    assert answer.status == 201
    assert stand.count("graph.upload_chunk") == 3
    assert names(stand) == [("ü big.bin", len(BIG))]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "fault",
    [{"action": "reset"}, {"status": 503}, {"status": 429, "headers": {"Retry-After": "1"}}],
    ids=str,
)
def test_a_chunk_whose_answer_is_lost_is_taken_up_again(
    stand: Stand, drafts: GraphDrafts, token: str, when: str, fault: dict[str, object]
) -> None:
    draft_id = made(drafts, token)
    stand.fault("graph.upload_chunk", when=when, **fault)

    answer = upload(drafts, token, draft_id)
    drafts.send(token, "/me", draft_id)

    assert answer.status == 201
    assert names(stand) == [("ü big.bin", len(BIG))]


def test_an_upload_that_is_refused_is_cancelled(
    stand: Stand, drafts: GraphDrafts, token: str
) -> None:
    draft_id = made(drafts, token)
    stand.fault("graph.upload_chunk", status=400, code="InvalidContentRange")

    answer = upload(drafts, token, draft_id)

    assert answer.status == 400
    assert stand.count("graph.cancel_upload") == 1


def test_a_worker_that_lost_its_claim_cancels_its_upload(
    stand: Stand, drafts: GraphDrafts, token: str
) -> None:
    draft_id = made(drafts, token)
    item = Attachment("big.bin", BIG)
    files = MemoryFiles(Faults(), MemoryPayloads(Faults()))

    def lost() -> None:
        raise LostRace("the mail is another worker's by now")

    with pytest.raises(LostRace):
        drafts.upload(token, "/me", draft_id, session_request(item), Attached(item, files), lost)

    assert stand.count("graph.cancel_upload") == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://outlook.office.com.example.org/api/x?authtoken=1",
        "http://outlook.office.com/api/x?authtoken=1",
        "https://user@outlook.office.com/api/x",
        "https://outlook.office.com:8443/api/x",
        "https://127.0.0.1/api/x",
        "https://[::1/x",
        "",
        None,
    ],
)
def test_a_file_is_uploaded_to_microsofts_hosts_only(
    uploads: UploadSessions, url: str | None
) -> None:
    item = Attachment("big.bin", BIG)
    files = MemoryFiles(Faults(), MemoryPayloads(Faults()))

    with pytest.raises(RemoteRefused):
        uploads.carry(url, Attached(item, files), lambda: None)


@pytest.mark.parametrize("address", ["info@contoso.com", "$neil@contoso.com"])
def test_every_step_of_a_draft_is_taken_in_the_mailbox_that_is_named(
    stand: Stand, drafts: GraphDrafts, address: str
) -> None:
    holder = BILLING.email
    rights = {"send_as": [holder], "full_access": [holder]}
    stand.control("mailboxes", {"address": address, "kind": "shared", **rights})
    token = issue(stand, "Mail.Send.Shared", "Mail.ReadWrite.Shared")
    mailbox = user_path(address)
    small = Attachment("s.txt", b"x", "text/plain")
    files = MemoryFiles(Faults(), MemoryPayloads(Faults()))
    large = Attachment("l.bin", BIG, "application/x-big")

    request = draft_request(BOTH, Address(address), KEY, NOW)
    made = drafts.create(token, mailbox, request.content_type, request.body).draft_id
    assert made is not None
    steps = [
        drafts.attach(token, mailbox, made, attachment_request(small, b"x")).status,
        drafts.upload(
            token, mailbox, made, session_request(large), Attached(large, files), lambda: None
        ).status,
    ]
    sought = Sought(KEY, made)
    found = [one.message_id for one in drafts.find(token, mailbox, sought).copies]
    later = datetime.now(UTC) + timedelta(minutes=1)
    marked = [one.draft_id for one in drafts.marked(token, mailbox, later)]
    sent = drafts.send(token, mailbox, made).status

    assert steps == [201, 201]
    assert (found, marked, sent) == ([made], [made], 202)
    assert drafts.remove(token, mailbox, made).status == 404
    (delivery,) = deliveries(stand)
    assert (delivery["mailbox"], delivery["from"]) == (address, address)
    assert drafts.find(token, "/me", sought).copies == []
