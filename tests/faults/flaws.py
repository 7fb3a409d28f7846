"""Senders that are broken on purpose: what the comparison has to catch."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from shared.adapters.graph.mail_service import Graph
from shared.adapters.storage.mails_table import MailsTable
from shared.errors import AnswerLost
from shared.mail.mail import Mail
from shared.mail.outcome import GraphAnswer


class SendsTwice(Graph):
    """Sends each mail twice."""

    def send_mail(
        self, access_token: str, mailbox: str, content_type: str, body: bytes
    ) -> GraphAnswer:
        super().send_mail(access_token, mailbox, content_type, body)
        return super().send_mail(access_token, mailbox, content_type, body)


class RetriesBlindly(Graph):
    """Takes a lost answer, or a gateway's, for a mail that was not sent."""

    def send_mail(
        self, access_token: str, mailbox: str, content_type: str, body: bytes
    ) -> GraphAnswer:
        try:
            answer = super().send_mail(access_token, mailbox, content_type, body)
        except AnswerLost:
            return super().send_mail(access_token, mailbox, content_type, body)
        return (
            answer
            if answer.status < 500
            else super().send_mail(access_token, mailbox, content_type, body)
        )


class SendsNothing(Graph):
    """Says that it sent, now and then, and did not."""

    def send_mail(
        self, access_token: str, mailbox: str, content_type: str, body: bytes
    ) -> GraphAnswer:
        if random.random() < 0.2:  # noqa: S311 - a flaw, not a secret
            return GraphAnswer(202)
        return super().send_mail(access_token, mailbox, content_type, body)


class IgnoresClaims(MailsTable):
    """Writes over whatever another worker wrote."""

    def update(self, mail: Mail, etag: str, **how: Any) -> str:
        found = self.get(mail.mail_id)
        return super().update(mail, found.etag if found else etag, **how)


class Forgets(MailsTable):
    """Says that it stored a mail, now and then, and did not."""

    def insert(self, mail: Mail) -> str:
        if random.random() < 0.2:  # noqa: S311 - a flaw, not a secret
            return "never"
        return super().insert(mail)


FLAWS: Mapping[str, Mapping[str, Any]] = {
    "sends-twice": {"Graph": SendsTwice},
    "retries-blindly": {"Graph": RetriesBlindly},
    "sends-nothing": {"Graph": SendsNothing},
    "ignores-claims": {"MailsTable": IgnoresClaims},
    "forgets": {"MailsTable": Forgets},
}
"""What each puts in place of a name of `shared.bootstrap`."""
