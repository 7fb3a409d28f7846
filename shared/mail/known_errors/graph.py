"""Microsoft Graph's error codes, and the meaning of an HTTP status if the code is not known.

`shared.mail.outcome` decides what happens to a mail; this module has the texts. `retry` says what
holds for a send; a test checks that both modules agree.
https://learn.microsoft.com/graph/errors
"""

from __future__ import annotations

from shared.mail.known_errors.row import Actor, KnownError, Retry, alike
from shared.mail.known_errors.steps import AGAIN, CONSENT, LICENCES, MAILBOX, MAILBOXES

_LOOK = (
    "Look into the mailbox's Sent Items, then mark the mail as sent or have it sent again. Postroom "
    "does that by itself for a verified account."
)
_REPORT = "Report it to whoever maintains Postroom, with the code and the mail's request id."
_WAITS = "Do nothing: the mail waits and is tried again."

_MAIL = {
    **alike(
        "ErrorInvalidRecipients",
        "Exchange cannot resolve one of the recipients, or found none.",
        Actor.SENDER,
        "Correct the addresses and send the mail anew, or retry it with other recipients. If they "
        "are right, retry it as it is: Exchange has been seen to answer so for a moment.",
    ),
    **alike(
        "ErrorExceededMaxRecipientLimit",
        "The mail has more recipients than the mailbox may address at once.",
        Actor.SENDER,
        f"Split the mail. An administrator may raise the limit in {MAILBOX} > Mailbox > 'Recipient "
        "limit' (500 by default, 1000 at most).",
    ),
    **alike(
        "ErrorMessageSizeExceeded",
        "The mail exceeds the mailbox's message size limit.",
        Actor.SENDER,
        f"Send smaller attachments. An administrator may raise the limit in {MAILBOX} > Mailbox > "
        "'Message size restriction' (35 MB by default, 150 MB at most).",
    ),
    **alike(
        "ErrorMessageBlocked",
        "Microsoft blocked the mail as spam.",
        Actor.SENDER,
        "Change the mail (links and attachments above all) and send it anew. If every mail of the "
        "mailbox is blocked, its owner signs in at https://outlook.com and follows the instructions.",
    ),
    **alike(
        "InvalidInternetMessageHeader ErrorInvalidInternetMessageHeader",
        "The mail has a header whose name Microsoft does not take.",
        Actor.SENDER,
        "Let the names in 'headers' begin with 'X-', and send the mail anew.",
    ),
    **alike(
        "InvalidInternetMessageHeaderCollection",
        "The mail has more headers of its own than the five that Microsoft takes.",
        Actor.SENDER,
        "Leave some of 'headers' out and send the mail anew.",
    ),
    **alike(
        "ErrorSendAsDenied",
        "The signed-in user may not send from this address.",
        Actor.DIRECTORY_ADMIN,
        f"In {MAILBOXES} > the From address's mailbox > Delegation > 'Send as' or 'Send on behalf' add the "
        "signed-in user (it takes up to an hour), then retry the mail; or use another 'from'.",
    ),
    **alike(
        "ErrorQuotaExceeded",
        "The mailbox is full, or its quota of named properties is used up.",
        Actor.MAILBOX_OWNER,
        "Empty the mailbox (Deleted Items too), or have an administrator give it more room or an "
        "archive. With room left it is the named properties, which only a new mailbox or Microsoft's support "
        "can repair: retry then without 'headers'.",
    ),
    **alike(
        "BadRequest UnableToDeserializePostBody RequestBodyRead ErrorRequiredPropertyMissing "
        "ErrorMimeContentInvalidBase64String",
        "Microsoft did not understand the mail as Postroom wrote it.",
        Actor.OPERATOR,
        f"This is a fault in Postroom, or a very unusual mail. {_REPORT}",
    ),
    **alike(
        "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize "
        "ErrorAttachmentSessionIsSupportedOnlyForFileAttachments InvalidAudienceForResource "
        "InvalidAudience InefficientFilter",
        "Microsoft did not take Postroom's request about a draft or its attachment.",
        Actor.OPERATOR,
        f"This is a fault in Postroom. {_REPORT}",
    ),
    **alike(
        "ErrorItemNotFound",
        "Microsoft did not find the draft.",
        Actor.SENDER,
        "Retry the mail: a new draft is made.",
    ),
    **alike(
        "ErrorNonExistentMailbox",
        "Exchange says that there is no such mailbox; for existing mailboxes this answer is temporary.",
        Actor.DIRECTORY_ADMIN,
        f"Retry the mail. If it stays, check that the mailbox is in {MAILBOXES}.",
    ),
}

