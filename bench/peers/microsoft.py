"""Microsoft's names lead to the simulator, in a driver's own process.

Two of the peers have the addresses of Entra and Graph written into them. Resolving the names anew
lets every peer run as it is installed: it asks for `graph.microsoft.com`, over TLS, and the
certificate it is shown bears that name (the simulator's authority is in SSL_CERT_FILE).
"""

from __future__ import annotations

import socket
from typing import Any

NAMES = ("graph.microsoft.com", "login.microsoftonline.com")


def lead_to(port: int) -> None:
    """From now on the names are this computer's, and their port 443 is `port`."""
    ask = socket.getaddrinfo

    def resolved(host: Any, service: Any, *rest: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name in NAMES:
            return ask("127.0.0.1", port, *rest, **options)
        return ask(host, service, *rest, **options)

    socket.getaddrinfo = resolved  # type: ignore[assignment]  # one that calls the other
