"""The switches of the simulated mail service; all of them are data."""

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
    """The defaults are fast and without limits; `preset: exchange-online` sets the service's real
    limits.

    Times are seconds of the simulator's clock, except `latency_seconds`.
    """

    sent_items_delay_seconds: float = 0.0
    """From the 202 to the copy in Sent Items; field reports say 0 to 120."""
    submitted_draft_visible: bool = False
    """Lists still show the message as a draft until it has moved."""
    immutable_id_kept: bool = False
    """Whether an immutable id stays the same after sending; sources disagree (graph-mail.md
    2.4)."""
    fresh_draft_misses: int = 0
    """How many requests about a new draft answer 404 first (graph-mail.md 2.2)."""
    search_lag_seconds: float = 0.0
    """Lists and filters do not show items that are newer than this."""
    ndr_delay_seconds: float = 0.0
    ndr_to_sender: bool = True
    """False: no NDR messages at all."""

    recipients_per_message: int = 500
    recipients_per_day: int | None = None
    """Further mails are accepted with 202 and come back as an NDR 5.1.92."""
    messages_per_minute: int | None = None
    """Further mails are accepted with 202 and handed to transport in a later minute."""
    message_size_limit: int = 35 * MEGABYTE
    named_property_quota: int | None = None
    """How many header names and property ids one mailbox can know."""

    concurrent_requests: int = 4
    requests_per_window: int = 10_000
    requests_window_seconds: float = 600.0
    upload_bytes_per_window: int = 150 * MEGABYTE
    upload_window_seconds: float = 300.0
    retry_after: RetryAfterForm = "integer"
    latency_seconds: float = 0.0
    """The real time of a request, which occupies its concurrency slot."""

    upload_status_get: bool = True
    """Whether a GET of an upload URL says how much has arrived; else 405. UNCONFIRMED."""
    large_body_as_json: bool = False
    """The 413 above 4 MB: False is the gateway's HTML, True is Graph's JSON."""
    oversize_mime_swallowed: bool = True
    """MIME from 2,240 kB: 200 and nothing is sent [MGD#13979]. False: it is sent."""
    mime_message_id_kept: bool = True
    """For work accounts. UNCONFIRMED on the real service (graph-mail.md 3.2)."""
    personal_mime_message_id_kept: bool = False
    """For personal accounts: consumer SMTP replaces it and keeps the client's in another header
    [chatmail/core#1006]. UNCONFIRMED for Graph."""
    mime_message_id_rewritten_at: RewrittenAt = "send"
    """If it is not kept: whether it is replaced when the draft is made, or only at sending."""
    mime_drops_unknown_headers: bool = True
    """A MIME x- header is dropped until the mailbox knows its name from JSON [MGC#424]."""
    dropped_headers: tuple[str, ...] = ()
    """Headers that never arrive, in upper or lower case. Which ones the real service drops is
    UNCONFIRMED, except for `Auto-Submitted` [MGC#1093]."""

    app_only_mailboxes: tuple[str, ...] | None = None
    """Addresses that application tokens may use, for organisations without a value of their own;
    None means all of the tenant."""
    send_from_alias: bool = False
    """SendFromAliasEnabled: an alias stays in From and does not become the primary address."""
    copy_sent_as_to_mailbox: bool = False
    """MessageCopyForSentAsEnabled, for every mailbox."""
    copy_sent_on_behalf_to_mailbox: bool = False
    """MessageCopyForSendOnBehalfEnabled, for every mailbox."""

    personal_short_ids: bool = False
    """Whether Graph's id of a personal account is the last 16 digits of its object id.
    UNCONFIRMED."""
    personal_messages_per_day: int | None = None
    """Above it, a personal account gets ErrorExceededMessageLimit."""
    personal_recipients_per_message: int | None = None
    """Above it, a personal account gets ErrorExceededMaxRecipientLimit."""
    personal_limit_status: int = 403
    """Sources report 400, 403 and 429 (graph-mail.md 1.8)."""

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
