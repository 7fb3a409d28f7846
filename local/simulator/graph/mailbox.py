"""One mailbox: its items by id, what a request may find of them, and the names that it knows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from local.simulator.graph.errors import ItemNotFound, NamedPropertyQuotaExceeded
from local.simulator.graph.items import Address, Message, named_properties
from local.simulator.graph.options import GraphOptions


@dataclass
class Mailbox:
    """Items are here from draft to Sent Items. It has no lock: that of `GraphState` guards it."""

    id: str
    tenant_id: str
    owner: Address
    items: dict[str, Message] = field(default_factory=dict)
    learnt_names: set[str] = field(default_factory=set)
    handed_over: deque[datetime] = field(default_factory=lambda: deque(maxlen=1000))
    """When its latest mails went, or will go, to transport."""
    recipients_sent: deque[tuple[datetime, int]] = field(default_factory=deque)

    def add(self, message: Message) -> None:
        self.items[message.id] = message
        self.items[message.immutable_id] = message

    def remove(self, message: Message) -> None:
        self.items.pop(message.id, None)
        self.items.pop(message.immutable_id, None)

    def learn(self, message: Message, quota: int | None) -> None:
        """Give every new header name and property id a permanent slot [MGD#12767]."""
        names = self.learnt_names | named_properties(message)
        if quota is not None and len(names) > max(quota, len(self.learnt_names)):
            raise NamedPropertyQuotaExceeded
        self.learnt_names = names

    def find(self, item_id: str) -> Message:
        """The item with this default or immutable id. A new draft may be missing at first (2.2)."""
        message = self.items.get(item_id)
        if message is None or message.hidden:
            raise ItemNotFound
        if message.misses_left > 0:
            message.misses_left -= 1
            raise ItemNotFound
        return message

    def find_draft(self, item_id: str) -> Message:
        """An item that can still be sent; a used draft is not found [rlrghb/olkcli#118]."""
        message = self.find(item_id)
        if not message.is_draft:
            raise ItemNotFound
        return message

    def listed(self, folder: str | None, now: datetime, options: GraphOptions) -> Iterator[Message]:
        """The items in a list, newest first, without hidden items and those younger than the
        lag."""
        seen_until = now - timedelta(seconds=options.search_lag_seconds)
        for key, message in reversed(self.items.items()):
            if key != message.id or (folder is not None and message.folder != folder):
                continue
            if message.hidden and not options.submitted_draft_visible:
                continue
            if options.search_lag_seconds == 0 or message.modified <= seen_until:
                yield message
