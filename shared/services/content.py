"""What a mail holds, for a person to look at."""

from __future__ import annotations

from shared.errors import RemoteError
from shared.mail.mail import Mail
from shared.mail.message import Message
from shared.services.packing import unpack
from shared.services.ports import Payloads


class Content:
    """Reads payloads."""

    def __init__(self, payloads: Payloads) -> None:
        self._payloads = payloads

    def of(self, mail: Mail) -> Message | None:
        """The message; None where it is not kept any more, out of reach, or was never one."""
        try:
            if mail.payload.inline is not None:
                return unpack(mail.payload.inline).message
            if mail.payload.blob is not None:
                return unpack(self._payloads.get(mail.payload.blob)).message
        except (RemoteError, ValueError):
            return None
        return None
