"""What a mail holds, for a person to look at."""

from __future__ import annotations

from shared.errors import RemoteError
from shared.mail.mail import Mail
from shared.mail.message import Message
from shared.services.packing import Packed, unpack
from shared.services.ports import Payloads

MOST_RAW = 16_000
"""Bytes of a raw queue message that are shown: a page stays small."""


class Content:
    """Reads payloads."""

    def __init__(self, payloads: Payloads) -> None:
        self._payloads = payloads

    def of(self, mail: Mail) -> Message | None:
        """The message; None where it is not kept any more, out of reach, or was never one."""
        return self._packed(mail).message

    def raw_of(self, mail: Mail) -> str | None:
        """The text of a queue message that could not become a mail, as far as it is shown; None
        where the mail is a whole one or nothing is kept."""
        raw = self._packed(mail).raw
        if raw is None:
            return None
        cut = " [...]" if len(raw) > MOST_RAW else ""
        return raw[:MOST_RAW].decode(errors="replace") + cut

    def _packed(self, mail: Mail) -> Packed:
        try:
            if mail.payload.inline is not None:
                return unpack(mail.payload.inline)
            if mail.payload.blob is not None:
                return unpack(self._payloads.get(mail.payload.blob))
        except (RemoteError, ValueError):
            return Packed()
        return Packed()
