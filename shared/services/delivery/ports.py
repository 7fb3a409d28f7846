"""What delivering needs: Microsoft Graph, and the timetable of each mailbox.

Interfaces, which `shared.adapters` fulfils. Every implementation raises only errors of
`shared.errors`: NotSent where a call had no effect, AnswerLost where that is not known, LostRace
where a condition did not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from shared.mail.outcome import Copy, GraphAnswer, Sought
from shared.mail.pace import Timetable
from shared.services.accounts.ports import Profile

if TYPE_CHECKING:
    from typing import Protocol
else:
    # For the type checker alone: real protocols cost time at each cold start.
    Protocol = object


class Timetables(Protocol):
    """Table `accounts`: the slots of each mailbox, shared by all instances."""

    def read(self, account_id: str) -> tuple[Timetable, str | None]:
        """A mailbox's timetable with its ETag; an empty one and None where there is none yet."""
        ...

    def write(self, account_id: str, timetable: Timetable, etag: str | None) -> str:
        """Insert (`etag` None) or replace under the ETag; returns the new one. Raises LostRace."""
        ...

    def forget(self, account_id: str) -> None:
        """Remove; removing what is not there is harmless."""
        ...


class MailService(Protocol):
    """Microsoft Graph. `mailbox`, here and below, is an account's `graph_path`."""

    def send_mail(
        self, access_token: str, mailbox: str, content_type: str, body: bytes
    ) -> GraphAnswer:
        """`POST {mailbox}/sendMail`. Raises NotSent or AnswerLost where no whole answer came back."""
        ...

    def me(self, access_token: str) -> Profile:
        """`GET /me`. Raises NotSent, or RemoteRefused where Graph says no."""
        ...

    def user(self, access_token: str, mailbox: str) -> Profile:
        """`GET {mailbox}`. Raises as `me` does. A directory may not let the app read other
        users."""
        ...


class AttachedFile(Protocol):
    """One attachment. It is read from its place in pieces."""

    @property
    def size(self) -> int:
        """Bytes in all."""
        ...

    def chunks(self, size: int) -> Iterator[bytes]:
        """The content from the start, in pieces of `size` bytes, the last one shorter.

        Raises FileChanged and RemoteError, as `Files.chunks` does.
        """
        ...


class DraftAnswer(msgspec.Struct, frozen=True):
    """Graph's answer to the request for a draft, with the draft's id if it was made (201)."""

    answer: GraphAnswer
    draft_id: str | None = None
    message_id: str | None = None
    """The draft's Message-ID, if the answer has a usable one."""


class Found(msgspec.Struct, frozen=True):
    """Graph's answer to a search for a mail, with the messages that were found (200)."""

    answer: GraphAnswer
    copies: Sequence[Copy] = ()


class MarkedDraft(msgspec.Struct, frozen=True):
    """A message in Drafts that was made for a mail. It is not a stray draft as long as its mail
    refers to it."""

    draft_id: str
    mail_id: str
    created_at: datetime


class Drafts(Protocol):
    """Microsoft Graph, with Mail.ReadWrite: messages as drafts. No call is repeated in here.

    Every call raises NotSent or AnswerLost where no whole answer came back.
    """

    def create(
        self, access_token: str, mailbox: str, content_type: str, body: bytes
    ) -> DraftAnswer:
        """`POST {mailbox}/messages`."""
        ...

    def attach(self, access_token: str, mailbox: str, draft_id: str, body: bytes) -> GraphAnswer:
        """`POST {mailbox}/messages/{id}/attachments`: below 3 MB; done is 201."""
        ...

    def upload(
        self,
        access_token: str,
        mailbox: str,
        draft_id: str,
        session: bytes,
        file: AttachedFile,
        keep_alive: Callable[[], None],
    ) -> GraphAnswer:
        """Add a file of 3 MB or more by an upload session, in chunks; done is 201.

        `session` is the body that opens it. `keep_alive` is called before each chunk and may raise
        LostRace. After a lost answer the upload continues where Graph says. After any other answer
        than 201 the upload is cancelled, and the draft must not be used. Raises RemoteRefused if
        the session is not on a host of Microsoft.
        """
        ...

    def send(self, access_token: str, mailbox: str, draft_id: str) -> GraphAnswer:
        """`POST {mailbox}/messages/{id}/send`; done is 202."""
        ...

    def find(self, access_token: str, mailbox: str, sought: Sought) -> Found:
        """The messages of a mail, in any folder. They are found by the mail's key (as JSON and as
        MIME carry it), by its Message-ID, and by the draft's id. The mail's own draft is among them
        only if Graph returns it under that id."""
        ...

    def trials(self, access_token: str, mailbox: str) -> Found:
        """The drafts that checks of the account have left behind."""
        ...

    def marked(
        self, access_token: str, mailbox: str, before: datetime, since: datetime | None = None
    ) -> Sequence[MarkedDraft]:
        """The messages in Drafts that were created in that time and made for a mail; some hundreds
        at most. The youngest ones that show no key are recognised by their source. Raises NotSent
        if Graph did not answer, RemoteRefused if it refused."""
        ...

    def remove(self, access_token: str, mailbox: str, draft_id: str) -> GraphAnswer:
        """`DELETE {mailbox}/messages/{id}`. Done is 204; 404 means that it was not there."""
        ...
