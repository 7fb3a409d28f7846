"""Reads the people in an address header of MIME, as tolerantly as Exchange is assumed to.

How Exchange reads a malformed address header is UNCONFIRMED. The simulator assumes the worst case
for the sender: everybody who can be read from the header gets the mail, even if other readers see
nobody. The parser is the newer half of the `email` package, which reports defects of a header. No
client that is tested here uses it.
"""

from __future__ import annotations

import re
from email.headerregistry import AddressHeader
from email.policy import default

from local.simulator.graph.items import Address

_LIKE_AN_ADDRESS = re.compile(r'[^\s<>()\[\]:;@\\,"]+@[^\s<>()\[\]:;@\\,"]+')


def people(value: str) -> list[Address]:
    """Everybody in an unfolded header value, in order.

    If the value has a defect, everything that looks like an address is also taken.
    """
    try:
        header = default.header_factory("To", value)
        read = header.addresses if isinstance(header, AddressHeader) else ()
        found = [Address(one.addr_spec, one.display_name) for one in read]
        sound = not header.defects
    except (RecursionError, ValueError, IndexError, AttributeError):
        # The parser cannot read the value at all, for example a thousand nested comments.
        found, sound = [], False
    found = [one for one in found if one.address and "@" in one.address]
    if sound:
        return found
    known = {one.key for one in found}
    hidden = dict.fromkeys(_LIKE_AN_ADDRESS.findall(value))
    return [*found, *(Address(text) for text in hidden if text.casefold() not in known)]
