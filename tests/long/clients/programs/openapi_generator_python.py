"""Sends with the package that openapi-generator makes for Python."""

import json
import os

from postroom_pydantic import (
    Addresses,
    ApiClient,
    ApiException,
    Configuration,
    MailDocument,
    MailsApi,
)

configuration = Configuration(host=os.environ["APP"], api_key={"function_key": os.environ["KEY"]})
with ApiClient(configuration) as client:
    mails = MailsApi(client)
    mail = MailDocument(
        to=Addresses("Ada <ada@contoso.com>"),
        cc=None,
        bcc=Addresses("grace@contoso.com"),
        subject="From openapi-generator for Python",
        text="It is due on Friday.",
    )
    sent = mails.send_mail(mail, wait=20, idempotency_key="openapi-generator-python-1")
    checked = mails.check_mail(mail)
    try:
        mails.send_mail(MailDocument(to=Addresses("nobody"), text="x"))
    except ApiException as error:
        problem = json.loads(error.body or "{}")
    else:
        raise SystemExit("a mail to nobody was accepted")
    view = mails.get_mail(sent.id)
print(
    json.dumps(
        {
            "id": sent.id,
            "status": sent.status,
            "checked": checked.recipient_count,
            "code": problem["code"],
            "field": problem["errors"][0]["field"],
            "subject": view.subject,
        }
    )
)
