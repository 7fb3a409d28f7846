"""The people in an address header of MIME, read as tolerantly as Exchange is thought to read it.

How Exchange reads a malformed address header is UNCONFIRMED. The simulator assumes the worst for
the sender of a mail: whoever can be read out of one gets it, even where other readers see nobody.
The parser is the newer half of the `email` package, which says what is wrong with a header. It is
not the parser of any client that is tested here.
"""

from __future__ import annotations

import re
from email.headerregistry import AddressHeader
from email.policy import default

from local.simulator.graph.items import Address

_LIKE_AN_ADDRESS = re.compile(r'[^\s<>()\[\]:;@\\,"]+@[^\s<>()\[\]:;@\\,"]+')


def people(value: str) -> list[Address]:
    """Everybody in an unfolded header value, in the order in which they stand there.

    From a value with a defect, whatever looks like an address is taken besides.
    """
    try:
        header = default.header_factory("To", value)
        read = header.addresses if isinstance(header, AddressHeader) else ()
        found = [Address(one.addr_spec, one.display_name) for one in read]
        sound = not header.defects
    except (RecursionError, ValueError, IndexError, AttributeError):
        # What the parser cannot read at all, such as a thousand comments in each other.
        found, sound = [], False
    found = [one for one in found if one.address and "@" in one.address]
    if sound:
        return found
    known = {one.key for one in found}
    hidden = dict.fromkeys(_LIKE_AN_ADDRESS.findall(value))
    return [*found, *(Address(text) for text in hidden if text.casefold() not in known)]