_RIGHTS = {
    **alike(
        "InvalidAuthenticationToken",
        "Microsoft refused the access token, and a fresh one too.",
        Actor.MAILBOX_OWNER,
        AGAIN,
        Retry.ONCE,
    ),
    **alike(
        "ErrorAccessDenied",
        "The grant does not cover sending from this mailbox, or a policy keeps the app out of it.",
        Actor.DIRECTORY_ADMIN,
        "Sign the mailbox in again on /accounts and accept all permissions. If it comes back: for "
        "another mailbox than the signed-in one the user needs 'Full access' and 'Send as' "
        f"({MAILBOX} > Delegation); an app-only account needs the application role Mail.Send for "
        "this mailbox (Test-ServicePrincipalAuthorization shows it) and no application access "
        "policy against it.",
        admin_consent=True,
    ),
    **alike(
        "Authorization_RequestDenied",
        "The app lacks a permission.",
        Actor.DIRECTORY_ADMIN,
        f"{CONSENT}; then sign the mailbox in again on /accounts.",
        admin_consent=True,
    ),
}

_MAILBOX = {
    **alike(
        "ErrorAccountSuspend ErrorMessageSubmissionBlocked",
        "Microsoft has blocked sending for this mailbox until its owner proves to be a person.",
        Actor.MAILBOX_OWNER,
        "Sign in at https://outlook.com as the mailbox's owner and follow the instructions in the "
        "Inbox. Postroom tries again every hour.",
    ),
    **alike(
        "MailboxNotEnabledForRESTAPI",
        "The account has no Exchange Online mailbox: no licence, a guest, on-premises, or deleted.",
        Actor.DIRECTORY_ADMIN,
        f"In {LICENCES} assign a licence with Exchange Online (a new mailbox takes up to a day), or "
        "sign in another mailbox under the alias. Postroom tries again every hour.",
    ),
    **alike(
        "ErrorInvalidUser ResourceNotFound",
        "Exchange does not know this user or mailbox.",
        Actor.DIRECTORY_ADMIN,
        f"Look for the mailbox in {MAILBOXES}: it may have been deleted or moved. Postroom tries again "
        "every hour.",
    ),
}

_LIMITS = {
    **alike(
        "ErrorSubmissionQuotaExceeded",
        "Exchange's sending limit for this mailbox is used up (10,000 recipients in 24 hours).",
        Actor.NOBODY,
        "Wait: it resets within 24 hours, no administrator can lift it, and the mails go by "
        "themselves then. To send more, spread it over several mailboxes.",
        Retry.LATER,
    ),
    **alike(
        "ErrorExceededMessageLimit",
        "Outlook.com's daily limit for this mailbox is used up.",
        Actor.MAILBOX_OWNER,
        "Follow the instructions in the mailbox's Inbox at https://outlook.com to verify the "
        "account; without that the mails go by themselves when the day is over.",
        Retry.LATER,
    ),
    **alike(
        "ErrorExceededHourlyMessageLimit",
        "Outlook.com's hourly limit for this mailbox is used up.",
        Actor.NOBODY,
        "Wait: the mails go by themselves when the hour is over.",
        Retry.LATER,
    ),
    **alike(
        "ApplicationThrottled TooManyRequests ErrorMessageThrottled",
        "Microsoft asked Postroom to slow down for this mailbox.",
        Actor.NOBODY,
        _WAITS,
        Retry.LATER,
    ),
    **alike(
        "ErrorMessageTransientError",
        "Microsoft could not take the mail just now.",
        Actor.NOBODY,
        _WAITS,
        Retry.LATER,
    ),
}

