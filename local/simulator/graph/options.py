"""What a test or a person can turn on the simulated mail service; all of it is data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

from local.simulator.options import BadOption, Options

RewrittenAt = Literal["draft", "send"]
RetryAfterForm = Literal["integer", "fractional", "absent", "http-date"]

MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class GraphOptions(Options):
    """Defaults are quick and kind; `preset: exchange-online` brings the service's real limits.

    Times are seconds of the simulator's clock, except `latency_seconds`.
    """

    sent_items_delay_seconds: float = 0.0
    """From the 202 to the copy in Sent Items; 0 to 120 is what people report."""
    submitted_draft_visible: bool = False
    """Lists still show the draft, as a draft, until it has moved."""
    immutable_id_kept: bool = False
    """Sources disagree whether an immutable id survives sending (graph-mail.md 2.4)."""
    fresh_draft_misses: int = 0
    """So many requests about a fresh draft answer 404 first (graph-mail.md 2.2)."""
    search_lag_seconds: float = 0.0
    """Lists and filters do not see what is newer than this."""
    ndr_delay_seconds: float = 0.0
    ndr_to_sender: bool = True
    """False: no NDR messages at all."""

    recipients_per_message: int = 500
    recipients_per_day: int | None = None
    """Beyond it mail is taken with 202 and comes back as an NDR 5.1.92."""
    messages_per_minute: int | None = None
    """Mail beyond it is taken with 202 and handed to transport in a later minute."""
    message_size_limit: int = 35 * MEGABYTE
    named_property_quota: int | None = None
    """How many header names and property ids one mailbox can ever learn."""

    concurrent_requests: int = 4
    requests_per_window: int = 10_000
    requests_window_seconds: float = 600.0
    upload_bytes_per_window: int = 150 * MEGABYTE
    upload_window_seconds: float = 300.0
    retry_after: RetryAfterForm = "integer"
    latency_seconds: float = 0.0
    """Real time that a request takes, spent inside its concurrency slot."""

    large_body_as_json: bool = False
    """The 413 above 4 MB: False is the gateway's HTML, True is Graph's JSON."""
    oversize_mime_swallowed: bool = True
    """MIME from 2,240 kB: 200 with nothing sent [MGD#13979]. False: it is sent."""
    mime_message_id_kept: bool = True
    """Of work accounts. UNCONFIRMED on the real service (graph-mail.md 3.2)."""
    personal_mime_message_id_kept: bool = False
    """Of personal accounts: consumer SMTP replaces it and keeps the client's in another header
    [chatmail/core#1006]. UNCONFIRMED for Graph."""
    mime_message_id_rewritten_at: RewrittenAt = "send"
    """Where it is not kept: when the draft is made, or only when it is sent."""
    mime_drops_unknown_headers: bool = True
    """A MIME x- header vanishes until the mailbox has learnt it from JSON [MGC#424]."""
    dropped_headers: tuple[str, ...] = ()
    """Headers that never arrive, by their names in any case. Which the real service drops is
    UNCONFIRMED but for `Auto-Submitted` [MGC#1093]."""

    app_only_mailboxes: tuple[str, ...] | None = None
    """Addresses that application tokens may use, where their organisation says nothing itself; None
    is all of the tenant."""
    send_from_alias: bool = False
    """SendFromAliasEnabled: an alias stays in From instead of becoming the primary address."""
    copy_sent_as_to_mailbox: bool = False
    """MessageCopyForSentAsEnabled, for every mailbox."""
    copy_sent_on_behalf_to_mailbox: bool = False
    """MessageCopyForSendOnBehalfEnabled, for every mailbox."""

    personal_short_ids: bool = False
    """Graph calls a personal account by the last 16 digits of its object id. UNCONFIRMED."""
    personal_messages_per_day: int | None = None
    """Beyond it a personal account gets ErrorExceededMessageLimit."""
    personal_recipients_per_message: int | None = None
    """Beyond it a personal account gets ErrorExceededMaxRecipientLimit."""
    personal_limit_status: int = 403
    """Sources name 400, 403 and 429 (graph-mail.md 1.8)."""

    def changed(self, document: Mapping[str, Any]) -> Self:
        """These options with some replaced; `preset` comes first. Raises BadOption."""
        changes = dict(document)
        preset = changes.pop("preset", None)
        if preset is not None and preset not in PRESETS:
            raise BadOption(f"unknown preset {preset!r}; there are {', '.join(PRESETS)}")
        if changes.get("app_only_mailboxes") is not None:
            changes["app_only_mailboxes"] = tuple(changes["app_only_mailboxes"])
        if "dropped_headers" in changes:
            changes["dropped_headers"] = tuple(changes["dropped_headers"])
        base = replace(self, **PRESETS[preset]) if preset is not None else self
        return super(GraphOptions, base).changed(changes)


PRESETS: dict[str, dict[str, Any]] = {
    "default": {field.name: field.default for field in fields(GraphOptions)},
    "exchange-online": {
        "sent_items_delay_seconds": 5.0,
        "recipients_per_day": 10_000,
        "messages_per_minute": 30,
        "retry_after": "fractional",
        "latency_seconds": 0.05,
    },
}
