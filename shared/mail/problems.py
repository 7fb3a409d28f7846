"""The kinds of problem that a caller can get: stable code, HTTP status, title, remedy.

A published `code` never changes. `docs/errors.md` lists all of them; a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass


# Not a msgspec struct (decision 0025): the host indexes the app without msgspec.
@dataclass(frozen=True)
class ProblemKind:
    """One row of the catalogue. `title` and `status` are those of RFC 9457; `code` and `help` are
    Postroom's."""

    code: str
    status: int
    title: str
    help: str


INVALID_MAIL = ProblemKind(
    "invalid_mail",
    422,
    "The mail cannot be accepted as written",
    "Correct the fields listed under 'errors' and send the request again.",
)
INVALID_JSON = ProblemKind(
    "invalid_json",
    400,
    "The body is not valid JSON",
    "Send one JSON document in UTF-8. GET /api/openapi.json describes it.",
)
INVALID_REQUEST = ProblemKind(
    "invalid_request",
    400,
    "The request cannot be understood",
    "Correct what 'errors' names and send the request again.",
)
EMPTY_BODY = ProblemKind(
    "empty_body",
    400,
    "The request has no body",
    "Send the mail as a JSON document with Content-Type: application/json.",
)
LENGTH_REQUIRED = ProblemKind(
    "length_required",
    411,
    "The request has no Content-Length",
    "Send the body with a Content-Length header; a chunked body does not reach the app.",
)
UNSUPPORTED_CONTENT_TYPE = ProblemKind(
    "unsupported_content_type",
    415,
    "This content type is not understood",
    "Use application/json, message/rfc822, or multipart/form-data with a JSON part named 'mail'.",
)
UNSUPPORTED_ENCODING = ProblemKind(
    "unsupported_encoding",
    415,
    "The body is compressed, or in a charset that is not read",
    "Send JSON in UTF-8, say any other charset in Content-Type, and send no Content-Encoding.",
)
REQUEST_TOO_LARGE = ProblemKind(
    "request_too_large",
    413,
    "The request is too large",
    "Send fewer or smaller attachments, put large ones into the container attachments and name them "
    "by 'blob', or have an operator raise POSTROOM_MAX_REQUEST_BYTES.",
)
MAIL_TOO_LARGE = ProblemKind(
    "mail_too_large",
    413,
    "The mail is larger than this account can send",
    "Send fewer or smaller attachments.",
)
ATTACHMENT_MISSING = ProblemKind(
    "attachment_missing",
    422,
    "The mail names a file that is not in storage",
    "Put the file into the container attachments of Postroom's storage account, under the name that "
    "'blob' says, and send the request again.",
)
NO_ACCOUNT = ProblemKind(
    "no_account",
    409,
    "No mailbox is signed in",
    "An administrator signs a mailbox in on the page /accounts.",
)
UNKNOWN_ACCOUNT = ProblemKind(
    "unknown_account",
    422,
    "There is no such account",
    "Use an alias that GET /api/accounts lists, or leave 'account' out.",
)
SENDER_NOT_ALLOWED = ProblemKind(
    "sender_not_allowed",
    422,
    "No account may send from this address",
    "Leave 'from' out, or have an administrator allow the address for an account.",
)
OVERRIDE_NOT_ALLOWED = ProblemKind(
    "override_not_allowed",
    422,
    "The account does not let a mail override one of its defaults",
    "Leave the fields listed under 'errors' out, or have an administrator allow them for the account.",
)
ACCOUNT_NEEDS_SIGN_IN = ProblemKind(
    "account_needs_sign_in",
    409,
    "The account must be signed in again",
    "An administrator opens /accounts and signs the mailbox in again; then repeat the request.",
)
IDEMPOTENCY_CONFLICT = ProblemKind(
    "idempotency_conflict",
    409,
    "This idempotency key was used with another document",
    "Use a new key for a new mail; repeat a request with exactly the document it had at first.",
)
UNKNOWN_MAIL = ProblemKind(
    "unknown_mail",
    404,
    "There is no such mail",
    "Use the id that the send request answered with.",
)
WRONG_STATUS = ProblemKind(
    "wrong_status",
    409,
    "The mail is not in a status in which this can be done",
    "'mail_status' is the mail's status, and 'detail' says what can be done in it.",
)
CONTENT_GONE = ProblemKind(
    "content_gone",
    409,
    "The mail's content is deleted",
    "Send it as a new mail.",
)
UNREADABLE_MAIL = ProblemKind(
    "unreadable_mail",
    409,
    "The queue message could not be read as a mail",
    "Correct what the mail's 'help' names, and put the corrected document on the queue, or send it "
    "by POST /api/send.",
)
NO_RAW_TEXT = ProblemKind(
    "no_raw_text",
    404,
    "The mail has no raw text",
    "Only a queue message that did not become a mail has one; its 'links.raw' says where. "
    "GET /api/mails/{id} shows any other mail.",
)
RAW_TEXT_GONE = ProblemKind(
    "raw_text_gone",
    410,
    "The raw text of the queue message is not kept any more",
    "It is kept for as long as POSTROOM_KEEP_PAYLOAD_DAYS says. Have whoever put the message on the "
    "queue put it there again.",
)
RAW_RECIPIENTS = ProblemKind(
    "raw_recipients",
    409,
    "The recipients of a raw message stand in the message itself",
    "Retry it without 'to', 'cc' and 'bcc', or send the message with other headers as a new mail.",
)
MAILBOX_REPLACED = ProblemKind(
    "mailbox_replaced",
    409,
    "Another mailbox has the account's alias since this mail was accepted",
    "If the mail may go out from that mailbox, retry it with 'account' naming the alias.",
)
ACCOUNT_CANNOT_SEND = ProblemKind(
    "account_cannot_send",
    409,
    "The account cannot send now",
    "GET /api/accounts says why, and until when. Its mails go by themselves when that ends; or "
    "retry the mail with another 'account'.",
)
UNKNOWN_ALIAS = ProblemKind(
    "unknown_alias",
    404,
    "No account has this alias",
    "Use an alias that GET /api/accounts lists.",
)
ACCOUNT_EDITED = ProblemKind(
    "account_edited",
    412,
    "The account's defaults were changed by somebody else since they were read",
    "GET /api/accounts/{alias} shows them as they are now, with their ETag; then repeat the change.",
)
ACCOUNT_TAKEN = ProblemKind(
    "account_taken",
    409,
    "The alias or the mailbox is another account's",
    "GET /api/accounts lists the accounts: use the one that is there, or choose another alias.",
)
ACCOUNT_NOT_ADDED = ProblemKind(
    "account_not_added",
    422,
    "The mailbox cannot be added now; nothing was stored",
    "Do what 'errors' names, then repeat the request.",
)
ACCOUNT_IN_USE = ProblemKind(
    "account_in_use",
    409,
    "Other accounts are reached through this one",
    "Disconnect those first, or add with_shared=true to disconnect them too.",
)
SECRET_NOT_REMOVED = ProblemKind(
    "secret_not_removed",
    409,
    "The mailbox's secret could not be deleted from Key Vault",
    "Give the app's identity the right to delete secrets (Key Vault Secrets Officer), then repeat the "
    "request: it goes on where it stopped.",
)
BATCH_REFUSED = ProblemKind(
    "batch_refused",
    422,
    "No mail of the batch was accepted",
    "Correct what 'results' names for each mail and send the batch again.",
)
BATCH_INCOMPLETE = ProblemKind(
    "batch_incomplete",
    503,
    "Postroom or its storage failed before every mail of the batch was accepted",
    "'results' has the ids of the accepted mails, which will be sent. Repeat the same batch "
    "with the same Idempotency-Key after the time in Retry-After; those are not sent twice then.",
)
UNAVAILABLE = ProblemKind(
    "unavailable",
    503,
    "Postroom cannot do this at the moment",
    "Repeat the request after the time in Retry-After, with the same Idempotency-Key: then it stays "
    "one mail. Without a key, look into GET /api/mails first: storage may have taken it.",
)
MISCONFIGURED = ProblemKind(
    "misconfigured",
    503,
    "Postroom is not set up correctly",
    "An administrator corrects the settings named here; docs/settings.md describes each.",
)
SESSION_REQUIRED = ProblemKind(
    "session_required", 401, "Sign in first", "Open /signin and type a function key."
)
CROSS_ORIGIN = ProblemKind(
    "cross_origin",
    403,
    "The request came from another site",
    "Open the page itself and use its buttons.",
)
SIGN_IN_REFUSED = ProblemKind(
    "sign_in_refused",
    400,
    "The sign-in could not be finished; nothing was connected",
    "Open /accounts and start again.",
)
INTERNAL = ProblemKind(
    "internal_error",
    500,
    "Postroom itself failed",
    "Repeat the request with the same Idempotency-Key. If it stays, give the request_id to "
    "whoever runs Postroom: the log has an event of that id.",
)


def standing(mail_status: str) -> dict[str, object]:
    """The member of a problem document that says in which status the mail is."""
    return {"mail_status": mail_status}


CATALOGUE: tuple[ProblemKind, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, ProblemKind)
)
