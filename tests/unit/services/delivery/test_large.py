"""Files in storage: named by callers, kept apart at acceptance, read at delivery, removed at the end."""

from __future__ import annotations

import base64
import json
import secrets

import pytest

from shared.errors import NotSent, RequestRejected
from shared.mail.limits import CHUNK_BYTES, SEPARATE_BYTES
from shared.mail.message import Attachment, StoredFile
from shared.mail.status import Status
from shared.services.delivery.delivery_result import DeliveryResult
from shared.services.intake.file_fields import blob_fault
from shared.services.intake.mail_document import Order, read_json
from shared.services.mails.packing import unpack
from tests.fakes import NOT_REACHED, NOW, Crash, FakeServices, account_of, document_of, order_of

WRITES = account_of(scopes=frozenset({"Mail.Send", "Mail.ReadWrite"}))
SENDS = account_of()
REPORT = {"filename": "report.pdf", "blob": "attachments/2026/report.pdf"}
LARGE = secrets.token_bytes(SEPARATE_BYTES)


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


@pytest.fixture
def verified_room() -> FakeServices:
    return FakeServices(WRITES)


def put(services: FakeServices, content: bytes, name: str = "2026/report.pdf") -> None:
    services.files.blobs["attachments"][name] = content


def uploaded(*contents: bytes) -> Order:
    files = [Attachment(f"{index}.bin", content) for index, content in enumerate(contents)]
    return read_json(json.dumps(document_of()).encode(), NOW, files=files)


def fields_of(refused: RequestRejected) -> list[str]:
    return [problem.field for problem in refused.errors]


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "attachments",
        "attachments/",
        "attachments//a",
        "attachments/a/",
        "attachments/a//b",
        "attachments/.",
        "attachments/..",
        "attachments/../payloads/x",
        "attachments/a/../../payloads/x",
        "attachments/a/./b",
        "attachments/a.",
        "attachments\\a",
        "attachments/a\\..\\b",
        "attachments/a\nb",
        "attachments/a\x00",
        "attachments/a\x85",
        "attachments/a?sv=2024&sig=x",
        "attachments/a?snapshot=2026-01-01T00:00:00Z",
        "attachments/a#b",
        "attachments/" + "x" * 1025,
        "/attachments/a",
        "Attachments/a",
        "attachments /a",
        "payloads/x",
        "$root/a",
        "a",
        "../attachments/a",
        "https://st.blob.core.windows.net/attachments/a",
        "attachments/https://evil.example/a",
        "//evil.example/attachments/a",
        "file:///etc/passwd",
    ],
)
def test_a_reference_that_is_no_plain_name_in_the_container_is_refused(reference: str) -> None:
    with pytest.raises(RequestRejected) as caught:
        order_of(attachments=[{"filename": "a", "blob": reference}])

    assert fields_of(caught.value) == ["attachments[0].blob"]


@pytest.mark.parametrize(
    "name", ["a", "a b.pdf", "2026/08/ü €.pdf", "a..b", "..a", "%2e%2e/a", "x" * 1024, "a=1&b"]
)
def test_a_plain_name_is_taken_as_it_is(name: str) -> None:
    order = order_of(attachments=[{"filename": "a", "blob": f"attachments/{name}"}])

    assert order.message.attachments[0].content == StoredFile("attachments", name)
    assert blob_fault(f"attachments/{name}") is None


@pytest.mark.parametrize(
    ("attachment", "field"),
    [
        ({"filename": "a"}, "attachments[0].content"),
        ({"filename": "a", "content": None, "blob": None}, "attachments[0].content"),
        ({"filename": "a", "content": "", "blob": "attachments/a"}, "attachments[0].blob"),
        ({"filename": "a", "content": "YQ==", "blob": "payloads/a"}, "attachments[0].blob"),
    ],
)
def test_a_file_has_either_content_or_a_blob(attachment: dict[str, object], field: str) -> None:
    with pytest.raises(RequestRejected) as caught:
        order_of(attachments=[attachment])

    assert fields_of(caught.value) == [field]


