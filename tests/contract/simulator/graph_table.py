"""Sends the requests of the table of Graph in docs/local-stack.md."""

from __future__ import annotations

import json
from collections.abc import Sequence

import requests

from tests.contract.simulator.graph_client import ALL_SCOPES, GraphClient, file, mail

SCOPES = f"{ALL_SCOPES} User.Read.All MailboxSettings.Read"


class Sender:
    """Sends rows as billing@contoso.com, who has a draft with a file, and a mail that was sent to
    her."""

    def __init__(self, graph: GraphClient) -> None:
        self._graph = graph.acting(scopes=SCOPES)
        self._graph.send(mail("Invoice", to="billing@contoso.com"))
        draft = graph.draft(mail("Draft", attachments=[file()]))
        attachments = graph.get(f"/me/messages/{draft['id']}/attachments").json()["value"]
        (received,) = graph.messages("inbox")
        self._names = {
            "draft": draft["id"],
            "id": received["id"],
            "attachment": attachments[0]["id"],
            "user": "billing@contoso.com",
        }

    def __call__(self, method: str, path: str, sent: Sequence[str]) -> requests.Response:
        """Words with `=` go into the query, a word in braces is the body."""
        body = next((json.loads(one) for one in sent if one.startswith("{")), None)
        headers = dict(one.split(": ", 1) for one in sent if ": " in one and "{" not in one)
        query = dict(
            one.split("=", 1) for one in sent if "=" in one and ": " not in one and "{" not in one
        )
        url = self._graph.base.removesuffix("/v1.0") + path.format(**self._names)
        return self._graph.call(method, url, params=query, json=body, headers=headers)
