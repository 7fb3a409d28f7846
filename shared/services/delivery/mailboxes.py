"""The account of a mail, as it is now."""

from __future__ import annotations

from shared.mail.account import Account
from shared.mail.mail import Mail
from shared.services.accounts.ports import Accounts


class Mailboxes:
    """Finds the accounts of mails."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def account_of(self, mail: Mail, *, fresh: bool = False) -> Account | None:
        """The account that has the mail's alias now. Some seconds old at most, unless `fresh`."""
        return self._accounts.all(fresh=fresh).by_alias(mail.account)

    def own_account_of(self, mail: Mail) -> Account | None:
        """The account of the mailbox that the mail was accepted for; None if that alias does not
        exist any more or names another mailbox."""
        for fresh in (False, True):
            account = self.account_of(mail, fresh=fresh)
            if account is not None and is_its_mailbox(account, mail):
                return account
        return None


def is_its_mailbox(account: Account, mail: Mail) -> bool:
    """Whether the account is the mailbox that the mail was accepted for."""
    return mail.account_id is None or account.account_id == mail.account_id
