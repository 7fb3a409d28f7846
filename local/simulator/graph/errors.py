"""The errors of the simulated Graph mail service, one class for each code (graph-mail.md 1.8).

`handlers.answer_of` turns them into Graph's error object; no other module knows its form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class GraphError(Exception):
    """An answer that is not a success. `message` may be replaced in one instance."""

    status: int = 400
    code: str = "BadRequest"
    message: str = "Bad request."
    has_inner_error: ClassVar[bool] = True
    unsupported: str | None = None
    """What the simulator does not have, for the request log."""

    def __init__(self, message: str | None = None, headers: Sequence[tuple[str, str]] = ()) -> None:
        self.message = message if message is not None else type(self).message
        self.headers = tuple(headers)
        super().__init__(f"{self.code}: {self.message}")


# 400: the request itself


class BadRequest(GraphError):
    """The general error of OData parsing: unknown segments, wrong query options."""


class EmptyPayload(GraphError):
    """[EvotecIT/Mailozaurr#40]"""

    message = "Empty Payload. JSON content expected."


class MeNeedsDelegation(GraphError):
    """[pnp/pnpcore PR #905]"""

    message = "/me request is only valid with delegated authentication flow."


class RequestBodyRead(GraphError):
    """No content type [caronc/apprise office365.py]. Its text is UNCONFIRMED."""

    code = "RequestBodyRead"
    message = (
        "A missing or empty content type header was found when trying to read a message. "
        "The content type header is required."
    )


class UnableToDeserializePostBody(GraphError):
    """The trailing space is Graph's own [n8n-io/n8n#23132]."""

    code = "UnableToDeserializePostBody"
    message = "were unable to deserialize "


class MissingMessage(UnableToDeserializePostBody):
    """No `message` wrapper around a sendMail body. The code is UNCONFIRMED; the 400 is not."""


class RequiredPropertyMissing(GraphError):
    """[microsoftgraph/msgraph-sdk-python#667]"""

    code = "ErrorRequiredPropertyMissing"
    message = "Required property is missing."


class InvalidRecipients(GraphError):
    """[microsoftgraph/ruby-connect-rest-sample#15]"""

    code = "ErrorInvalidRecipients"

    @classmethod
    def none_given(cls) -> InvalidRecipients:
        """[ggpwnkthx/Microsoft-Graph-SMTP-Relay#7]"""
        return cls(
            "At least one recipient is not valid., "
            "A message can't be sent because it contains no recipients."
        )

    @classmethod
    def unresolved(cls, address: str) -> InvalidRecipients:
        return cls(
            f"At least one recipient is not valid., Recipient '{address}' is not resolved. "
            "All recipients must be resolved before a message can be submitted."
        )


class TooManyRecipients(GraphError):
    """More recipients than the mailbox may address. Code and text are UNCONFIRMED for work
    mailboxes."""

    code = "ErrorExceededMaxRecipientLimit"
    message = "The number of recipients exceeds the limit of this mailbox."


class InvalidInternetMessageHeader(GraphError):
    """[microsoftgraph/msgraph-sdk-dotnet#2105]"""

    code = "InvalidInternetMessageHeader"

    @classmethod
    def named(cls, name: str) -> InvalidInternetMessageHeader:
        return cls(f"The internet message header name '{name}' should start with 'x-' or 'X-'.")


class TooManyInternetMessageHeaders(GraphError):
    """[QA 762243]"""

    code = "InvalidInternetMessageHeaderCollection"
    message = "Maximum number of headers in one message should be less than or equal to 5."


class InvalidExtendedProperty(GraphError):
    """An extended property id in none of the documented forms. The code is from EWS:
    UNCONFIRMED."""

    code = "ErrorInvalidExtendedProperty"
    message = "The extended property is not valid."


class InvalidAnswer(GraphError):
    """Both of two parameters that exclude each other, or neither [api: message-forward]. The code
    is from EWS: UNCONFIRMED."""

    code = "ErrorInvalidRequest"
    message = "Specify either a comment or the body of the message, and the recipients once."


class InvalidReferenceItem(GraphError):
    """An answer to a draft. The code is from EWS: UNCONFIRMED."""

    code = "ErrorInvalidReferenceItem"
    message = "The reference item for this response object is not valid."


class InvalidMimeBase64(GraphError):
    """[api: user-sendmail]"""

    code = "ErrorMimeContentInvalidBase64String"
    message = "Invalid base64 string for MIME content."


class InefficientFilter(GraphError):
    """[api: user-list-messages]"""

    code = "InefficientFilter"
    message = "The restriction or sort order is too complex for this operation."


class AttachmentTooSmallForSession(GraphError):
    """Field reports; the text is UNCONFIRMED."""

    code = "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize"
    message = "Attachment size must be greater than the minimum size of 3 MB."


class InvalidContentRange(GraphError):
    """A chunk out of order or with a malformed range. The code is UNCONFIRMED."""

    code = "ErrorInvalidContentRange"
    message = "The Content-Range header is missing, malformed or not the next expected range."


class ContentLengthMismatch(GraphError):
    """A chunk longer or shorter than its Content-Range. The code is UNCONFIRMED."""

    code = "ErrorContentLengthMismatch"
    message = "The Content-Range header length does not match the provided number of bytes."


class MessageSizeExceeded(GraphError):
    """[MGC#2561]; the status is 400 or 413 in reports."""

    code = "ErrorMessageSizeExceeded"
    message = (
        "The message exceeds the maximum supported size., "
        "Cannot save changes made to an item to store."
    )


class SentItemIsReadOnly(GraphError):
    """Some properties can change only while `isDraft` is true. The code is from EWS:
    UNCONFIRMED."""

    code = "ErrorInvalidPropertyUpdateSentMessage"
    message = "Update operation is invalid for property of a sent message."


class BadBatch(GraphError):
    """[con: json-batching]: duplicate ids, nesting, more than 20 requests."""

    message = "Invalid batch payload format."


# 401: the token


class InvalidAuthenticationToken(GraphError):
    """[con: resolve-auth-errors]; every 401 of Graph carries the challenge."""

    status = 401
    code = "InvalidAuthenticationToken"
    message = "Access token is empty."


class InvalidAudienceForResource(GraphError):
    """An Authorization header on the pre-authorised upload URL
    [microsoftgraph/msgraph-sdk-java#409].

    Its inner error has other members than Graph's, so `handlers` writes that body by itself.
    """

    status = 401
    code = "InvalidAudienceForResource"
    message = "The audience claim value is invalid for current resource."


class InvalidUploadToken(GraphError):
    """An upload URL without its authtoken. The code is UNCONFIRMED."""

    status = 401
    code = "InvalidAuthenticationToken"
    message = "The upload session's authtoken is missing or not valid."


# 403: rights and quotas


class AccessDenied(GraphError):
    """A scope or a mailbox right is missing [EvotecIT/Mailozaurr#40]."""

    status = 403
    code = "ErrorAccessDenied"
    message = "Access is denied. Check credentials and try again."


class AppAccessPolicyDenied(AccessDenied):
    """[con: auth-limit-mailbox-access]"""

    message = (
        "Access to OData is disabled: [RAOP] : "
        "Blocked by tenant configured AppOnly AccessPolicy settings."
    )


class SendAsDenied(GraphError):
    """[con: outlook-send-mail-from-other-user]"""

    status = 403
    code = "ErrorSendAsDenied"
    message = (
        "The user account which was used to submit this request does not have the right to send "
        "mail on behalf of the specified sending account. Cannot submit message."
    )


class NamedPropertyQuotaExceeded(GraphError):
    """Every new header name or property id takes a slot for ever [MGD#12767]."""

    status = 403
    code = "ErrorQuotaExceeded"
    message = "Cannot get ID from name."


class PersonalLimit(GraphError):
    """Outlook.com's limits against abuse (graph-mail.md 1.8). The status is UNCONFIRMED."""

    code = "ErrorExceededMessageLimit"
    message = (
        "Cannot send mail. Daily Message/Recipient limit exceeded. Follow the instructions in your "
        "Inbox to verify your account."
    )

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


class PersonalRecipientLimit(PersonalLimit):
    """Too many recipients of one mail."""

    code = "ErrorExceededMaxRecipientLimit"
    message = "Cannot send mail. The number of recipients exceeds the limit of your account."


class AccountSuspended(PersonalLimit):
    """The owner must verify the account at outlook.com."""

    code = "ErrorAccountSuspend"
    message = "Account suspended. Follow the instructions in your Inbox to verify your account."


class InsufficientPrivileges(GraphError):
    """The directory's refusal, not Exchange's [con: resolve-auth-errors]."""

    status = 403
    code = "Authorization_RequestDenied"
    message = "Insufficient privileges to complete the operation."


# 404, 405, 413: what does not exist, or is too large


class MailboxNotEnabled(GraphError):
    """[MGD#17826]"""

    status = 404
    code = "MailboxNotEnabledForRESTAPI"
    message = "The mailbox is either inactive, soft-deleted, or is hosted on-premise."


class InvalidUser(GraphError):
    """A mailbox address that does not exist (field reports)."""

    status = 404
    code = "ErrorInvalidUser"

    @classmethod
    def named(cls, user: str) -> InvalidUser:
        return cls(f"The requested user '{user}' is invalid.")


class ResourceNotFound(GraphError):
    """The directory's answer about a user who does not exist."""

    status = 404
    code = "Request_ResourceNotFound"

    @classmethod
    def named(cls, user: str) -> ResourceNotFound:
        return cls(
            f"Resource '{user}' does not exist or one of its queried reference-property "
            "objects are not present."
        )


class ItemNotFound(GraphError):
    """[microsoftgraph/msgraph-sdk-dotnet#259]; the same for a used draft id [rlrghb/olkcli#118]."""

    status = 404
    code = "ErrorItemNotFound"
    message = (
        "The specified object was not found in the store., "
        "The process failed to get the correct properties."
    )


class OnlyFileAttachments(GraphError):
    """An upload session for an item that is not a file [MGC#710]."""

    status = 405
    code = "ErrorAttachmentSessionIsSupportedOnlyForFileAttachments"
    message = "Attachment upload sessions are supported only for file attachments."


class UnsupportedMediaType(GraphError):
    """Neither JSON nor MIME. The code is UNCONFIRMED."""

    status = 415
    code = "RequestBodyRead"
    message = "A supported MIME type could not be found that matches the content type."


class RequestTooLong(GraphError):
    """The JSON form of the 4 MB limit's 413 [MGC#682]."""

    status = 413
    message = "The maximum request length supported is 4MB."


# 429


class ApplicationThrottled(GraphError):
    """The answer has no inner error [alcionai/corso#3695]."""

    status = 429
    code = "ApplicationThrottled"
    has_inner_error = False

    @classmethod
    def over(cls, limit: str, headers: Sequence[tuple[str, str]]) -> ApplicationThrottled:
        """`MailboxConcurrency` is confirmed; the other limits' names are UNCONFIRMED."""
        return cls(f"Application is over its {limit} limit.", headers)
