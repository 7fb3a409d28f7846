"""msgraph-sdk with azure-identity: one request, or its own task for an upload session."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable

from azure.identity.aio import ClientSecretCredential
from kiota_abstractions.authentication import AnonymousAuthenticationProvider
from kiota_authentication_azure.azure_identity_authentication_provider import (
    AzureIdentityAuthenticationProvider,
)
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.attachment_item import AttachmentItem
from msgraph.generated.models.attachment_type import AttachmentType
from msgraph.generated.models.body_type import BodyType
from msgraph.generated.models.email_address import EmailAddress
from msgraph.generated.models.file_attachment import FileAttachment
from msgraph.generated.models.item_body import ItemBody
from msgraph.generated.models.message import Message
from msgraph.generated.models.recipient import Recipient
from msgraph.generated.users.item.messages.item.attachments.create_upload_session import (
    create_upload_session_post_request_body as upload_session_body,
)
from msgraph.generated.users.item.send_mail.send_mail_post_request_body import (
    SendMailPostRequestBody,
)
from msgraph_core.tasks.large_file_upload import LargeFileUploadTask

from bench.peers.driving import Job, drive
from bench.peers.letters import CHUNK_BYTES, RECIPIENT, Letter, is_large


def client_of(credential: ClientSecretCredential, https_port: int) -> GraphServiceClient:
    """A client as the SDK's documentation makes it, with another base address.

    Its HTTP library resolves a name but keeps the port, so that `microsoft` alone is not enough.
    """
    adapter = GraphRequestAdapter(AzureIdentityAuthenticationProvider(credential))
    adapter.base_url = f"https://graph.microsoft.com:{https_port}/v1.0"
    return GraphServiceClient(request_adapter=adapter)


def message(letter: Letter) -> Message:
    """The SDK's message, without a file that has an upload session."""
    kind = BodyType.Html if letter.html else BodyType.Text
    found = Message(
        subject=letter.subject,
        body=ItemBody(content_type=kind, content=letter.body),
        to_recipients=[Recipient(email_address=EmailAddress(address=RECIPIENT))],
    )
    if letter.content is not None and not is_large(letter):
        file = FileAttachment(
            name=letter.filename, content_type=letter.content_type, content_bytes=letter.content
        )
        file.odata_type = "#microsoft.graph.fileAttachment"
        found.attachments = [file]
    return found


async def send(
    client: GraphServiceClient, uploads: GraphRequestAdapter, mailbox: str, letter: Letter
) -> None:
    """By `sendMail`, or as a draft whose file is uploaded in pieces through `uploads`."""
    if not is_large(letter):
        body = SendMailPostRequestBody(message=message(letter), save_to_sent_items=True)
        await client.users.by_user_id(mailbox).send_mail.post(body)
        return
    content = letter.content or b""
    messages = client.users.by_user_id(mailbox).messages
    draft = await messages.post(message(letter))
    item = AttachmentItem(
        attachment_type=AttachmentType.File, name=letter.filename, size=len(content)
    )
    asked = upload_session_body.CreateUploadSessionPostRequestBody(attachment_item=item)
    kept = messages.by_message_id(draft.id)
    session = await kept.attachments.create_upload_session.post(asked)
    task = LargeFileUploadTask(session, uploads, io.BytesIO(content), max_chunk_size=CHUNK_BYTES)
    await task.upload()
    await kept.send.post()


def _opened(job: Job) -> Callable[[Letter], Callable[[], None]]:
    loop = asyncio.new_event_loop()
    credential = ClientSecretCredential(job.tenant_id, job.client_id, job.client_secret)
    client = client_of(credential, job.https_port)
    # With the client's own adapter the task sends the token too, which upload sessions refuse:
    # https://github.com/microsoftgraph/msgraph-sdk-python-core/issues/691
    uploads = GraphRequestAdapter(AnonymousAuthenticationProvider())

    def prepare(letter: Letter) -> Callable[[], None]:
        return lambda: loop.run_until_complete(send(client, uploads, job.mailbox, letter))

    return prepare


if __name__ == "__main__":
    drive(_opened)
