"""Mails that go as MIME on a verified account: what arrives, and how they are found in mailboxes that
drop our header or replace the Message-ID.

The simulator does both as Microsoft's documentation and field reports have it, each by a switch.
"""

from __future__ import annotations

import base64
import email
import email.policy
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Literal
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from local.simulator.graph.compose import source_of
from shared.adapters.graph.drafts import MOST_SOURCES, GraphDrafts
from shared.adapters.graph.mail_service import Graph
from shared.adapters.graph.upload_session import UploadSessions
from shared.mail.account import Account, AccountKind
from shared.mail.address import Address
from shared.mail.graph_payload import JSON, MIME, draft_request
from shared.mail.key_names import KEY_PROPERTY
from shared.mail.message import Message
from shared.mail.outcome import Evidence, Verdict
from shared.services.delivery.known_header import KnownHeader
from shared.services.delivery.ports import MarkedDraft
from shared.services.delivery.verified_sending import VerifiedSending
from shared.services.mails.packing import Packed
from tests.contract.conftest import Stand
from tests.contract.signed_mail import signed_part, verify
from tests.contract.test_graph_adapter import BILLING, KEY, issue
from tests.fakes import Faults, FreeClaim, MemoryFiles, MemoryPayloads, account_of, mail_of

GRACE = Address("grace@example.org")
PERSONAL = Address("postroom.demo@outlook.com", "Postroom Demo")
BOTH = Message(sender=None, to=(GRACE,), subject="Both", text="plain", html="<p>rich</p>")
READ_WRITE = frozenset({"Mail.Send", "Mail.ReadWrite", "User.Read"})
WORK = account_of(scopes=READ_WRITE)
CONSUMER = account_of(
    "me",
    scopes=READ_WRITE,
    address=PERSONAL.email,
    kind=AccountKind.PERSONAL,
)

RewrittenAt = Literal["draft", "send"]
HEADER = pytest.mark.parametrize("drops", [False, True], ids=["header", "no-header"])
RENAMED = pytest.mark.parametrize("renamed_at", [None, "draft", "send"])


def now() -> datetime:
    return datetime.now(UTC)


class Issued:
    """Fulfils `accounts.ports.Tokens` with tokens that the simulator issued."""

    def __init__(self, stand: Stand) -> None:
        self._stand = stand

    def access_token(self, account: Account) -> str:
        return issue(self._stand, *account.scopes, address=account.address)

    def forget(self, account: Account, access_token: str) -> None:
        raise AssertionError("no token is refused here")


class Post:
    """Verified sending against the simulator, and what it shows."""

    def __init__(self, stand: Stand, graph: Graph, uploads: UploadSessions) -> None:
        self.stand = stand
        self.graph = graph
        self.drafts = GraphDrafts(graph, uploads)
        self.tokens = Issued(stand)
        files = MemoryFiles(Faults(), MemoryPayloads(Faults()))
        self.sending = VerifiedSending(
            self.drafts,
            self.tokens,  # type: ignore[arg-type]  # renews nothing
            files,
            now,
            sleep=lambda seconds: None,
        )
        self.claim = FreeClaim(mail_of(KEY, accepted_at=now()))

    def option(self, **changes: object) -> None:
        self.stand.control("options", {"graph": changes})

    def knows_header(self, account: Account = WORK) -> None:
        """What the sign-in does."""
        KnownHeader(self.drafts).make_known(account, self.tokens.access_token(account))

    def send(self, message: Message = BOTH, account: Account = WORK) -> Verdict:
        sender = message.sender or Address(account.address)
        return self.sending.send(
            account, Packed(message=message, sender=sender), self.claim
        ).verdict

    def evidence(self, account: Account = WORK) -> Evidence:
        return self.sending.find_out(account, self.claim.mail).evidence

    def requests(self) -> Counter[str]:
        """How often each operation of Graph was asked for."""
        counts = self.stand.control("counts", None, "GET")["counts"]
        return Counter({name: n for name, n in counts.items() if name.startswith("graph.")})

    def arrived(self) -> list[bytes]:
        """The source of each mail, as its recipients have it."""
        return [source_of(one.message) for one in self.stand.simulator.state.graph.letters()]

    def marked(self, account: Account = WORK) -> list[MarkedDraft]:
        token = self.tokens.access_token(account)
        soon = now() + timedelta(minutes=1)
        return list(self.drafts.marked(token, account.graph_path, soon))


