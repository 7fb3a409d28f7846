"""Headers that a caller may not give, in a mail document and in raw MIME alike.

Each has the remedy that its refusal names. The headers that raw MIME must have (`From`, `To`,
`Content-Type`, …) are no extra headers: `shared.mail.mime.reading` reads those.
"""

from __future__ import annotations

SET_BY_POSTROOM = "is set by Postroom: leave it out"
FOR_SERVERS = "is for mail servers to write: leave it out"

_REMEDIES = {
    "auto-submitted": (
        "is removed by Microsoft, so it cannot be sent: to ask for no automatic answers give "
        "'X-Auto-Response-Suppress: OOF, AutoReply, RN, NRN'"
    ),
    "mail-reply-to": "is not supported: use reply_to",
    "mail-followup-to": "is not supported: use reply_to",
    "errors-to": "is not supported: Microsoft sends reports to the mailbox that sends the mail",
    "x-confirm-reading-to": "is not supported: use read_receipt",
    "x-postroom-key": SET_BY_POSTROOM,
    "received": FOR_SERVERS,
    "return-path": FOR_SERVERS,
    "dkim-signature": FOR_SERVERS,
    "delivered-to": FOR_SERVERS,
    "x-original-to": FOR_SERVERS,
    "envelope-to": FOR_SERVERS,
    "apparently-to": FOR_SERVERS,
}
# Another envelope, and what Exchange tells itself: spam verdicts, who has been authenticated.
_FOR_SERVERS_PREFIXES = ("resent-", "x-ms-exchange-")


def refusal(name: str) -> str | None:
    """Why a header of this name is refused wherever it is given, with the remedy; None where it may
    be given."""
    lowered = name.lower()
    if lowered.startswith(_FOR_SERVERS_PREFIXES):
        return FOR_SERVERS
    return _REMEDIES.get(lowered)
