"""What a mail's content is kept as."""

from __future__ import annotations

import random
import zlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail.address import Address
from shared.mail.message import Attachment, Importance, Message, StoredFile
from shared.services.mails.packing import Packed, pack, unpack

quick = settings(deadline=None, derandomize=True, max_examples=60)

addresses = st.builds(Address, email=st.text(), name=st.text())
many = st.lists(addresses, max_size=3).map(tuple)
messages = st.builds(
    Message,
    sender=st.none() | addresses,
    to=many,
    cc=many,
    bcc=many,
    reply_to=many,
    subject=st.text(),
    text=st.none() | st.text(),
    html=st.none() | st.text(),
    attachments=st.lists(
        st.builds(
            Attachment,
            filename=st.text(),
            content=st.binary()
            | st.builds(StoredFile, st.text(), st.text(), st.integers(0, 2**40), st.text()),
            content_type=st.text(),
            content_id=st.none() | st.text(),
        ),
        max_size=2,
    ).map(tuple),
    headers=st.lists(st.tuples(st.text(), st.text()), max_size=2).map(tuple),
    importance=st.sampled_from(Importance),
    read_receipt=st.booleans(),
    delivery_receipt=st.booleans(),
    save_to_sent_items=st.booleans(),
    mime=st.none() | st.binary(),
)


@quick
@given(messages, addresses)
def test_what_was_packed_comes_out_the_same(message: Message, sender: Address) -> None:
    packed = Packed(message=message, sender=sender)

    assert unpack(pack(packed)) == packed


def test_raw_text_comes_out_the_same() -> None:
    assert unpack(pack(Packed(raw=b"\x00\xff"))) == Packed(raw=b"\x00\xff")


def test_text_is_compressed() -> None:
    message = Message(sender=None, text="la " * 10_000)

    assert len(pack(Packed(message=message))) < 1000


@pytest.mark.parametrize(
    "damaged", [b"", b"noise", pack(Packed(raw=b"x" * 100))[:-9], b"x\x9cK\x04\x00\x00b\x00b"]
)
def test_damaged_bytes_are_an_error_of_their_own(damaged: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        unpack(damaged)


def test_bytes_of_another_shape_are_damaged_too() -> None:
    with pytest.raises(ValueError, match="damaged"):
        unpack(zlib.compress(b'{"message": 7}'))


@pytest.mark.parametrize("around", [b"", b"la " * 200_000])
def test_a_large_file_comes_out_the_same_whether_it_can_be_compressed_or_not(
    around: bytes,
) -> None:
    content = random.Random(1).randbytes(300_000) + around  # noqa: S311 - filler
    packed = Packed(message=Message(sender=None, attachments=(Attachment("f", content),)))

    assert unpack(pack(packed)) == packed
    assert (len(pack(packed)) < len(content)) is bool(around)


def test_what_an_earlier_version_compressed_is_still_read() -> None:
    packed = Packed(raw=random.Random(1).randbytes(300_000))  # noqa: S311 - filler

    assert unpack(zlib.compress(msgspec.msgpack.encode(packed), level=1)) == packed
