"""How a mail's content is kept between acceptance and delivery: MessagePack, compressed."""

from __future__ import annotations

import zlib

import msgspec

from shared.mail.address import Address
from shared.mail.message import Message


class Packed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message with its chosen sender; or, for what could not be understood, the raw bytes."""

    message: Message | None = None
    sender: Address | None = None
    raw: bytes | None = None


_decoder = msgspec.msgpack.Decoder(Packed)


def pack(content: Packed) -> bytes:
    """To bytes. Level 1: attachments are mostly compressed already."""
    return zlib.compress(msgspec.msgpack.encode(content), level=1)


def unpack(data: bytes) -> Packed:
    """From bytes. Raises ValueError where they are damaged."""
    try:
        return _decoder.decode(zlib.decompress(data))
    except (zlib.error, msgspec.DecodeError) as error:
        raise ValueError("the payload is damaged") from error
