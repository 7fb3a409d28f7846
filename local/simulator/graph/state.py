"""The simulated mail service: mailboxes, and the rules by which requests change them.

Each method is one request; it returns a value or raises a `GraphError`. `handlers` reads and writes
the HTTP, `delivery` does what follows a 202.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from local.simulator.clock import Clock
from local.simulator.directory import Directory, User
from local.simulator.entra.tokens import AccessTokens
from local.simulator.graph import compose, reading
from local.simulator.graph.access import Access, Authors, authors, primary
from local.simulator.graph.delivery import Letter, Submission, Transport
from local.simulator.graph.errors import (
    InvalidRecipients,
    ItemNotFound,
    MessageSizeExceeded,
    SentItemIsReadOnly,
    TooManyRecipients,
    UnableToDeserializePostBody,
)
from local.simulator.graph.items import Address, Attachment, Message, is_custom
from local.simulator.graph.mailbox import Mailbox
from local.simulator.graph.options import GraphOptions
from local.simulator.graph.personal import check_limits
from local.simulator.graph.query_errors import NotSupported
from local.simulator.graph.shape import FOLDERS
from local.simulator.graph.throttle import Throttle
from local.simulator.graph.upload_address import UploadAddress
from local.simulator.graph.uploads import AttachmentItem, Session, Uploads
from local.simulator.organisations import Organisations

DRAFT_ONLY = {"subject", "body", "replyTo", "internetMessageId"}
"""[api: message-update]"""

OTHER_FOLDERS = frozenset(
    [
        "clutter",
        "conflicts",
        "conversationhistory",
        "localfailures",
        "msgfolderroot",
        "recoverableitemsdeletions",
        "scheduled",
        "searchfolders",
        "serverfailures",
        "syncissues",
    ]
)
"""Well-known folders [res: mailfolder] that the simulator does not have."""

_ADDRESS = re.compile(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+")


class GraphState:
    """All mailboxes. Safe to use from any thread."""

    def __init__(
        self,
        clock: Clock,
        directory: Directory,
        organisations: Organisations,
        tokens: AccessTokens,
    ) -> None:
        self.clock = clock
        self.directory = directory
        self.organisations = organisations
        self.tokens = tokens
        self.options = GraphOptions()
        self.upload_address = UploadAddress()
        self.throttle = Throttle(clock.now, lambda: self.options)
        self._lock = threading.RLock()
        self._mailboxes: dict[str, Mailbox] = {}
        self._uploads = Uploads()
        self._transport = Transport(
            clock, directory, self._mailbox, lambda: self.options, self._lock
        )

    def reset(self) -> None:
        """Return to empty mailboxes and default options."""
        with self._lock:
            self.options = GraphOptions()
            self.forget_mails()
            self.throttle.reset()

    def forget_mails(self) -> None:
        """Empty all mailboxes."""
        with self._lock:
            self._mailboxes.clear()
            self._uploads.reset()
            self._transport.reset()

    def mailboxes_for_applications(self, tenant_id: str) -> Sequence[str] | None:
        """Addresses that application tokens may use in an organisation; None means all."""
        organisation = self.organisations.find(tenant_id)
        own = organisation.app_only_mailboxes if organisation else None
        return self.options.app_only_mailboxes if own is None else own

    def deliveries(self) -> list[dict[str, Any]]:
        """Every mail handed to transport, in order."""
        return self._transport.deliveries()

    def wait_for_deliveries(self, count: int, seconds: float) -> bool:
        """Wait until there are so many; False if the time ran out first."""
        return self._transport.wait_for(count, seconds)

    def letters(self) -> list[Letter]:
        """Every mail that arrived, for the inbox page."""
        return self._transport.letters()

    def send(self, access: Access, message: Message, *, save: bool = True) -> None:
        """sendMail: makes a hidden draft, which transport takes at once."""
        with self._lock:
            mailbox = self._prepare(access, message)
            self._rename(access, message)
            self._submit(access, mailbox, message, save=save)

    def create(self, access: Access, message: Message, folder: str = "drafts") -> Message:
        """Make a draft."""
        with self._lock:
            self._resolve_names(message)
            mailbox = self._prepare(access, message)
            if self.options.mime_message_id_rewritten_at == "draft":
                self._rename(access, message)
            message.folder = known_folder(folder)
            message.misses_left = self.options.fresh_draft_misses
            mailbox.add(message)
            return message

    def send_draft(self, access: Access, item_id: str) -> None:
        """Send a draft: its id becomes invalid, and the copy is always kept [api: message-send]."""
        with self._lock:
            mailbox = self._entered(access)
            message = mailbox.find_draft(item_id)
            if self.options.mime_message_id_rewritten_at == "send":
                self._rename(access, message)
            self._submit(access, mailbox, message, save=True)

    def find(self, access: Access, item_id: str) -> Message:
        with self._lock:
            return self._entered(access).find(item_id)

    def update(self, access: Access, item_id: str, changes: dict[str, Any]) -> Message:
        """PATCH: make all of the changes, or none."""
        with self._lock:
            mailbox = self._entered(access)
            message = mailbox.find(item_id)
            if not message.is_draft and DRAFT_ONLY & changes.keys():
                raise SentItemIsReadOnly
            if "attachments" in changes:
                raise UnableToDeserializePostBody
            now = self.clock.now()
            changed = replace(
                message,
                properties=dict(message.properties),
                multi_properties=dict(message.multi_properties),
            )
            reading.fill(changed, changes, now)
            mailbox.learn(changed, self.options.named_property_quota)
            if changes.keys() - {"isRead", "categories", "flag", "inferenceClassification"}:
                changed.recompose()
            changed.touch(now)
            vars(message).update(vars(changed))
            return message

    def delete(self, access: Access, item_id: str) -> None:
        """Move to Deleted Items, and from there delete for good; UNCONFIRMED (graph-mail.md
        2.2)."""
        with self._lock:
            mailbox = self._entered(access)
            message = mailbox.find(item_id)
            mailbox.remove(message)
            if message.folder != "deleteditems":
                moved = message.copied("deleteditems", self.clock.now())
                moved.is_draft, moved.immutable_id = message.is_draft, message.immutable_id
                mailbox.add(moved)

    def move(self, access: Access, item_id: str, folder: str) -> Message:
        """Move a message: its id changes, its immutable id stays [con: outlook-immutable-id]."""
        with self._lock:
            mailbox = self._entered(access)
            message, name = mailbox.find(item_id), known_folder(folder)
            mailbox.remove(message)
            moved = message.copied(name, self.clock.now())
            moved.immutable_id, moved.created = message.immutable_id, message.created
            return self._placed(mailbox, message, moved)

    def copy(self, access: Access, item_id: str, folder: str) -> Message:
        """Copy a message into a folder, under ids of its own."""
        with self._lock:
            mailbox = self._entered(access)
            message, name = mailbox.find(item_id), known_folder(folder)
            return self._placed(mailbox, message, message.copied(name, self.clock.now()))

    def _placed(self, mailbox: Mailbox, message: Message, copy: Message) -> Message:
        copy.is_draft = message.is_draft
        mailbox.add(copy)
        return copy

    def check_place(self, access: Access, item_id: str, folder: str) -> None:
        """Raises ItemNotFound if the message is in another folder than the path says."""
        with self._lock:
            found = self._entered(access).items.get(item_id)
            if found is not None and found.folder != known_folder(folder):
                raise ItemNotFound

    def purge(self, access: Access, item_id: str) -> None:
        with self._lock:
            mailbox = self._entered(access)
            mailbox.remove(mailbox.find(item_id))

    def listed(self, access: Access, folder: str | None) -> list[Message]:
        """The items that a list may show, newest first, before filters."""
        with self._lock:
            mailbox = self._entered(access)
            named = None if folder is None else known_folder(folder)
            return list(mailbox.listed(named, self.clock.now(), self.options))

    def attach(self, access: Access, item_id: str, attachment: Attachment) -> Attachment:
        with self._lock:
            message = self._entered(access).find_draft(item_id)
            if message.size + len(attachment.content) > self.options.message_size_limit:
                raise MessageSizeExceeded
            self._add_attachment(message, attachment)
            return attachment

    def detach(self, access: Access, item_id: str, attachment_id: str) -> None:
        with self._lock:
            message = self._entered(access).find_draft(item_id)
            kept = [one for one in message.attachments if one.id != attachment_id]
            if len(kept) == len(message.attachments):
                raise ItemNotFound
            message.attachments = kept
            message.recompose()
            message.touch(self.clock.now())

    def open_session(self, access: Access, item_id: str, item: AttachmentItem) -> Session:
        with self._lock:
            mailbox = self._entered(access)
            draft = mailbox.find_draft(item_id)
            now = self.clock.now()
            application = access.claims.client_id
            return self._uploads.open(mailbox, draft, application, item, now, self.options)

    def find_session(self, session_id: str, token: str) -> Session:
        with self._lock:
            return self._uploads.find(session_id, token, self.clock.now())

    def session_owner(self, session_id: str) -> str | None:
        """The address of the mailbox to which a file is uploaded."""
        with self._lock:
            return self._uploads.owner(session_id)

    def add_chunk(self, session: Session, content_range: str, chunk: bytes) -> Attachment | None:
        """Add a chunk. Returns the attachment after the last one."""
        with self._lock:
            now = self.clock.now()
            attachment = self._uploads.add_chunk(session, content_range, chunk, now)
            if attachment is not None:
                draft = session.mailbox.find_draft(session.draft.id)
                self._add_attachment(draft, attachment)
            return attachment

    def close_session(self, session: Session) -> None:
        with self._lock:
            self._uploads.close(session)

    def _add_attachment(self, message: Message, attachment: Attachment) -> None:
        message.attachments = [*message.attachments, attachment]
        message.recompose()
        message.touch(self.clock.now())

    def _mailbox(self, user: User) -> Mailbox:
        with self._lock:
            if user.object_id not in self._mailboxes:
                mailbox = Mailbox(user.object_id, user.tenant_id, primary(user))
                self._mailboxes[user.object_id] = mailbox
            return self._mailboxes[user.object_id]

    def _entered(self, access: Access) -> Mailbox:
        """The mailbox as it is now, after all steps that were due."""
        self._transport.settle()
        return self._mailbox(access.user)

    def _prepare(self, access: Access, message: Message) -> Mailbox:
        """The checks that already apply to a draft (step 1 of graph-mail.md 1.2)."""
        mailbox = self._entered(access)
        if message.size > self.options.message_size_limit:
            raise MessageSizeExceeded
        if message.mime is not None and (unknown := self._unknown_headers(mailbox, message)):
            compose.drop_headers(message, unknown)
        mailbox.learn(message, self.options.named_property_quota)
        return mailbox

    def _rename(self, access: Access, message: Message) -> None:
        """Replace a client's Message-ID, if the options say so for this account."""
        options, personal = self.options, access.user.kind == "personal"
        kept = options.personal_mime_message_id_kept if personal else options.mime_message_id_kept
        if not kept:
            compose.replace_message_id(message)

    def _submit(self, access: Access, mailbox: Mailbox, message: Message, *, save: bool) -> None:
        self._check_recipients(message)
        if access.user.kind == "personal":
            check_limits(access.user, mailbox, message, self.options, self.clock.now())
        keep_alias = self.options.send_from_alias
        who = authors(access, message.from_, self.directory, keep_alias=keep_alias)
        self._resolve_names(message)
        message.from_, message.sender = who.from_, who.sender
        compose.complete(message)
        if dropped := {name.lower() for name in self.options.dropped_headers}:
            compose.drop_headers(message, dropped)
        copy_to = self._mailbox(who.other) if who.other and self._keeps_copy(who) else None
        mailbox.add(message)
        self._transport.submit(Submission(mailbox, message, save, copy_to))

    def _keeps_copy(self, who: Authors) -> bool:
        """Whether the mailbox that was sent from also keeps a copy [Set-Mailbox.md]."""
        other = who.other
        if who.on_behalf:
            return self.options.copy_sent_on_behalf_to_mailbox or bool(
                other and other.copy_sent_on_behalf
            )
        return self.options.copy_sent_as_to_mailbox or bool(other and other.copy_sent_as)

    def _unknown_headers(self, mailbox: Mailbox, message: Message) -> set[str]:
        """MIME headers whose names this mailbox does not know from JSON yet [MGC#424]."""
        if not self.options.mime_drops_unknown_headers:
            return set()
        names = {name.lower() for name, _ in message.headers if is_custom(name)}
        return {name for name in names if f"header {name}" not in mailbox.learnt_names}

    def _check_recipients(self, message: Message) -> None:
        if not message.recipients:
            raise InvalidRecipients.none_given()
        if len(message.recipients) > self.options.recipients_per_message:
            raise TooManyRecipients
        for one in message.recipients:
            if not _ADDRESS.fullmatch(one.address):
                raise InvalidRecipients.unresolved(one.address or one.name)

    def _resolve_names(self, message: Message) -> None:
        """Known people get the names of the directory [api: user-post-messages]."""

        def resolved(one: Address) -> Address:
            user = self.directory.find(one.address) if one.address else None
            return Address(one.address, user.name) if user else one

        message.to, message.cc, message.bcc = (
            [resolved(one) for one in those] for those in (message.to, message.cc, message.bcc)
        )


def known_folder(name: str) -> str:
    """The name of a well-known folder, in upper or lower case."""
    if name.lower() in OTHER_FOLDERS:
        raise NotSupported(f"the folder {name.lower()}")
    if name.lower() not in FOLDERS:
        raise ItemNotFound
    return name.lower()
