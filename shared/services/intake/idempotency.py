"""Idempotency: a key stands for one document and its mail, for as long as the claim holds."""

from __future__ import annotations

from msgspec.structs import replace

from shared.errors import FieldProblem, RequestRejected
from shared.mail import problems
from shared.mail.mail import Mail
from shared.services.clock import Clock
from shared.services.intake.mail_document import Order, internal_key
from shared.services.intake.ports import IdempotencyKeys, KeyClaim
from shared.services.mails.ports import Ledger


class Idempotency:
    """Claims keys, and finds the mails of keys that were claimed before."""

    def __init__(self, keys: IdempotencyKeys, ledger: Ledger, clock: Clock) -> None:
        self._keys = keys
        self._ledger = ledger
        self._clock = clock

    def refuse_taken(self, order: Order) -> None:
        """Raise RequestRejected (409) where the order's key stands for another document."""
        self._refuse_conflict(self._claim_of(order), order)

    def earlier(self, order: Order) -> Mail | None:
        """The mail that was accepted with the order's key before, with the same document; None if
        the order is new.

        A repeated order is not checked again: since the first time its file may have been removed,
        its account signed out, or its sender forbidden.
        """
        return self._mail_of(self._claim_of(order), order)

    def checked(self, order: Order) -> Mail | None:
        """The same as `refuse_taken` and `earlier`, with one look-up."""
        claim = self._claim_of(order)
        self._refuse_conflict(claim, order)
        return self._mail_of(claim, order)

    def claim(self, order: Order, mail: Mail) -> tuple[Mail, Mail | None]:
        """Claim the order's key for a new mail. Returns the mail to write, and the earlier mail of
        this key, if there is one. Raises RequestRejected (409) if the key was used with another
        document, RemoteError if storage fails."""
        if order.claimed_key is None:
            return mail, None
        claimed = self._keys.claim(
            order.claimed_key,
            KeyClaim(mail.mail_id, order.document_hash, mail.accepted_at),
        )
        if claimed.document_hash != order.document_hash:
            raise key_conflict()
        if claimed.mail_id == mail.mail_id:
            return mail, None
        earlier = self._ledger.get(claimed.mail_id)
        # There is no row yet: the first caller claimed the key and has not written the mail, or has
        # died. In both cases it is right to write it under the same id.
        return replace(mail, mail_id=claimed.mail_id), earlier.mail if earlier else None

    def find(self, key: str) -> list[Mail]:
        """The mails of an idempotency key: usually one, or none; two if `a/2` is both a caller's
        own key and the third mail of the batch `a`."""
        batch, slash, index = key.rpartition("/")
        names = [key]
        if slash and batch and index.isascii() and index.isdigit() and len(index) < 4:
            names.append(internal_key(batch, int(index)))
        claims = [claim for claim in map(self._keys.find, names) if claim is not None]
        found = [self._ledger.get(claim.mail_id) for claim in claims]
        return [row.mail for row in found if row is not None]

    def _claim_of(self, order: Order) -> KeyClaim | None:
        return self._keys.find(order.claimed_key) if order.claimed_key is not None else None

    def _refuse_conflict(self, claim: KeyClaim | None, order: Order) -> None:
        if claim is None or claim.document_hash == order.document_hash:
            return
        if claim.holds_at(self._clock()):
            raise key_conflict()

    def _mail_of(self, claim: KeyClaim | None, order: Order) -> Mail | None:
        if claim is None or claim.document_hash != order.document_hash:
            return None
        found = self._ledger.get(claim.mail_id) if claim.holds_at(self._clock()) else None
        return None if found is None else found.mail


def key_conflict() -> RequestRejected:
    """The rejection of a key that was used with another document."""
    return RequestRejected(
        problems.IDEMPOTENCY_CONFLICT,
        "The idempotency key stands for another document already.",
        [FieldProblem("idempotency_key", "was used with another document")],
    )
