"""Microsoft Graph: the requests that sending mail needs."""

from __future__ import annotations

import json
import re
import threading
from email.utils import parsedate_to_datetime
from uuid import uuid4

from shared.adapters.http.client import Answer, HttpClient
from shared.errors import AnswerLost, NotSent, RemoteRefused
from shared.mail.backoff import bounded
from shared.mail.outcome import GraphAnswer
from shared.services.accounts.ports import Profile
from shared.services.clock import Clock

SYSTEM = "graph"
# A code is logged and shown; a value without the form of a code could be text that quotes the mail.
# The documentation's sample of a 429 has the status as inner code: digits alone are not a code.
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.]{1,79}")

READ_SECONDS = 20.0
"""For the whole answer to a read; sends have a longer limit of their own."""


class Graph:
    """Implements `delivery.ports.MailService`."""

    def __init__(self, url: str, *, ca_file: str | None, send_seconds: float, clock: Clock) -> None:
        self._url = url
        self._ca_file = ca_file
        self._send_seconds = send_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._line: HttpClient | None = None

    def send_mail(
        self, access_token: str, mailbox: str, content_type: str, body: bytes
    ) -> GraphAnswer:
        """See `MailService`. https://learn.microsoft.com/graph/api/user-sendmail"""
        answer = self._request(
            "POST",
            f"{mailbox}/sendMail",
            access_token,
            within_seconds=self._send_seconds,
            content_type=content_type,
            body=body,
        )
        return graph_answer(answer, self._clock)

    def me(self, access_token: str) -> Profile:
        """See `MailService`."""
        return self.user(access_token, "/me")

    def user(self, access_token: str, mailbox: str) -> Profile:
        """See `MailService`. https://learn.microsoft.com/graph/api/user-get"""
        try:
            answer = self._request(
                "GET",
                f"{mailbox}?$select=id,displayName,mail,userPrincipalName",
                access_token,
                within_seconds=READ_SECONDS,
            )
        except AnswerLost as error:
            # The request only reads: without an answer it had no effect.
            raise NotSent(SYSTEM, "Microsoft Graph did not answer") from error
        if answer.status == 429 or answer.status >= 500:
            raise NotSent(SYSTEM, f"Microsoft Graph answered {answer.status}")
        if answer.status != 200:
            found = graph_answer(answer, self._clock)
            code = found.code or f"http_{found.status}"
            raise RemoteRefused(SYSTEM, f"Microsoft Graph refused: {code}", code=code)
        try:
            document = json.loads(answer.content)
            return Profile(
                object_id=str(document["id"]),
                # `mail` can be null, most often for personal accounts.
                address=str(document.get("mail") or document["userPrincipalName"]),
                display_name=str(document.get("displayName") or ""),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise RemoteRefused(SYSTEM, "Microsoft Graph's answer was not understood") from error

    def close(self) -> None:
        """Close the connections."""
        if self._line is not None:
            self._line.close()

    def ask(
        self,
        method: str,
        path: str,
        access_token: str,
        *,
        body: bytes | None = None,
        content_type: str | None = None,
        within_seconds: float | None = None,
        most_answered: int | None = None,
    ) -> tuple[GraphAnswer, bytes]:
        """One request, for the other adapters of Graph. Returns the answer and its body, of which
        at most `most_answered` bytes are read.

        Raises NotSent or AnswerLost.
        """
        answer = self._request(
            method,
            path,
            access_token,
            within_seconds=within_seconds or self._send_seconds,
            content_type=content_type,
            body=body,
            most_answered=most_answered,
        )
        return graph_answer(answer, self._clock), answer.content

    def path_of(self, link: object) -> str | None:
        """The path of a link that Graph returned, as `ask` takes it; None if it leads to another
        host."""
        if isinstance(link, str) and link.startswith(f"{self._url}/"):
            return link[len(self._url) :]
        return None

    def _request(
        self,
        method: str,
        path: str,
        access_token: str,
        *,
        within_seconds: float,
        content_type: str | None = None,
        body: bytes | None = None,
        most_answered: int | None = None,
    ) -> Answer:
        headers = {
            "Authorization": f"Bearer {access_token}",
            # Microsoft's support can find a request by the id that its client gave it.
            "client-request-id": str(uuid4()),
            "User-Agent": "Postroom",
        }
        if content_type is not None:
            headers["Content-Type"] = content_type
        return self._open().request(
            method,
            path,
            within_seconds=within_seconds,
            headers=headers,
            body=body,
            most_answered=most_answered,
        )

    def _open(self) -> HttpClient:
        if self._line is None:
            with self._lock:
                self._line = self._line or HttpClient(
                    self._url, system=SYSTEM, ca_file=self._ca_file
                )
        return self._line


def graph_answer(answer: Answer, clock: Clock) -> GraphAnswer:
    """The parts of an answer that decide about the mail."""
    return GraphAnswer(
        status=answer.status,
        code=error_code(answer.content) if answer.status >= 400 else None,
        retry_after=retry_after(answer.headers.get("Retry-After"), clock),
        request_id=answer.headers.get("request-id"),
    )


def error_code(body: bytes) -> str | None:
    """Graph's error code in an answer: the innermost one if several are nested.

    None for an answer that is not JSON or has another shape.
    https://learn.microsoft.com/graph/errors
    """
    try:
        current = json.loads(body).get("error")
    except (ValueError, AttributeError, RecursionError):
        return None
    code = None
    for _ in range(5):
        if not isinstance(current, dict):
            break
        found = current.get("code")
        if isinstance(found, str) and _CODE.fullmatch(found):
            code = found
        current = current.get("innerError", current.get("innererror"))
    return code


def retry_after(value: str | None, clock: Clock) -> float | None:
    """Seconds in a Retry-After header: a whole number, a fraction, or an HTTP date; a week at most.
    None if the header is missing or is not a time."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - clock()).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return bounded(seconds)
