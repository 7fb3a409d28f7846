"""O365, with its own connection, token and choice between one request and an upload session."""

from __future__ import annotations

import io
from collections.abc import Callable

from O365 import Account, MSGraphProtocol
from O365.utils.token import MemoryTokenBackend

from bench.peers.driving import Job, drive
from bench.peers.letters import RECIPIENT, Letter, is_large


def account_of(tenant_id: str, client_id: str, client_secret: str, mailbox: str) -> Account:
    """An account that acts as the application; its token is fetched already."""
    account = Account(
        (client_id, client_secret),
        protocol=MSGraphProtocol(timezone="UTC"),
        auth_flow_type="credentials",
        tenant_id=tenant_id,
        main_resource=mailbox,
        token_backend=MemoryTokenBackend(),
        # As it comes it waits 200 ms between two requests.
        requests_delay=0,
    )
    if not account.authenticate():
        raise RuntimeError("O365 got no token")
    return account


def send(account: Account, letter: Letter) -> None:
    """Write the mail and send it."""
    mail = account.new_message()
    mail.to.add(RECIPIENT)
    mail.subject = letter.subject
    if letter.text is not None:
        mail.body_type = "text"
    mail.body = letter.body
    if is_large(letter):
        # Its documentation's way to a file above 3 MB: a draft, the file, the draft again.
        mail.save_draft()
    if letter.content is not None:
        mail.attachments.add([(io.BytesIO(letter.content), letter.filename)])
    if is_large(letter):
        mail.save_draft()
    if not mail.send():
        raise RuntimeError("O365 says that it sent nothing")


def _opened(job: Job) -> Callable[[Letter], Callable[[], None]]:
    account = account_of(job.tenant_id, job.client_id, job.client_secret, job.mailbox)
    return lambda letter: lambda: send(account, letter)


if __name__ == "__main__":
    drive(_opened)
