"""The stored form of a mail's content: MessagePack, compressed if that makes it smaller."""

from __future__ import annotations

import zlib

import msgspec

from shared.mail.address import Address
from shared.mail.message import Message


class Packed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message with its sender; or the raw bytes of a message that could not be read."""

    message: Message | None = None
    sender: Address | None = None
    raw: bytes | None = None
    saves_copy: bool | msgspec.UnsetType | None = msgspec.UNSET
    """Whether the caller wanted a copy in Sent Items; None if it did not say, or if an earlier
    version accepted the mail. `message` has the decision."""


_decoder = msgspec.msgpack.Decoder(Packed)

_PIECE = 16 * 1024
# The first byte of every zlib stream. MessagePack's maps begin with 0x80 or more.
_ZLIB = b"\x78"


def pack(content: Packed) -> bytes:
    """The stored bytes. Compression level 1 is enough: what can be compressed is mostly text."""
    plain = msgspec.msgpack.encode(content)
    return zlib.compress(plain, level=1) if _shrinks(plain) else plain


def unpack(data: bytes) -> Packed:
    """The content of stored bytes. Raises ValueError if they are damaged."""
    try:
        return _decoder.decode(zlib.decompress(data) if data[:1] == _ZLIB else data)
    except (zlib.error, msgspec.DecodeError) as error:
        raise ValueError("the payload is damaged") from error


def _shrinks(data: bytes) -> bool:
    """Whether compression is worth its time, judged by three samples. Attachments are usually
    compressed already, and 2 MB of them would take longer than the rest of accepting a mail."""
    if len(data) <= 8 * _PIECE:
        return True
    pieces = [data[at : at + _PIECE] for at in (len(data) * part // 4 for part in (1, 2, 3))]
    return any(len(zlib.compress(piece, level=1)) < 0.9 * _PIECE for piece in pieces)
