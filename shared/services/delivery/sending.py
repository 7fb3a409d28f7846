"""The ways to hand a mail to Graph, and the one that needs nothing but Mail.Send: a single request,
with no way to look afterwards.
"""

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
"""Until the app's own credential is tried again: soon after somebody mended it, or after a trouble of the
managed identity's endpoint has passed, which its SDK does not tell from a missing identity."""

UNWRITABLE = (ValueError, TypeError, LookupError, RecursionError, MessageError)
"""What the libraries raise for a message that they cannot write."""

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
    """A worker's hold on a mail while it is sent."""

    @property
    def mail(self) -> Mail:
        """The mail as this worker last wrote it."""
        ...

    def still_ours(self) -> bool:
        """Whether the lease and the run leave enough time for one whole request."""
        ...

    def renew(self) -> None:
        """Make the lease last, by a write where a third of it has passed. Raises LostRace, and
        OutOfTime where the run leaves no time for another request."""
        ...

    def keep_draft(self, draft_id: str, message_id: str | None) -> None:
        """Write down which draft is the mail, and its Message-ID where it is known. Raises LostRace
        where the mail is another's by now: no row knows the draft then."""
        ...


class Sending(Protocol):
    """One way to send."""

    def send(self, account: Account, packed: Packed, claim: Claim) -> Outcome:
        """Send once and say what became of it.

        Never raises for what Microsoft does; LostRace and RemoteError are about the claim.
        """
        ...


class Removal(StrEnum):
    """What became of a draft that was to be removed."""

    REMOVED = "removed"
    """It was a draft still, and is gone: it was not sent and cannot be sent any more."""
    MISSING = "missing"
    """There is no such draft: it was sent, or somebody else removed it."""
    UNDONE = "undone"
    """Graph did not do it: nothing is known of the draft."""


class FindingOut(Protocol):
    """Looks for what became of a mail, and takes its draft out of the mailbox."""

    def find_out(self, account: Account, mail: Mail) -> SearchResult:
        """Look once. Changes nothing, and never raises for what Microsoft does."""
        ...

    def remove_draft(self, account: Account, draft_id: str) -> tuple[Removal, Outcome | None]:
        """Remove a draft, so that nobody can send it; where that was not done, the reason.

        Never raises for what Microsoft does. Whoever lets a mail go whose row knows a draft calls
        it before the row forgets the id: no other evidence of a late sending is left then.
        """
        ...


class Acting:
    """Calls of Graph in an account's name."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def act(self, account: Account, call: Callable[[str], Outcome]) -> Outcome:
        """Make a call with an access token, and once more with a fresh one after a 401.

        A token request that fails in any way has done nothing with the mail.
        """
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
                # A plain 401: the token may have been revoked before its time.
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
            # A token request that was answered late or not at all has sent no mail.
            reason = f"{error.system}_unreachable"
            return Outcome(
                Verdict.AGAIN, reason, known_errors.find(reason).words, error.retry_after
            )


class DirectSending:
    """`sendMail`, once; what leaves and is not answered stays unknown."""

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
    """Graph was not reached: nothing left."""
    words = known_errors.find("not_reached").words
    return Outcome(Verdict.AGAIN, "not_reached", words, error.retry_after)


def too_large(excess: limits.Excess) -> Outcome:
    """What becomes of a mail that fitted when it was accepted, and that its account, as it is
    signed in now, cannot send."""
    return Outcome(Verdict.FAILED, "mail_too_large", f"{excess.whose} {excess.remedy}")
