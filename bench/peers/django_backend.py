"""django-msgraphbackend, as a project's EMAIL_BACKEND."""

from __future__ import annotations

from collections.abc import Callable

import django
from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives, get_connection

from bench.peers.driving import Job, drive
from bench.peers.letters import RECIPIENT, Letter


def _opened(job: Job) -> Callable[[Letter], Callable[[], None]]:
    settings.configure(
        EMAIL_BACKEND="msgraphbackend.MSGraphBackend",
        MSGRAPH_TENANT_ID=job.tenant_id,
        MSGRAPH_CLIENT_ID=job.client_id,
        MSGRAPH_CLIENT_SECRET=job.client_secret,
        MSGRAPH_USER_ID=job.mailbox,
    )
    django.setup()
    connection = get_connection()

    def send(letter: Letter) -> None:
        headed = (letter.subject, letter.text or "", job.mailbox, [RECIPIENT])
        mail = EmailMessage(*headed, connection=connection)
        if letter.html:
            mail = EmailMultiAlternatives(*headed, connection=connection)
            mail.attach_alternative(letter.html, "text/html")
        if letter.content is not None:
            mail.attach(letter.filename, letter.content, letter.content_type)
        if mail.send() != 1:
            raise RuntimeError("the backend says that it sent nothing")

    return lambda letter: lambda: send(letter)


if __name__ == "__main__":
    drive(_opened)
