"""Queue messages: what the trigger hands over, and bells."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from shared.errors import RemoteRefused
from shared.services.intake.outbox_message import mail_id_in, read, wake_up_for
from tests.fakes import NOW, queue_message

MAIL_ID = "01a01f0a-da00-72d3-a652-e44da7f29e26"


def test_a_bell_carries_nothing_but_the_id() -> None:
    assert wake_up_for(MAIL_ID) == f'{{"postroom":"bell","mail_id":"{MAIL_ID}"}}'


def test_a_bell_is_understood() -> None:
    assert mail_id_in(wake_up_for(MAIL_ID).encode()) == MAIL_ID


@pytest.mark.parametrize(
    "document",
    [
        b'{"to":"a@example.com","text":"x"}',
        b'{"to":"a@example.com","subject":"postroom","text":"x"}',
        b'{"mail_id":"x"}',
        b'{"postroom":"bell"}',
        b'{"postroom":"bell","mail_id":7}',
        b'{"postroom":"bell","mail_id":"x","to":"a@example.com"}',
        b'{"postroom":"gong","mail_id":"x"}',
        b'{"postroom"',
    ],
)
def test_whatever_is_not_exactly_a_bell_is_none(document: bytes) -> None:
    assert mail_id_in(document) is None


def test_a_trigger_message_is_unpacked() -> None:
    message = read(queue_message(b"x", "m1", NOW))

    assert (message.message_id, message.inserted_at, message.body) == ("m1", NOW, b"x")


@pytest.mark.parametrize(("message_id", "inserted_at"), [(None, NOW), ("", NOW), ("m1", None)])
def test_a_message_without_identity_is_an_error(
    message_id: str | None, inserted_at: datetime | None
) -> None:
    """A redelivery could not be told from a new mail."""
    with pytest.raises(RemoteRefused):
        read(queue_message(b"x", message_id, inserted_at))


def test_the_hosts_metadata_gives_an_aware_time() -> None:
    """The worker's own converter, with what the host sends."""
    from azure.functions.meta import Datum
    from azure.functions.queue import QueueMessageInConverter

    message = QueueMessageInConverter.decode(
        Datum("{}", "string"),
        trigger_metadata={
            "Id": Datum("m1", "string"),
            "InsertionTime": Datum('"2026-08-20T12:00:00+00:00"', "json"),
        },
    )

    assert read(message).inserted_at == datetime(2026, 8, 20, 12, tzinfo=UTC)


def test_a_document_that_only_mentions_the_word_is_no_bell() -> None:
    assert mail_id_in(b'{"mail_id":"postroom"}') is None
    assert mail_id_in(b'{"mail_id":"01a0","x":"postroom"}') is None
