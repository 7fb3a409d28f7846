"""O365, as shipped: sends a mail, and finds it in Sent Items. Prints one line of JSON."""

from __future__ import annotations

import json
import os
import sys

import requests
from O365 import Account, MSGraphProtocol


def account() -> Account:
    """An account whose session has a token already."""
    protocol = MSGraphProtocol(api_version="v1.0")
    protocol.service_url = os.environ["GRAPH_URL"] + "/"
    found = Account(
        ("client", "secret"),
        protocol=protocol,
        auth_flow_type="credentials",
        tenant_id=os.environ["TENANT"],
    )
    session = requests.Session()
    session.verify = os.environ["CA_FILE"]
    session.headers["Authorization"] = f"Bearer {os.environ['ACCESS_TOKEN']}"
    found.con.session = session
    found.con.load_token_from_backend = lambda: True
    found.con.refresh_token = lambda: True
    return found


def run(flow: str) -> object:
    mailbox = account().mailbox(resource=os.environ["MAILBOX"])
    mail = mailbox.new_message()
    mail.to.add("ada@contoso.com")
    mail.subject = "O365"
    mail.body = "From O365."
    if flow == "send":
        return {"sent": mail.send()}
    mail.attachments.add(__file__)
    mail.save_draft()
    query = mailbox.new_query().contains("subject", "O365")
    return {"found": [one.subject for one in mailbox.drafts_folder().get_messages(query=query)]}


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1])))
