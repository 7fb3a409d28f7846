"""The floor: `requests`, one token request, one post."""

from __future__ import annotations

import json
import os

import azure.functions as func
import requests

app = func.FunctionApp()
session = requests.Session()


@app.queue_trigger("msg", "outbox", "AzureWebJobsStorage")
def deliver(msg: func.QueueMessage) -> None:
    """Send one mail."""
    mail = json.loads(msg.get_body())
    answer = session.post(
        f"https://login.microsoftonline.com/{os.environ['TENANT_ID']}/oauth2/v2.0/token",
        data={
            "grant_type": "client_credentials",
            "client_id": os.environ["CLIENT_ID"],
            "client_secret": os.environ["CLIENT_SECRET"],
            "scope": "https://graph.microsoft.com/.default",
        },
        timeout=60,
    )
    answer.raise_for_status()
    session.post(
        f"https://graph.microsoft.com/v1.0/users/{os.environ['MAILBOX']}/sendMail",
        headers={"Authorization": f"Bearer {answer.json()['access_token']}"},
        json={
            "message": {
                "subject": mail["subject"],
                "body": {"contentType": "text", "content": mail["text"]},
                "toRecipients": [{"emailAddress": {"address": mail["to"]}}],
            }
        },
        timeout=60,
    ).raise_for_status()
