"""A worker's lease on one mail, as the senders use it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from msgspec.structs import replace

from shared.errors import LostRace, OutOfTime
from shared.mail.mail import Mail
from shared.services.clock import Clock
from shared.services.mails.ports import Versioned

Write = Callable[[Mail, str], str | None]
"""Writes a mail if the row has this ETag. Returns the new ETag, or None if another worker was
first."""


RUN_SECONDS = 500.0
"""Seconds from the claim to the end of the last request that is started for a mail. The rest of
`functionTimeout` (host.json) is left for giving up: cancel an upload, remove a draft, write the
outcome. If the host ended the process, it would also end the requests for other mails."""


class MailLease:
    """Fulfils `sending.Claim` by conditional writes."""

    def __init__(
        self,
        held: Versioned,
        write: Write,
        clock: Clock,
        *,
        lease_seconds: float,
        request_seconds: float,
    ) -> None:
        self.held = held
        self._write = write
        self._clock = clock
        self._lease = timedelta(seconds=lease_seconds)
        self._request_seconds = request_seconds
        self._ends = held.mail.updated_at + timedelta(seconds=RUN_SECONDS)
        self.may_have_asked = False
        """Whether a request may have been made that only the holder of the lease may make."""

    @property
    def mail(self) -> Mail:
        """See `Claim`."""
        return self.held.mail

    def still_ours(self) -> bool:
        """See `Claim`. A request started now ends before the lease does."""
        self.may_have_asked = self._has_time(self._left())
        return self.may_have_asked

    def renew(self) -> None:
        """See `Claim`."""
        if not self._has_time(self._ends - self._clock()):
            raise OutOfTime("no time is left for another request")
        if self._left() <= self._lease * 2 / 3:
            self._change(self.mail)

    def keep_draft(self, draft_id: str, message_id: str | None) -> None:
        """See `Claim`. The lease begins anew: all that is left to do is one request."""
        self._change(replace(self.mail, draft_id=draft_id, message_id=message_id))

    def _left(self) -> timedelta:
        now = self._clock()
        return (self.mail.lease_until or now) - now

    def _has_time(self, left: timedelta) -> bool:
        """Whether a request that starts now can end within the lease and within the function's
        time."""
        most = min(left, self._ends - self._clock())
        return most.total_seconds() > self._request_seconds

    def _change(self, mail: Mail) -> None:
        now = self._clock()
        changed = replace(mail, updated_at=now, lease_until=now + self._lease)
        etag = self._write(changed, self.held.etag)
        if etag is None:
            raise LostRace("the mail is another worker's by now")
        self.held = Versioned(changed, etag)
