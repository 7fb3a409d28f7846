"""Verified sending: make a draft with the mail's key, write its id into the ledger, then send it.

This order makes it safe. The ledger has the draft's id, under this worker's claim, before anything
is sent. Any worker that sends the mail later sends the same draft, and Graph refuses a draft that
was sent already. The id is written only when the draft is complete, with its attachments and its
key, so a draft in the ledger can always be sent. A draft that the ledger does not know is a stray
draft and is removed later.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from shared.errors import (
    AnswerLost,
    FileChanged,
    LostRace,
    NotSent,
    OutOfTime,
    RemoteError,
    RemoteRefused,
)
from shared.mail.account import Account
from shared.mail.address import Address
from shared.mail.graph_payload import (
    MAX_POSTED_ATTACHMENT,
    DraftRequest,
    attachment_request,
    draft_request,
    fits_one_request,
    session_request,
)
from shared.mail.lost_drafts import DRAFT_UNANSWERED, lost_between
from shared.mail.mail import Mail
from shared.mail.message import Attachment, Message
from shared.mail.outcome import (
    Evidence,
    GraphAnswer,
    Outcome,
    SearchResult,
    Sought,
    Verdict,
    doubted,
    is_missing_draft,
    judge_draft,
    judge_draft_send,
    judge_look,
)
from shared.mail.rights import of_the_sender
from shared.services.accounts.ports import Tokens
from shared.services.clock import Clock
from shared.services.delivery.ports import AttachedFile, DraftAnswer, Drafts, Found
from shared.services.delivery.sending import (
    LEASE_SPENT,
    NO_CONTENT,
    NOT_COMPOSED,
    UNWRITABLE,
    Acting,
    Claim,
    Removal,
    unreached,
)
from shared.services.mails.packing import Packed
from shared.services.mails.ports import Files
from shared.services.mails.stored_files import Attached, not_read, read_whole
from shared.telemetry import event

FRESH_WAITS = (0.5, 1.0, 2.0)
"""Seconds. A draft that was just made is sometimes not found at first (demisto/content#41448)."""

UPLOAD_ELSEWHERE = Outcome(
    Verdict.FAILED,
    "upload_elsewhere",
    "Microsoft named a place to upload an attachment to that is not one of its own: report it.",
)

OUT_OF_TIME = Outcome(
    Verdict.AGAIN,
    "out_of_time",
    "Its attachments could not be uploaded in the time that one run has; nothing was sent.",
)

DRAFT_LEFT_OPEN = Outcome(
    Verdict.AGAIN,
    DRAFT_UNANSWERED,
    "The draft was asked for, and no answer came back: nothing was sent.",
)

TOO_SMALL = "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize"

Call = Callable[[str], GraphAnswer]


class VerifiedSending:
    """Makes a draft, writes its id into the ledger, sends it. Needs Mail.ReadWrite."""

    def __init__(
        self,
        drafts: Drafts,
        tokens: Tokens,
        files: Files,
        clock: Clock,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._drafts = drafts
        self._acting = Acting(tokens)
        self._files = files
        self._clock = clock
        self._sleep = sleep

    def send(self, account: Account, packed: Packed, claim: Claim) -> Outcome:
        """See `Sending`."""
        if packed.message is None or packed.sender is None:
            return NO_CONTENT
        draft_id = claim.mail.draft_id
        untouched = draft_id is None
        if draft_id is None:
            self._remove_lost(account, claim.mail)
            made = self._make(account, packed.message, packed.sender, claim)
            if isinstance(made, Outcome):
                return of_the_sender(made, account, packed.sender)
            draft_id = str(made.draft_id)
            try:
                claim.keep_draft(draft_id, made.message_id)
            except LostRace:
                self._drop(account, draft_id)
                raise
        outcome = of_the_sender(
            self._send(account, draft_id, claim, untouched=untouched), account, packed.sender
        )
        if not untouched:
            return doubted(outcome)
        if outcome.verdict is Verdict.FAILED:
            self._drop(account, draft_id)
        return outcome

    def find_out(self, account: Account, mail: Mail) -> SearchResult:
        """See `FindingOut`. Looks by the mail's key and Message-ID: ids change when a draft is sent."""
        seen: list[SearchResult] = []
        sought = Sought(
            mail.mail_id,
            mail.draft_id,
            mail.message_id,
            mail.message_id_given,
            mail.accepted_at,
        )

        def look(token: str) -> Outcome:
            try:
                found = self._drafts.find(token, account.graph_path, sought)
            except (NotSent, AnswerLost) as error:
                return unreached(error)
            return _seen(found, sought, seen)

        outcome = self._acting.act(account, look)
        return seen[0] if seen else SearchResult(Evidence.UNSEEN, outcome)

    def _make(
        self, account: Account, message: Message, sender: Address, claim: Claim
    ) -> DraftAnswer | Outcome:
        """Make a finished draft, with all of its attachments."""
        try:
            if fits_one_request(message, sender, self._clock()):
                message = read_whole(message, self._files)
            request = draft_request(message, sender, claim.mail.mail_id, self._clock())
        except (FileChanged, RemoteError) as error:
            return not_read(error)
        except UNWRITABLE:
            return NOT_COMPOSED
        made = self._create(account, request, claim)
        if isinstance(made, Outcome):
            return made
        draft_id = str(made.draft_id)
        try:
            trouble = self._finish(account, draft_id, request, claim)
        except LostRace:
            self._drop(account, draft_id)
            raise
        except OutOfTime:
            trouble = OUT_OF_TIME
        if trouble is None:
            return made
        self._drop(account, draft_id)
        return trouble

    def _create(
        self, account: Account, request: DraftRequest, claim: Claim
    ) -> DraftAnswer | Outcome:
        made: list[DraftAnswer] = []

        def create(token: str) -> Outcome:
            if not claim.still_ours():
                return LEASE_SPENT
            try:
                found = self._drafts.create(
                    token, account.graph_path, request.content_type, request.body
                )
            except NotSent as error:
                return unreached(error)
            except AnswerLost:
                # If the draft was made although no answer came, it is removed before the next one
                # is made.
                return DRAFT_LEFT_OPEN
            if found.draft_id is None:
                return judge_draft(found.answer)
            made.append(found)
            return _DONE

        outcome = self._acting.act(account, create)
        return made[0] if made else outcome

    def _finish(
        self, account: Account, draft_id: str, request: DraftRequest, claim: Claim
    ) -> Outcome | None:
        """Add the attachments that did not fit into the first request. None if all were added."""
        for item in request.apart:
            try:
                trouble = self._add(account, draft_id, item, claim)
            except (FileChanged, RemoteError) as error:
                refused = isinstance(error, RemoteRefused) and error.system == "graph"
                return UPLOAD_ELSEWHERE if refused else not_read(error)
            if trouble is not None:
                return trouble
        return None

    def _add(
        self, account: Account, draft_id: str, item: Attachment, claim: Claim
    ) -> Outcome | None:
        file = Attached(item, self._files)
        if file.size > MAX_POSTED_ATTACHMENT:
            too_small: list[bool] = []

            def upload(token: str) -> GraphAnswer:
                session = session_request(item)
                answer = self._drafts.upload(
                    token, account.graph_path, draft_id, session, file, claim.renew
                )
                too_small[:] = [answer.code == TOO_SMALL]
                return answer

            trouble = self._until_found(account, claim, upload, done=201)
            # It is not documented whether "3 MB" means decimal or binary megabytes. A file between
            # the two sizes is sent in the way that Graph accepts.
            if too_small != [True]:
                return trouble
        body = attachment_request(item, _whole(file))
        return self._until_found(
            account,
            claim,
            lambda token: self._drafts.attach(token, account.graph_path, draft_id, body),
            done=201,
        )

    def _until_found(
        self, account: Account, claim: Claim, call: Call, *, done: int
    ) -> Outcome | None:
        """Change a draft that is not sent yet. None if it was done."""

        def work(token: str) -> Outcome:
            claim.renew()
            try:
                answer = call(token)
            except (NotSent, AnswerLost) as error:
                return unreached(error)
            return _DONE if answer.status == done else judge_draft(answer)

        for wait in (*FRESH_WAITS, None):
            outcome = self._acting.act(account, work)
            if outcome.reason != "draft_missing" or wait is None:
                break
            self._sleep(wait)
        return None if outcome is _DONE else outcome

    def _send(self, account: Account, draft_id: str, claim: Claim, *, untouched: bool) -> Outcome:
        def send(token: str) -> Outcome:
            if not claim.still_ours():
                return LEASE_SPENT
            try:
                answer = self._drafts.send(token, account.graph_path, draft_id)
            except NotSent as error:
                return unreached(error)
            except AnswerLost:
                return Outcome(
                    Verdict.UNKNOWN, "answer_lost", "The request left and no answer came back."
                )
            return judge_draft_send(answer, untouched=untouched)

        for wait in (*FRESH_WAITS, None):
            outcome = self._acting.act(account, send)
            if not outcome.draft_is_gone or wait is None:
                break
            self._sleep(wait)
        return outcome

    def remove_draft(self, account: Account, draft_id: str) -> tuple[Removal, Outcome | None]:
        """See `FindingOut`."""
        answers: list[GraphAnswer] = []

        def remove(token: str) -> Outcome:
            try:
                answer = self._drafts.remove(token, account.graph_path, draft_id)
            except RemoteError as error:
                return unreached(error)
            if answer.status == 204 or is_missing_draft(answer):
                answers.append(answer)
                return _DONE
            return judge_draft(answer)

        outcome = self._acting.act(account, remove)
        if not answers:
            return Removal.UNDONE, outcome
        return (Removal.REMOVED if answers[0].status == 204 else Removal.MISSING), None

    def _remove_lost(self, account: Account, mail: Mail) -> None:
        """Remove a draft that the attempt before this one may have made without learning its id.
        The ledger does not know it, so it was not sent. If it is not removed here, it is removed
        with the stray drafts."""
        minutes = lost_between(mail)
        if minutes is None:
            return
        since, before = minutes

        def remove(token: str) -> Outcome:
            try:
                found = self._drafts.marked(token, account.graph_path, before, since)
                for draft in found:
                    if draft.mail_id == mail.mail_id:
                        self._drafts.remove(token, account.graph_path, draft.draft_id)
            except RemoteError as error:
                return unreached(error)
            return _DONE

        if self._acting.act(account, remove) is not _DONE:
            event("draft_left_behind", level=logging.WARNING, account=account.alias)

    def _drop(self, account: Account, draft_id: str) -> None:
        """Remove a draft that will not be sent. If it is not removed here, it is removed with the
        stray drafts."""
        if self.remove_draft(account, draft_id)[0] is Removal.UNDONE:
            event("draft_left_behind", level=logging.WARNING, account=account.alias)


_DONE = Outcome(Verdict.SENT)


def _seen(found: Found, sought: Sought, seen: list[SearchResult]) -> Outcome:
    look = judge_look(found.answer, found.copies, sought)
    if look.outcome is not None:
        return look.outcome
    seen[:] = [look]
    return _DONE


def _whole(file: AttachedFile) -> bytes:
    return b"".join(file.chunks(max(1, file.size)))
