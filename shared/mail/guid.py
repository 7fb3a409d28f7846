"""Ids of Microsoft's directory: tenants, applications, users."""

from __future__ import annotations

import re

_FORM = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"

GUID = re.compile(_FORM)
"""A GUID as Entra writes it: in lower case, with hyphens and without braces."""
TYPED_GUID = re.compile(_FORM, re.IGNORECASE)
"""A GUID as people type it: in any case."""