@pytest.fixture
def post(stand: Stand) -> Iterator[Post]:
    graph = Graph(stand.stack["graph_url"], ca_file=stand.ca_file, send_seconds=1.0, clock=now)
    uploads = UploadSessions(
        ca_file=stand.ca_file,
        chunk_seconds=2.0,
        clock=now,
        local_host=urlsplit(stand.stack["graph_url"]).netloc,
        sleep=lambda seconds: None,
    )
    yield Post(stand, graph, uploads)
    uploads.close()
    graph.close()


def switched(post: Post, account: Account, *, drops: bool, renamed_at: RewrittenAt | None) -> None:
    if not drops:
        post.knows_header(account)
    post.option(
        mime_drops_unknown_headers=drops,
        mime_message_id_kept=renamed_at is None,
        personal_mime_message_id_kept=renamed_at is None,
        mime_message_id_rewritten_at=renamed_at or "send",
    )


# What arrives.


def test_a_mime_mail_takes_two_requests_and_arrives_as_it_was_made(post: Post) -> None:
    post.knows_header()
    before = post.requests()

    assert post.send() is Verdict.SENT

    assert post.requests() - before == Counter({"graph.create_message": 1, "graph.send_message": 1})
    (source,) = post.arrived()
    found = email.message_from_bytes(source)
    assert found.get_all("X-Postroom-Key") == [KEY]
    assert found.get_all("Message-ID") == [f"<postroom.{KEY}@contoso.com>"]
    assert found.get_content_type() == "multipart/alternative"


def test_a_signed_mail_verifies_at_its_recipient(post: Post) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    signed = signed_part(b"Content-Type: text/plain\r\n\r\nSigned words.\r\n", key)
    raw = b"From: billing@contoso.com\r\nTo: grace@example.org\r\nSubject: s\r\n" + signed

    assert post.send(Message(sender=BILLING, to=(GRACE,), mime=raw)) is Verdict.SENT

    (source,) = post.arrived()
    assert source.partition(b"\r\n\r\n")[2] == raw.partition(b"\r\n\r\n")[2]
    verify(source, key)


def test_an_invitation_keeps_its_method(post: Post) -> None:
    calendar = EmailMessage(policy=email.policy.SMTP)
    calendar["From"], calendar["To"], calendar["Subject"] = BILLING.email, GRACE.email, "Meeting"
    calendar.set_content("A meeting.")
    calendar.add_alternative(
        b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n",
        "text",
        "calendar",
        params={"method": "REQUEST", "charset": "utf-8"},
    )

    post.send(Message(sender=BILLING, to=(GRACE,), mime=calendar.as_bytes()))

    (source,) = post.arrived()
    parts = {part.get_content_type(): part for part in email.message_from_bytes(source).walk()}
    assert parts["text/calendar"].get_param("method") == "REQUEST"


def test_a_thread_and_a_list_keep_their_headers(post: Post) -> None:
    headers = (
        ("In-Reply-To", "<a@example.org>"),
        ("References", "<a@example.org>"),
        ("List-Unsubscribe", "<https://contoso.com/u?x=1>"),
    )

    post.send(Message(sender=BILLING, to=(GRACE,), text="Hello", headers=headers))

    (source,) = post.arrived()
    found = email.message_from_bytes(source)
    assert [(name, found[name]) for name, _ in headers] == list(headers)


# How it is found.


@RENAMED
@HEADER
@pytest.mark.parametrize("account", [WORK, CONSUMER], ids=["work", "personal"])
def test_a_mail_whose_answer_was_lost_is_found_or_left_open_and_never_taken_for_unsent(
    post: Post, account: Account, drops: bool, renamed_at: RewrittenAt | None
) -> None:
    switched(post, account, drops=drops, renamed_at=renamed_at)
    post.stand.fault("graph.send_message", when="after", action="reset")

    assert post.send(account=account) is Verdict.UNKNOWN

    traceless = drops and renamed_at == "send"
    assert post.evidence(account) is (Evidence.NOTHING if traceless else Evidence.SENT)
    assert len(post.arrived()) == 1


@RENAMED
@HEADER
@pytest.mark.parametrize("account", [WORK, CONSUMER], ids=["work", "personal"])
def test_a_mail_that_was_not_sent_is_seen_as_the_draft_that_it_is(
    post: Post, account: Account, drops: bool, renamed_at: RewrittenAt | None
) -> None:
    switched(post, account, drops=drops, renamed_at=renamed_at)
    post.stand.fault("graph.send_message", when="before", action="reset")

    assert post.send(account=account) is Verdict.UNKNOWN

    assert post.evidence(account) is Evidence.DRAFT
    assert post.arrived() == []


