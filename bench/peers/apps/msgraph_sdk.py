"""msgraph-sdk and azure-identity, as in the SDK's documentation."""

from __future__ import annotations

import json
import os

import azure.functions as func
from azure.identity.aio import ClientSecretCredential
from kiota_authentication_azure.azure_identity_authentication_provider import (
    AzureIdentityAuthenticationProvider,
)
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.body_type import BodyType
from msgraph.generated.models.email_address import EmailAddress
from msgraph.generated.models.item_body import ItemBody
from msgraph.generated.models.message import Message
from msgraph.generated.models.recipient import Recipient
from msgraph.generated.users.item.send_mail.send_mail_post_request_body import (
    SendMailPostRequestBody,
)

app = func.FunctionApp()


def client() -> GraphServiceClient:
    """With the simulator's port, which resolving the name anew does not reach here."""
    credential = ClientSecretCredential(
        os.environ["TENANT_ID"], os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]
    )
    adapter = GraphRequestAdapter(AzureIdentityAuthenticationProvider(credential))
    adapter.base_url = f"https://graph.microsoft.com:{os.environ['HTTPS_PORT']}/v1.0"
    return GraphServiceClient(request_adapter=adapter)


@app.queue_trigger("msg", "outbox", "AzureWebJobsStorage")
async def deliver(msg: func.QueueMessage) -> None:
    """Send one mail."""
    mail = json.loads(msg.get_body())
    message = Message(
        subject=mail["subject"],
        body=ItemBody(content_type=BodyType.Text, content=mail["text"]),
        to_recipients=[Recipient(email_address=EmailAddress(address=mail["to"]))],
    )
    body = SendMailPostRequestBody(message=message, save_to_sent_items=True)
    await client().users.by_user_id(os.environ["MAILBOX"]).send_mail.post(body)
