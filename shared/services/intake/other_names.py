"""The names that other mail services, libraries and languages have for the fields of a mail. They
are used to say which field was meant if a document has an unknown one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

LONGEST_NAME = 80
"""Characters of a name that are compared: the time grows with their square."""

_TO = "'to'"
_BODY = "'text' or 'html'"
_PARTS = re.compile(r"[^a-z0-9]")

# Sources: the send calls of SendGrid (v3 mail/send), Mailgun (messages), Postmark (email), Amazon SES
# (v2 SendEmail), Resend (emails), Microsoft Graph (sendMail), nodemailer, PHPMailer and PowerShell's
# Send-MailMessage. Names are compared without case, '_' and '-'.
_MAIL = {
    "body": _BODY,
    "message": _BODY,
    "content": _BODY,
    "bodytext": "'text'",
    "textbody": "'text'",
    "textcontent": "'text'",
    "textpart": "'text'",
    "plain": "'text'",
    "plaintext": "'text'",
    "plaintextcontent": "'text'",
    "altbody": "'text'",
    "htmlbody": "'html'",
    "bodyhtml": "'html'",
    "bodyashtml": "'html'",
    "htmlcontent": "'html'",
    "htmlpart": "'html'",
    "ishtml": "'html'",
    "amphtml": "'html'",
    "title": "'subject'",
    "attachment": "'attachments'",
    "file": "'attachments'",
    "files": "'attachments'",
    "sender": "'from'",
    "fromemail": "'from'",
    "fromaddress": "'from'",
    "fromname": "'from'",
    "source": "'from'",
    "mailfrom": "'from'",
    "recipient": _TO,
    "recipients": _TO,
    "torecipients": _TO,
    "toaddresses": _TO,
    "toaddress": _TO,
    "toemail": _TO,
    "email": _TO,
    "destination": _TO,
    "rcpt": _TO,
    "rcptto": _TO,
    "mailto": _TO,
    "personalizations": _TO,
    "ccrecipients": "'cc'",
    "ccaddresses": "'cc'",
    "bccrecipients": "'bcc'",
    "bccaddresses": "'bcc'",
    "replytolist": "'reply_to'",
    "replytoaddresses": "'reply_to'",
    "replytoaddress": "'reply_to'",
    "internetmessageheaders": "'headers'",
    "customheaders": "'headers'",
    "header": "'headers'",
    "priority": "'importance'",
    "tag": "'tags'",
    "category": "'tags'",
    "categories": "'tags'",
    "otag": "'tags'",
    "customargs": "'metadata'",
    "variables": "'metadata'",
    "sendat": "'scheduled_at'",
    "sendtime": "'scheduled_at'",
    "deliverytime": "'scheduled_at'",
    "odeliverytime": "'scheduled_at'",
    "isreadreceiptrequested": "'read_receipt'",
    "isdeliveryreceiptrequested": "'delivery_receipt'",
    "deliverynotificationoption": "'delivery_receipt'",
    "dispositionnotificationto": "'read_receipt'",
    "idempotency": "'idempotency_key'",
    "key": "'idempotency_key'",
    "messageid": "'in_reply_to'",
    "conversationid": "'in_reply_to'",
    "testmode": "'dry_run'",
    "otestmode": "'dry_run'",
}
_ADDRESS = {
    "address": "'email'",
    "emailaddress": "'email'",
    "mail": "'email'",
    "displayname": "'name'",
}
_FILE = {
    "name": "'filename'",
    "path": "'blob'",
    "url": "'blob'",
    "type": "'content_type'",
    "mimetype": "'content_type'",
    "mime": "'content_type'",
    "contentbytes": "'content'",
    "data": "'content'",
    "base64": "'content'",
    "body": "'content'",
    "cid": "'content_id'",
    "inlineid": "'content_id'",
}
_NAMES = {
    "MailDocument": _MAIL,
    "AddressObject": _ADDRESS,
    "AttachmentDocument": _FILE,
    "RetryDocument": {
        name: field for name, field in _MAIL.items() if field in (_TO, "'cc'", "'bcc'")
    },
    "BatchEnvelope": dict.fromkeys(("messages", "emails", "items", "mail", "documents"), "'mails'"),
}


def remedy_for(name: str, document: str, fields: Iterable[str]) -> str:
    """The advice for a field that a document of this type does not have among `fields`."""
    bare = _bare(name)
    field = next((f"'{field}'" for field in fields if _bare(field) == bare), None)
    meant = field or _NAMES.get(document, {}).get(bare) or _close(name, list(fields))
    return f"did you mean {meant}?" if meant else "remove it"


def _bare(name: str) -> str:
    return _PARTS.sub("", name[:LONGEST_NAME].lower())


def _close(name: str, fields: list[str]) -> str | None:
    found = get_close_matches(name[:LONGEST_NAME].lower(), fields, 1)
    return f"'{found[0]}'" if found else None
