"""The ways to hand a mail to Graph, and direct sending, which needs only Mail.Send: one request,
and no search afterwards."""

from __future__ import annotations

from collections.abc import Callable
from email.errors import MessageError
from enum import StrEnum
from typing import Protocol

from shared.errors import (
    AnswerLost,
    ConsentRequired,
    CredentialRefused,
    FileChanged,
    NotSent,
    RemoteError,
)
from shared.mail import known_errors, limits, rights
from shared.mail.account import Account
from shared.mail.graph_payload import send_request
from shared.mail.mail import Mail
from shared.mail.outcome import Outcome, SearchResult, Verdict, judge_send
from shared.services.accounts.ports import Tokens
from shared.services.clock import Clock
from shared.services.delivery.ports import MailService
from shared.services.mails.packing import Packed
from shared.services.mails.ports import Files
from shared.services.mails.stored_files import not_read, read_whole

CREDENTIAL_SECONDS = 120.0
"""Seconds until the app's own credential is tried again. It is short, because somebody may have
mended it, or the managed identity's endpoint may work again: the SDK does not tell such a failure
from a missing identity."""

UNWRITABLE = (ValueError, TypeError, LookupError, RecursionError, MessageError)
"""The errors of the libraries for a message that they cannot write."""

NO_CONTENT = Outcome(Verdict.FAILED, "no_content", "The mail has no content to send.")
NOT_COMPOSED = Outcome(
    Verdict.FAILED,
    "not_composed",
    "Postroom could not write this mail as a message: this is a fault in Postroom.",
)
MAILBOX_BUSY = Outcome(
    Verdict.AGAIN, "mailbox_busy", "The mailbox is busy with others.", retry_after=5.0
)
LEASE_SPENT = Outcome(Verdict.AGAIN, "lease_spent", retry_after=1.0)


class Claim(Protocol):
    """A worker's lease on a mail while it sends it."""

    @property
    def mail(self) -> Mail:
        """The mail as this worker wrote it last."""
        ...

    def still_ours(self) -> bool:
        """Whether the lease and the function's time are long enough for one more request."""
        ...

    def renew(self) -> None:
        """Extend the lease, by a write if a third of it has passed. Raises LostRace, and OutOfTime
        if the function has no time for another request."""
        ...

    def keep_draft(self, draft_id: str, message_id: str | None) -> None:
        """Write the draft's id into the ledger, and its Message-ID if it is known. Raises LostRace
        if another worker has the mail now: then no row has the draft's id."""
        ...


class Sending(Protocol):
    """One way to send."""

    def send(self, account: Account, packed: Packed, claim: Claim) -> Outcome:
        """Send once, and return the outcome.

        Never raises for what Microsoft does. LostRace and RemoteError are about the lease.
        """
        ...


class Removal(StrEnum):
    """The result of removing a draft."""

    REMOVED = "removed"
    """It was still a draft, and is removed: it was not sent and cannot be sent any more."""
    MISSING = "missing"
    """There is no such draft: it was sent, or somebody else removed it."""
    UNDONE = "undone"
    """Graph did not remove it. Whether there is such a draft is not known."""


class FindingOut(Protocol):
    """Searches for mails, and removes their drafts from the mailbox."""

    def find_out(self, account: Account, mail: Mail) -> SearchResult:
        """Search once. Changes nothing, and never raises for what Microsoft does."""
        ...

    def remove_draft(self, account: Account, draft_id: str) -> tuple[Removal, Outcome | None]:
        """Remove a draft, so that nobody can send it. If that was not done, the outcome says why.

        Never raises for what Microsoft does. The draft must be removed before its id leaves the
        ledger: without the id, nothing would show that it was sent late.
        """
        ...


class Acting:
    """Calls of Graph with an account's access token."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def act(self, account: Account, call: Callable[[str], Outcome]) -> Outcome:
        """Make a call with an access token, and once more with a fresh one after a 401. If no token
        can be got, nothing was sent."""
        return rights.of_the_kind(self._act(account, call), account)

    def _act(self, account: Account, call: Callable[[str], Outcome]) -> Outcome:
        outcome = Outcome(Verdict.REFRESH)
        for attempt in range(2):
            token = self._token(account)
            if isinstance(token, Outcome):
                return token
            outcome = call(token)
            if outcome.verdict is not Verdict.REFRESH:
                return outcome
            if attempt == 0:
                # A 401 without a reason: the token may have been revoked early.
                self._tokens.forget(account, token)
        return Outcome(
            Verdict.NEEDS_SIGN_IN,
            outcome.reason,
            "Microsoft refuses even a fresh token: sign the mailbox in again.",
            request_id=outcome.request_id,
        )

    def _token(self, account: Account) -> str | Outcome:
        try:
            return self._tokens.access_token(account)
        except ConsentRequired as error:
            row = known_errors.find(error.code)
            return Outcome(Verdict.NEEDS_SIGN_IN, error.code, row.words)
        except CredentialRefused as error:
            row = known_errors.find(error.code)
            return Outcome(
                Verdict.HOLD_ACCOUNT, error.code, row.words, retry_after=CREDENTIAL_SECONDS
            )
        except (NotSent, AnswerLost) as error:
            # A failed token request has sent no mail.
            reason = f"{error.system}_unreachable"
            return Outcome(
                Verdict.AGAIN, reason, known_errors.find(reason).words, error.retry_after
            )


class DirectSending:
    """Sends with one `sendMail`. If the request left and no answer came, the mail is unknown."""

    def __init__(self, graph: MailService, tokens: Tokens, files: Files, clock: Clock) -> None:
        self._graph = graph
        self._acting = Acting(tokens)
        self._files = files
        self._clock = clock

    def send(self, account: Account, packed: Packed, claim: Claim) -> Outcome:
        """See `Sending`."""
        if packed.message is None or packed.sender is None:
            return NO_CONTENT
        excess = limits.request_excess(packed.message, packed.sender, account, self._clock())
        if excess is not None:
            return too_large(excess)
        try:
            message = read_whole(packed.message, self._files)
            request = send_request(message, packed.sender, claim.mail.mail_id, self._clock())
        except (FileChanged, RemoteError) as error:
            return not_read(error)
        except UNWRITABLE:
            return NOT_COMPOSED

        def post(token: str) -> Outcome:
            if not claim.still_ours():
                return LEASE_SPENT
            return self._post(token, account.graph_path, request.content_type, request.body)

        return rights.of_the_sender(self._acting.act(account, post), account, packed.sender)

    def _post(self, token: str, mailbox: str, content_type: str, body: bytes) -> Outcome:
        try:
            return judge_send(self._graph.send_mail(token, mailbox, content_type, body))
        except NotSent as error:
            return unreached(error)
        except AnswerLost:
            return Outcome(
                Verdict.UNKNOWN,
                "answer_lost",
                "The request left and no answer came back: look into the mailbox's Sent Items, "
                "then decide whether to send it anew.",
            )


def unreached(error: RemoteError) -> Outcome:
    """The outcome if Graph was not reached: nothing was sent."""
    words = known_errors.find("not_reached").words
    return Outcome(Verdict.AGAIN, "not_reached", words, error.retry_after)


def too_large(excess: limits.Excess) -> Outcome:
    """The outcome of a mail that was small enough when it was accepted, but not for its account as
    it is signed in now."""
    return Outcome(Verdict.FAILED, "mail_too_large", f"{excess.whose} {excess.remedy}")