def test_another_blob_is_another_document() -> None:
    hashes = {
        order_of(attachments=[{"filename": "a", **file}]).document_hash
        for file in (
            {"blob": "attachments/a"},
            {"blob": "attachments/b"},
            {"content": ""},
            {"content": "YQ=="},
            {"content": "Yg=="},
        )
    }

    assert len(hashes) == 5


def test_a_named_file_is_looked_at_once_and_remembered_as_it_stood(services: FakeServices) -> None:
    put(services, b"pdf")

    mail = services.accept(attachments=[REPORT]).mail

    packed = unpack(mail.payload.inline or b"")
    assert packed.message is not None
    seen = packed.message.attachments[0].content
    assert isinstance(seen, StoredFile)
    assert (seen.size, bool(seen.etag)) == (3, True)
    assert (services.faults.calls["files.head"], services.files.read) == (1, [])


def test_a_mail_without_named_files_costs_no_look(services: FakeServices) -> None:
    services.accept(attachments=[{"filename": "a", "content": "YQ=="}])

    assert not any(call.startswith("files.") for call in services.faults.calls)


def test_files_that_are_not_there_are_refused_by_field_and_nothing_is_stored(
    services: FakeServices,
) -> None:
    put(services, b"pdf")
    missing = {"filename": "b", "blob": "attachments/b"}

    with pytest.raises(RequestRejected) as caught:
        services.accept(attachments=[missing, REPORT, missing], idempotency_key="k")

    assert (caught.value.kind.code, caught.value.kind.status) == ("attachment_missing", 422)
    assert fields_of(caught.value) == ["attachments[0].blob", "attachments[2].blob"]
    assert (services.ledger.mails, services.keys.claims) == ([], {})


def test_a_named_file_counts_for_the_limits_by_its_size(services: FakeServices) -> None:
    put(services, bytes(3_100_000))

    with pytest.raises(RequestRejected) as caught:
        services.accept(attachments=[REPORT])

    assert caught.value.kind.code == "mail_too_large"
    assert services.ledger.mails == []


def test_storage_that_does_not_answer_the_look_is_no_refusal(services: FakeServices) -> None:
    services.faults.before("files.head", NOT_REACHED)

    with pytest.raises(NotSent):
        services.accept(attachments=[REPORT])

    assert services.ledger.mails == []


def test_a_dry_run_looks_and_stores_nothing(services: FakeServices) -> None:
    with pytest.raises(RequestRejected):
        services.accept(attachments=[REPORT], dry_run=True)


def test_a_named_file_that_fits_one_request_is_sent_from_an_account_without_drafts(
    services: FakeServices,
) -> None:
    put(services, b"pdf" * 1000)
    mail_id = services.accepted(attachments=[REPORT])

    result = services.handle(mail_id)

    (post,) = services.graph.posts
    (sent,) = post.message["attachments"]
    assert result is DeliveryResult.SENT
    assert sent["contentBytes"] == base64.b64encode(b"pdf" * 1000).decode()
    assert "2026/report.pdf" in services.files.blobs["attachments"]


@pytest.mark.parametrize(
    ("now", "reason"), [(b"another", "attachment_changed"), (None, "attachment_gone")]
)
def test_a_named_file_that_is_not_the_same_any_more_fails_the_mail_and_nothing_is_sent(
    services: FakeServices, now: bytes | None, reason: str
) -> None:
    put(services, b"pdf")
    mail_id = services.accepted(attachments=[REPORT])
    del services.files.blobs["attachments"]["2026/report.pdf"]
    if now is not None:
        put(services, now)

    result = services.handle(mail_id)

    mail = services.ledger.mail(mail_id)
    assert (result, mail.status, mail.reason) == (DeliveryResult.FAILED, Status.FAILED, reason)
    assert "send the mail anew" in (mail.help or "")
    assert services.graph.posts == []


