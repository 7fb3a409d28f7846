"""Outlook.com's limits, which apply only to personal accounts (graph-mail.md 1.8, 4.5)."""

from __future__ import annotations

from datetime import datetime, timedelta

from local.simulator.directory import User
from local.simulator.graph.errors import AccountSuspended, PersonalLimit, PersonalRecipientLimit
from local.simulator.graph.items import Message
from local.simulator.graph.mailbox import Mailbox
from local.simulator.graph.options import GraphOptions


def check_limits(
    user: User, mailbox: Mailbox, message: Message, options: GraphOptions, now: datetime
) -> None:
    """Raises a PersonalLimit if Outlook.com would accept no mail, or no further mail today."""
    status = options.personal_limit_status
    if user.suspended:
        raise AccountSuspended(status)
    most = options.personal_recipients_per_message
    if most is not None and len(message.recipients) > most:
        raise PersonalRecipientLimit(status)
    daily = options.personal_messages_per_day
    today = sum(when > now - timedelta(days=1) for when in mailbox.handed_over)
    if daily is not None and today >= daily:
        raise PersonalLimit(status)
