"""Where files are uploaded: at another host than Graph's, as with Microsoft.

Microsoft's is `outlook.office.com` [con: outlook-large-attachments]. A client that adds its access
token to every request to Graph's host must not add it here, and none does if the host has another
name.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

OUTLOOK = "outlook.office.com"
OTHER_NAME = {"localhost": "127.0.0.1", "127.0.0.1": "localhost"}
"""Both names of the loopback interface are in the simulator's certificate."""


@dataclass(frozen=True)
class UploadAddress:
    """The host of upload URLs."""

    https_port: int = 443
    also_called: frozenset[str] = frozenset()
    """The host names of Microsoft's to which the simulator answers too."""

    def base(self, graph: str) -> str:
        """Scheme, host and port of an upload URL, for a client that called Graph at the scheme,
        host and port `graph`."""
        parts = urlsplit(graph)
        port = f":{parts.port}" if parts.port else ""
        other = OTHER_NAME.get(parts.hostname or "")
        if other is not None:
            return f"{parts.scheme}://{other}{port}"
        if OUTLOOK in self.also_called:
            return f"{parts.scheme}://{OUTLOOK}{port}"
        return f"https://127.0.0.1:{self.https_port}"