def test_a_named_file_that_storage_does_not_hand_out_is_tried_again(services: FakeServices) -> None:
    put(services, b"pdf")
    mail_id = services.accepted(attachments=[REPORT])
    services.faults.before("files.chunk", NOT_REACHED)

    result = services.handle(mail_id)

    mail = services.ledger.mail(mail_id)
    assert (result, mail.status, mail.reason) == (
        DeliveryResult.LATER,
        Status.QUEUED,
        "attachment_unreadable",
    )
    assert services.graph.posts == []


def test_a_queue_message_may_name_a_file_too(services: FakeServices) -> None:
    put(services, b"pdf")

    result = services.outbox.handle(services.message(document_of(attachments=[REPORT])))

    assert result is DeliveryResult.SENT
    assert services.faults.calls["files.head"] == 1


def test_a_queue_message_that_names_a_missing_file_is_written_down_as_failed(
    services: FakeServices,
) -> None:
    result = services.outbox.handle(services.message(document_of(attachments=[REPORT])))

    (mail,) = services.ledger.mails
    assert (result, mail.status, mail.reason) == (
        DeliveryResult.FAILED,
        Status.FAILED,
        "attachment_missing",
    )
    assert "attachments[0].blob is not in the container attachments" in (mail.help or "")


def test_a_large_file_is_kept_apart_and_the_rest_stays_in_the_row(
    verified_room: FakeServices,
) -> None:
    mail = verified_room.submission.accept(uploaded(LARGE, b"small")).mail

    assert mail.payload.inline is not None
    assert mail.payload.blob is None
    (name,) = mail.payload.files
    assert name.startswith(f"{mail.mail_id}/")
    assert verified_room.payloads.blobs == {name: LARGE}
    message = unpack(mail.payload.inline).message
    assert message is not None
    large, small = message.attachments
    assert isinstance(large.content, StoredFile)
    assert (large.content.container, large.content.name) == ("payloads", name)
    assert (large.size, small.content) == (len(LARGE), b"small")
    assert mail.size == len(mail.payload.inline) + len(LARGE)


def test_a_file_just_below_that_stays_packed(verified_room: FakeServices) -> None:
    mail = verified_room.submission.accept(uploaded(LARGE[:-1])).mail

    assert mail.payload.files == ()
    assert list(verified_room.payloads.blobs) == [mail.payload.blob]


def test_a_large_file_can_be_read_in_chunks(verified_room: FakeServices) -> None:
    mail = verified_room.submission.accept(uploaded(LARGE * 3)).mail
    message = unpack(mail.payload.inline or b"").message
    assert message is not None
    file = message.attachments[0].content
    assert isinstance(file, StoredFile)

    content = b"".join(verified_room.files.chunks(file, CHUNK_BYTES))

    assert content == LARGE * 3
    assert max(verified_room.files.read) == CHUNK_BYTES


def test_a_second_try_after_a_crash_keeps_one_copy(verified_room: FakeServices) -> None:
    order = uploaded(LARGE)
    keyed = read_json(
        json.dumps(document_of(idempotency_key="k")).encode(),
        NOW,
        files=order.message.attachments,
    )
    verified_room.faults.before("ledger.insert", Crash())
    with pytest.raises(Crash):
        verified_room.submission.accept(keyed)

    mail = verified_room.submission.accept(keyed).mail

    assert list(verified_room.payloads.blobs) == list(mail.payload.files)


def test_an_account_that_lost_the_right_to_write_drafts_fails_a_large_mail_and_says_what_is_missing(
    verified_room: FakeServices,
) -> None:
    mail_id = verified_room.submission.accept(uploaded(LARGE * 2)).mail.mail_id
    verified_room.accounts.change("billing", scopes=SENDS.scopes)
    verified_room.accounts.all(fresh=True)

    result = verified_room.handle(mail_id)

    mail = verified_room.ledger.mail(mail_id)
    assert (result, mail.reason) == (DeliveryResult.FAILED, "mail_too_large")
    assert "Mail.ReadWrite" in (mail.help or "")
    assert verified_room.files.read == []