def test_a_draft_that_is_gone_is_no_proof_of_anything(post: Post) -> None:
    post.stand.fault("graph.send_message", when="before", action="reset")
    post.send()
    token = post.tokens.access_token(WORK)

    post.drafts.remove(token, "/me", str(post.claim.mail.draft_id))

    assert post.evidence() is Evidence.NOTHING


@pytest.mark.parametrize("status", [400, 429, 503])
def test_a_search_that_is_refused_never_makes_a_sent_mail_unsent(post: Post, status: int) -> None:
    post.knows_header()
    post.stand.fault("graph.send_message", when="after", action="reset")
    post.send()
    post.stand.fault("graph.list_messages", status=status, times=-1)

    assert post.evidence() in (Evidence.NOTHING, Evidence.UNSEEN)


def test_a_filter_for_the_header_that_exchange_does_not_take_hides_no_draft(post: Post) -> None:
    """The searches for the property and the Message-ID are answered, then that one is refused."""
    post.stand.fault("graph.send_message", when="before", action="reset")
    post.send()
    found = post.drafts._searched

    def searched(token: str, mailbox: str, condition: str) -> object:
        if "X-Postroom-Key" in condition:
            post.stand.fault("graph.list_messages", status=400, code="ErrorInvalidUrlQueryFilter")
        return found(token, mailbox, condition)

    post.drafts._searched = searched  # type: ignore[method-assign, assignment]

    assert post.evidence() is Evidence.DRAFT


def test_another_mail_with_the_same_message_id_is_not_taken_for_this_one(post: Post) -> None:
    raw = (
        b"From: billing@contoso.com\r\nTo: grace@example.org\r\nMessage-ID: <one@app>\r\n\r\nHello"
    )
    twin = Message(sender=BILLING, to=(GRACE,), mime=raw)
    post.option(mime_drops_unknown_headers=True)
    post.send(twin)
    given = mail_of(
        "01a203ad-b662-7144-9552-511623ad80cb", accepted_at=now(), message_id_given=True
    )
    post.claim = FreeClaim(given)
    post.stand.fault("graph.send_message", when="before", action="reset")

    post.send(twin)

    assert post.evidence() is Evidence.NOTHING
    post.claim.mail = mail_of(KEY, draft_id=post.claim.mail.draft_id)
    assert post.evidence() is Evidence.DRAFT


def with_message_id_of(post: Post, count: int) -> None:
    """Raw mails of another caller with the Message-ID that the mail's view shows; the mailbox drops
    their keys."""
    mail_id = "01a203ad-b662-7144-9552-511623ad80cb"
    raw = (
        "From: billing@contoso.com\r\nTo: grace@example.org\r\n"
        f"Message-ID: {post.claim.mail.message_id}\r\n\r\nHello"
    )
    claim = post.claim
    for _ in range(count):
        post.claim = FreeClaim(mail_of(mail_id, accepted_at=now(), message_id_given=True))
        post.send(Message(sender=BILLING, to=(GRACE,), mime=raw.encode()))
    post.claim = claim


PLAIN = Message(sender=None, to=(GRACE,), subject="Plain", text="plain")


@pytest.mark.parametrize("sent", [False, True], ids=["unsent", "sent"])
@pytest.mark.parametrize("removed", [False, True], ids=["draft-stays", "draft-removed"])
def test_the_message_id_of_a_json_mail_on_anothers_raw_mail_decides_nothing(
    post: Post, sent: bool, removed: bool
) -> None:
    post.option(mime_drops_unknown_headers=True)
    when: Literal["before", "after"] = "after" if sent else "before"
    post.stand.fault("graph.send_message", when=when, action="reset")
    post.send(PLAIN)
    with_message_id_of(post, 1)
    if removed and not sent:
        post.drafts.remove(post.tokens.access_token(WORK), "/me", str(post.claim.mail.draft_id))

    expected = Evidence.SENT if sent else Evidence.NOTHING if removed else Evidence.DRAFT
    assert post.evidence() is expected


def test_few_sources_of_copies_without_a_key_are_read(post: Post) -> None:
    post.option(mime_drops_unknown_headers=True)
    post.stand.fault("graph.send_message", when="before", action="reset")
    post.send(PLAIN)
    with_message_id_of(post, MOST_SOURCES + 1)

    assert post.evidence() is Evidence.DRAFT
    assert post.stand.count("graph.message_source") == MOST_SOURCES


