"""O365, as in its documentation."""

from __future__ import annotations

import json
import os

import azure.functions as func
from O365 import Account
from O365.utils.token import MemoryTokenBackend

app = func.FunctionApp()


@app.queue_trigger("msg", "outbox", "AzureWebJobsStorage")
def deliver(msg: func.QueueMessage) -> None:
    """Send one mail."""
    document = json.loads(msg.get_body())
    account = Account(
        (os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]),
        auth_flow_type="credentials",
        tenant_id=os.environ["TENANT_ID"],
        main_resource=os.environ["MAILBOX"],
        token_backend=MemoryTokenBackend(),
    )
    account.authenticate()
    mail = account.new_message()
    mail.to.add(document["to"])
    mail.subject = document["subject"]
    mail.body_type = "text"
    mail.body = document["text"]
    mail.send()
