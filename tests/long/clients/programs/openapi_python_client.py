"""Sends with the package that openapi-python-client makes."""

import json
import os

from postroom_client.api.mails import check_mail, get_mail, send_mail
from postroom_client.client import AuthenticatedClient
from postroom_client.models import Accepted, Checked, MailDocument, MailView, Problem

client = AuthenticatedClient(
    base_url=os.environ["APP"],
    token=os.environ["KEY"],
    prefix="",
    auth_header_name="x-functions-key",
)
mail = MailDocument(
    to="Ada <ada@contoso.com>",
    cc=None,
    bcc=["grace@contoso.com"],
    subject="From openapi-python-client",
    text="It is due on Friday.",
)
sent = send_mail.sync(client=client, body=mail, wait=20, idempotency_key="openapi-python-client-1")
if not isinstance(sent, Accepted):
    raise SystemExit(f"not accepted: {sent}")
checked = check_mail.sync(client=client, body=mail)
if not isinstance(checked, Checked):
    raise SystemExit(f"not checked: {checked}")
refused = send_mail.sync(client=client, body=MailDocument(to="nobody", text="x"))
if not isinstance(refused, Problem) or not refused.errors:
    raise SystemExit(f"a mail to nobody was accepted: {refused}")
view = get_mail.sync(sent.id, client=client)
if not isinstance(view, MailView):
    raise SystemExit(f"no mail: {view}")
print(
    json.dumps(
        {
            "id": sent.id,
            "status": sent.status,
            "checked": checked.recipient_count,
            "code": refused.code,
            "field": refused.errors[0].field,
            "subject": view.subject,
        }
    )
)
