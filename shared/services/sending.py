"""The ways to hand a mail to Graph. An account's grant decides which one is taken.

Direct sending needs nothing but Mail.Send: one request, no way to look afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from email.errors import MessageError
from typing import Protocol

from shared.errors import (
    AnswerLost,
    ConsentRequired,
    CredentialRefused,
    FileChanged,
    NotSent,
    RemoteError,
)
from shared.mail import limits
from shared.mail.account import Account
from shared.mail.address import Address
from shared.mail.graph_payload import send_request
from shared.mail.outcome import Outcome, Verdict, judge_send
from shared.services.packing import Packed
from shared.services.ports import Clock, Files, MailService, Tokens
from shared.services.stored_files import not_read, read_whole

_CREDENTIAL = {
    "vault_refused": "Key Vault refuses the app's identity: give it the right to get and set "
    "secrets.",
    "no_managed_identity": "The app's managed identity gave no token: assign the identity that "
    "POSTROOM_IDENTITY_CLIENT_ID names to the app.",
    "no_client_secret": "Key Vault holds no secret postroom-client-secret: store the app's client "
    "secret there.",
}

StillOurs = Callable[[], bool]
"""Whether the lease leaves enough time for one whole request."""


class Sending(Protocol):
    """One way to send."""

    def send(
        self, account: Account, packed: Packed, mail_id: str, still_ours: StillOurs
    ) -> Outcome:
        """Send once and say what became of it. Never raises for what a remote does."""
        ...

    def find_out(self, account: Account | None, mail_id: str) -> Outcome:
        """What became of a mail whose worker never reported."""
        ...


class DirectSending:
    """`sendMail`, once; what leaves and is not answered stays unknown."""

    def __init__(self, graph: MailService, tokens: Tokens, files: Files, clock: Clock) -> None:
        self._graph = graph
        self._tokens = tokens
        self._files = files
        self._clock = clock

    def send(
        self, account: Account, packed: Packed, mail_id: str, still_ours: StillOurs
    ) -> Outcome:
        """See `Sending`."""
        if packed.message is None or packed.sender is None:
            return Outcome(Verdict.FAILED, "no_content", "The mail has no content to send.")
        excess = limits.request_excess(packed.message, packed.sender, account, self._clock())
        if excess is not None:
            return too_large(excess)
        try:
            message = read_whole(packed.message, self._files)
            request = send_request(message, packed.sender, mail_id, self._clock())
        except (FileChanged, RemoteError) as error:
            return not_read(error)
        except (ValueError, TypeError, LookupError, RecursionError, MessageError):
            return Outcome(
                Verdict.FAILED,
                "not_composed",
                "Postroom could not write this mail as a message: this is a fault in Postroom.",
            )
        outcome = Outcome(Verdict.REFRESH)
        for attempt in range(2):
            token = self._token(account)
            if isinstance(token, Outcome):
                return token
            if not still_ours():
                return Outcome(Verdict.AGAIN, "lease_spent", retry_after=1.0)
            outcome = self._post(token, request.content_type, request.body)
            if outcome.verdict is not Verdict.REFRESH:
                return _of_the_sender(outcome, account, packed.sender)
            if attempt == 0:
                # A plain 401: the token may have been revoked before its time.
                self._tokens.forget(account, token)
        return Outcome(
            Verdict.NEEDS_SIGN_IN,
            outcome.reason,
            "Microsoft refuses even a fresh token: sign the mailbox in again.",
            request_id=outcome.request_id,
        )

    def find_out(self, account: Account | None, mail_id: str) -> Outcome:
        """See `Sending`. Without the right to read there is nothing to look into."""
        return Outcome(
            Verdict.UNKNOWN,
            "worker_lost",
            "The worker that sent this mail did not report back: look into the mailbox's Sent "
            "Items, then decide whether to send it anew.",
        )

    def _token(self, account: Account) -> str | Outcome:
        try:
            return self._tokens.access_token(account)
        except ConsentRequired as error:
            return Outcome(
                Verdict.NEEDS_SIGN_IN, error.code, "Sign the mailbox in again on /accounts."
            )
        except CredentialRefused as error:
            return Outcome(
                Verdict.HOLD_ACCOUNT,
                error.code,
                _CREDENTIAL.get(
                    error.code,
                    "Entra refuses the app's own credential: put a valid client secret into Key "
                    "Vault.",
                ),
                retry_after=900.0,
            )
        except (NotSent, AnswerLost) as error:
            # A token request that was answered late or not at all has sent no mail.
            return Outcome(
                Verdict.AGAIN,
                f"{error.system}_unreachable",
                "Microsoft's sign-in service or Key Vault did not answer.",
                error.retry_after,
            )

    def _post(self, token: str, content_type: str, body: bytes) -> Outcome:
        try:
            return judge_send(self._graph.send_mail(token, content_type, body))
        except NotSent as error:
            return Outcome(
                Verdict.AGAIN, "not_reached", "Microsoft Graph was not reached.", error.retry_after
            )
        except AnswerLost:
            return Outcome(
                Verdict.UNKNOWN,
                "answer_lost",
                "The request left and no answer came back: look into the mailbox's Sent Items, "
                "then decide whether to send it anew.",
            )


def too_large(excess: limits.Excess) -> Outcome:
    """What becomes of a mail that fitted when it was accepted, and that its account, as it is
    signed in now, cannot send."""
    return Outcome(Verdict.FAILED, "mail_too_large", f"{excess.whose} {excess.remedy}")


def _of_the_sender(outcome: Outcome, account: Account, sender: Address) -> Outcome:
    """A denial that is about another From address is the mail's trouble, not the account's."""
    own = sender.email.lower() == account.address.lower()
    if own or outcome.verdict is not Verdict.NEEDS_SIGN_IN:
        return outcome
    return replace(
        outcome,
        verdict=Verdict.FAILED,
        help="Microsoft denies sending from this address: it needs the permission Mail.Send.Shared, "
        "and 'Send as' or 'Send on behalf' in the Exchange admin centre.",
    )


def lease_end_allows(lease_until: datetime, request_seconds: float, clock: Clock) -> StillOurs:
    """A check that a request started now ends before the lease does."""

    def still_ours() -> bool:
        return (lease_until - clock()).total_seconds() > request_seconds

    return still_ours
