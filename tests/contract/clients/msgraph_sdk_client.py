"""msgraph-sdk, as shipped: sends a mail, makes a draft, adds a large file, lists, searches, replies.

Runs in `.local/sdk-clients/python`. Prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

import httpx  # type: ignore[import-not-found]
from azure.core.credentials import AccessToken
from kiota_authentication_azure.azure_identity_authentication_provider import (
    AzureIdentityAuthenticationProvider,
)
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.attachment_item import AttachmentItem
from msgraph.generated.models.attachment_type import AttachmentType
from msgraph.generated.models.body_type import BodyType
from msgraph.generated.models.email_address import EmailAddress
from msgraph.generated.models.item_body import ItemBody
from msgraph.generated.models.message import Message
from msgraph.generated.models.recipient import Recipient
from msgraph.generated.users.item.messages.item.attachments.create_upload_session.create_upload_session_post_request_body import (
    CreateUploadSessionPostRequestBody,
)
from msgraph.generated.users.item.messages.messages_request_builder import MessagesRequestBuilder
from msgraph.generated.users.item.send_mail.send_mail_post_request_body import (
    SendMailPostRequestBody,
)
from msgraph_core import GraphClientFactory


class Token:
    """A token that the caller got already."""

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        return AccessToken(os.environ["ACCESS_TOKEN"], int(time.time()) + 3600)


def client() -> GraphServiceClient:
    """The SDK's client, with the simulator's address and CA."""
    url = os.environ["GRAPH_URL"]
    provider = AzureIdentityAuthenticationProvider(
        Token(), allowed_hosts=["localhost"], scopes=["https://graph.microsoft.com/.default"]
    )
    http = GraphClientFactory.create_with_default_middleware(
        client=httpx.AsyncClient(verify=os.environ["CA_FILE"], http2=False), options={}
    )
    adapter = GraphRequestAdapter(provider, client=http)
    adapter.base_url = url
    return GraphServiceClient(request_adapter=adapter)


def message(subject: str) -> Message:
    return Message(
        subject=subject,
        body=ItemBody(content_type=BodyType.Text, content="From msgraph-sdk."),
        to_recipients=[Recipient(email_address=EmailAddress(address="ada@contoso.com"))],
    )


async def run(flow: str) -> object:
    mailbox = client().users.by_user_id(os.environ["MAILBOX"])
    if flow == "send":
        await mailbox.send_mail.post(SendMailPostRequestBody(message=message("msgraph-sdk")))
        return {"sent": True}
    draft = await mailbox.messages.post(message("draft of msgraph-sdk"))
    assert draft is not None
    one = mailbox.messages.by_message_id(str(draft.id))
    if flow == "upload":
        item = AttachmentItem(attachment_type=AttachmentType.File, name="large.bin", size=4_000_000)
        session = await one.attachments.create_upload_session.post(
            CreateUploadSessionPostRequestBody(attachment_item=item)
        )
        assert session is not None
        # msgraph-core's own task for large files fails at the answers that Outlook documents: it
        # takes the number of the next byte for a range.
        async with httpx.AsyncClient(verify=os.environ["CA_FILE"]) as uploads:
            for start, end in ((0, 3_276_800), (3_276_800, 4_000_000)):
                answer = await uploads.put(
                    str(session.upload_url),
                    content=b"a" * (end - start),
                    headers={"Content-Range": f"bytes {start}-{end - 1}/4000000"},
                )
                answer.raise_for_status()
        found = await one.attachments.get()
        assert found is not None
        return {"files": [(file.name, file.size) for file in found.value or []]}
    await one.send.post()
    query = MessagesRequestBuilder.MessagesRequestBuilderGetQueryParameters(
        search='"subject:draft"', select=["subject"], top=5
    )
    listed = await mailbox.messages.get(
        request_configuration=MessagesRequestBuilder.MessagesRequestBuilderGetRequestConfiguration(
            query_parameters=query
        )
    )
    assert listed is not None
    return {"found": [found.subject for found in listed.value or []]}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(sys.argv[1]))))
