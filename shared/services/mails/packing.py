"""How a mail's content is kept between acceptance and delivery: MessagePack, compressed if that helps."""

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
    saves_copy: bool | msgspec.UnsetType | None = msgspec.UNSET
    """What the caller said of Sent Items, None for nothing: the message says what came of it. Not
    known of mails that earlier versions accepted."""


_decoder = msgspec.msgpack.Decoder(Packed)

_PIECE = 16 * 1024
# What every zlib stream begins with; MessagePack's maps begin with 0x80 or more.
_ZLIB = b"\x78"


def pack(content: Packed) -> bytes:
    """To bytes. Level 1: what can be compressed is mostly text."""
    plain = msgspec.msgpack.encode(content)
    return zlib.compress(plain, level=1) if _shrinks(plain) else plain


def unpack(data: bytes) -> Packed:
    """From bytes. Raises ValueError where they are damaged."""
    try:
        return _decoder.decode(zlib.decompress(data) if data[:1] == _ZLIB else data)
    except (zlib.error, msgspec.DecodeError) as error:
        raise ValueError("the payload is damaged") from error


def _shrinks(data: bytes) -> bool:
    """Whether compressing is worth its time: attachments are mostly compressed already, and 2 MB
    of those would take longer than all the rest of accepting a mail. Told by three pieces."""
    if len(data) <= 8 * _PIECE:
        return True
    pieces = [data[at : at + _PIECE] for at in (len(data) * part // 4 for part in (1, 2, 3))]
    return any(len(zlib.compress(piece, level=1)) < 0.9 * _PIECE for piece in pieces)