_OPEN = {
    **alike(
        "UnknownError ErrorMessageTimeout CommandConcurrencyLimitReached ErrorInternalServerError",
        "Microsoft's answer leaves open whether the mail was sent.",
        Actor.OPERATOR,
        _LOOK,
        Retry.LOOK,
    ),
    **alike(
        "ErrorServerBusy ResourceUnhealthy ErrorMailboxStoreUnavailable ServiceNotAvailable",
        "Exchange is overloaded or failing over, which leaves open whether the mail was sent.",
        Actor.OPERATOR,
        _LOOK,
        Retry.LOOK,
    ),
    **alike(
        "ErrorMailboxMoveInProgress MailboxInfoStale",
        "The mailbox is being moved (that takes hours), which leaves open whether the mail was sent.",
        Actor.OPERATOR,
        _LOOK,
        Retry.LOOK,
    ),
}

ROWS: dict[str, KnownError] = {**_MAIL, **_RIGHTS, **_MAILBOX, **_LIMITS, **_OPEN}

_UNAUTHORISED = KnownError(
    "unauthorised",
    "Microsoft refused the access token, and a fresh one too.",
    Actor.MAILBOX_OWNER,
    AGAIN,
    Retry.ONCE,
)
_TOO_LARGE = KnownError(
    "request_too_large",
    "Microsoft refused the size of the mail.",
    Actor.SENDER,
    "Send fewer or smaller attachments.",
)
_NOT_UNDERSTOOD = KnownError(
    "bad_request",
    "Microsoft did not understand the mail.",
    Actor.OPERATOR,
    f"This is a fault in Postroom or an unusual header; the code says more. {_REPORT}",
)
_THROTTLED = KnownError(
    "throttled",
    "Microsoft asked Postroom to slow down for this mailbox.",
    Actor.NOBODY,
    _WAITS,
    Retry.LATER,
)

REFUSED = frozenset({400, 402, 405, 406, 410, 411, 415, 416, 422})
"""The request itself was refused before anything was done with the mail."""
CONFLICT = frozenset({409, 412, 423})
"""The item was busy or had changed; nothing was done."""


def of_status(status: int) -> KnownError:
    """The entry for an HTTP status without a known code."""
    if status == 401:
        return _UNAUTHORISED
    if status == 413:
        return _TOO_LARGE
    if status == 429:
        return _THROTTLED
    if status in REFUSED:
        return _NOT_UNDERSTOOD
    if status in (403, 404):
        return KnownError(
            f"http_{status}",
            "Microsoft refused the mail.",
            Actor.OPERATOR,
            "The mail's request id finds the request in Microsoft's support. Check the account on "
            "/accounts, then retry the mail.",
        )
    if status in CONFLICT:
        return KnownError(
            f"http_{status}", "The mailbox was busy.", Actor.NOBODY, _WAITS, Retry.LATER
        )
    return KnownError(
        f"http_{status}",
        "Microsoft's answer leaves open whether the mail was sent.",
        Actor.OPERATOR,
        _LOOK,
        Retry.LOOK,
    )


def of_reason(reason: str) -> KnownError | None:
    """The entry for a reason that `of_status` made; None for any other."""
    named = {row.code: row for row in (_UNAUTHORISED, _TOO_LARGE, _NOT_UNDERSTOOD, _THROTTLED)}
    status = reason.removeprefix("http_")
    if status != reason and len(status) == 3 and status.isdigit():
        return of_status(int(status))
    return named.get(reason)
