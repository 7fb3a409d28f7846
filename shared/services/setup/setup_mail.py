"""The test mail of the set-up page: it is accepted as any other mail, and Postroom searches for it
in its mailbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from shared.errors import PostroomError
from shared.mail.account import Account
from shared.mail.account_list import AccountList
from shared.mail.delivery_mode import DeliveryMode
from shared.mail.mail import Mail, MailFilter
from shared.mail.outcome import Evidence, SearchResult
from shared.mail.status import Status
from shared.services.clock import Clock
from shared.services.intake.mail_document import read_json
from shared.services.intake.submission import Submission
from shared.services.mails.ports import Ledger

if TYPE_CHECKING:
    from typing import Protocol
else:
    # For the type checker alone: real protocols cost time at each cold start.
    Protocol = object

TEST_TAG = "setup"
"""The tag by which the test mails are found again."""


class LooksForMail(Protocol):
    """The part of verified sending that the set-up needs."""

    def find_out(self, account: Account, mail: Mail) -> SearchResult:
        """Search the mailbox for a mail."""
        ...


class SetupMail:
    """Sends test mails, and searches for the newest one."""

    def __init__(
        self, ledger: Ledger, submission: Submission, finding: LooksForMail, clock: Clock
    ) -> None:
        self._ledger = ledger
        self._submission = submission
        self._finding = finding
        self._clock = clock

    def send(self, address: str, account: str | None) -> Mail:
        """Accept a test mail. Raises RequestRejected."""
        document = {
            "to": address.strip(),
            "subject": "Postroom works",
            "text": "This test mail was sent from Postroom's set-up page. Nothing is to be done.",
            "tags": [TEST_TAG],
            **({"account": account} if account else {}),
        }
        order = read_json(msgspec.json.encode(document), self._clock())
        return self._submission.accept(order).mail

    def newest(self) -> Mail | None:
        """The newest test mail."""
        page = self._ledger.page(MailFilter(tag=TEST_TAG), 1, None)
        return page.mails[0] if page.mails else None

    def any_sent(self) -> bool:
        """Whether any mail was sent."""
        return bool(self._ledger.page(MailFilter(statuses=(Status.SENT,)), 1, None).mails)

    def evidence(
        self,
        mail: Mail | None,
        accounts: AccountList,
        ask: Callable[[Callable[[], SearchResult]], SearchResult],
    ) -> Evidence | None:
        """What the mailbox has of a sent test mail; None for a mail that cannot be searched for.
        `ask` makes the call in the time that is left."""
        if (
            mail is None
            or mail.status is not Status.SENT
            or mail.delivery is not DeliveryMode.VERIFIED
        ):
            return None
        account = accounts.by_id(mail.account_id)
        if account is None:
            return None
        try:
            return ask(lambda: self._finding.find_out(account, mail)).evidence
        except PostroomError:
            return Evidence.UNSEEN
