"""The text of HTML."""

from __future__ import annotations

import re
from html import unescape


def plain_text(html: str) -> str:
    """The text of HTML without its markup."""
    without = re.sub(r"(?is)<(script|style|head)\b.*?</\1\s*>", "", html)
    lines = re.sub(r"(?i)<br\b[^>]*>|</(p|div|h[1-6]|li|tr|table|ul|ol)\s*>", "\r\n", without)
    words = re.sub(r"<[^>]+>", "", lines)
    # Python refuses to read numbers with thousands of digits; none of them is a character.
    return unescape(re.sub(r"&#x?[0-9a-fA-F]{9,};?", "\ufffd", words)).strip()
