"""The names under which a mail's id travels into its mailbox, and is found there again."""

from __future__ import annotations

KEY_HEADER = "X-Postroom-Key"
"""A header that carries the mail's id in MIME, because MIME cannot set an extended property.

Never change it, as `KEY_PROPERTY`. Exchange keeps the header only in a mailbox that knows the name
from JSON (microsoft-graph-docs-contrib#424): see `graph_payload.trial_request`.
"""
KEY_HEADER_PROPERTY = f"String {{00020386-0000-0000-C000-000000000046}} Name {KEY_HEADER}"
"""The same header as a named property of the message (PS_INTERNET_HEADERS). Messages are searched
by it, because copies in Sent Items have no `internetMessageHeaders`. Exchange ignores the case of
these names (MS-OXCPRPT 3.2.5.10); whether Graph does is UNCONFIRMED."""
KEY_PROPERTY = "String {6f8b6a0e-3d0f-4c39-9f0c-5b1d4f7a2c11} Name PostroomKey"
"""The only extended property that carries a mail's id into the mailbox.

Never change it: every new name takes a permanent slot of the mailbox's named-property quota.
"""