def test_a_copy_that_shows_its_key_has_its_source_unread(post: Post) -> None:
    post.stand.fault("graph.send_message", when="after", action="reset")
    post.send(PLAIN)

    assert post.evidence() is Evidence.SENT
    assert post.stand.count("graph.message_source") == 0


def test_a_source_that_is_not_given_out_leaves_a_sent_mail_open(post: Post) -> None:
    switched(post, WORK, drops=True, renamed_at="draft")
    post.stand.fault("graph.send_message", when="after", action="reset")
    post.send()
    post.stand.fault("graph.message_source", action="reset")

    assert post.evidence() is Evidence.NOTHING
    assert post.evidence() is Evidence.SENT


# A draft whose answer was lost.


@RENAMED
@HEADER
@pytest.mark.parametrize("account", [WORK, CONSUMER], ids=["work", "personal"])
def test_a_draft_whose_answer_was_lost_is_known_by_property_message_id_or_source(
    post: Post, account: Account, drops: bool, renamed_at: RewrittenAt | None
) -> None:
    switched(post, account, drops=drops, renamed_at=renamed_at)
    post.stand.fault("graph.create_message", when="after", action="reset")

    assert post.send(account=account) is Verdict.AGAIN

    assert [one.mail_id for one in post.marked(account)] == [KEY]
    assert post.stand.count("graph.message_source") == int(drops and renamed_at == "draft")


def test_drafts_of_persons_are_nobodys_and_few_of_them_are_read(post: Post) -> None:
    token = post.tokens.access_token(WORK)
    for number in range(MOST_SOURCES + 5):
        post.drafts.create(token, "/me", JSON, b'{"subject": "%d"}' % number)

    assert post.marked() == []
    assert post.stand.count("graph.message_source") == MOST_SOURCES


def test_only_drafts_of_those_minutes_are_listed(post: Post) -> None:
    token = post.tokens.access_token(WORK)
    request = draft_request(BOTH, BILLING, KEY, now())
    post.drafts.create(token, "/me", request.content_type, request.body)

    def listed(since: timedelta, before: timedelta) -> list[str]:
        found = post.drafts.marked(token, "/me", now() + before, now() + since)
        return [one.mail_id for one in found]

    minute = timedelta(minutes=1)
    assert listed(-minute, minute) == [KEY]
    assert listed(-2 * minute, -minute) == []
    assert listed(minute, 2 * minute) == []


def test_a_source_that_is_not_given_out_leaves_its_draft_alone(post: Post) -> None:
    post.option(mime_message_id_kept=False, mime_message_id_rewritten_at="draft")
    post.stand.fault("graph.create_message", when="after", action="reset")
    post.send()
    post.stand.fault("graph.message_source", action="reset")

    assert post.marked() == []


def test_a_sign_in_whose_draft_is_refused_ends_well(post: Post) -> None:
    post.stand.fault("graph.create_message", action="reset")
    post.knows_header()
    post.stand.fault("graph.create_message", status=403, code="ErrorAccessDenied")
    post.knows_header()

    assert post.send() is Verdict.SENT


def test_a_draft_of_the_version_before_is_found_by_the_key_that_it_was_given(post: Post) -> None:
    """It was made as MIME without a Message-ID, then its key was set by a PATCH."""
    token = post.tokens.access_token(WORK)
    source = b"From: billing@contoso.com\r\nTo: grace@example.org\r\n\r\nHello"
    draft_id = post.drafts.create(token, "/me", MIME, base64.b64encode(source)).draft_id
    assert draft_id is not None
    key = {"singleValueExtendedProperties": [{"id": KEY_PROPERTY, "value": KEY}]}
    body = json.dumps(key).encode()
    path = f"/me/messages/{draft_id}"
    post.graph.ask("PATCH", path, token, content_type=JSON, body=body)
    post.claim.keep_draft(draft_id, None)

    before = post.evidence()
    post.drafts.send(token, "/me", draft_id)

    assert (before, post.evidence()) == (Evidence.DRAFT, Evidence.SENT)


@pytest.mark.parametrize("message_id", [None, 7, "", "<a@b>\r\nBcc: <c@d>", "no brackets"])
def test_a_message_id_that_is_none_is_not_stored_and_stops_nothing(
    post: Post, message_id: object
) -> None:
    made = {"id": "draft-1", "internetMessageId": message_id}
    post.stand.fault("graph.create_message", status=201, body=json.dumps(made))
    token = post.tokens.access_token(WORK)

    answer = post.drafts.create(token, "/me", JSON, b"{}")

    assert (answer.draft_id, answer.message_id) == ("draft-1", None)
