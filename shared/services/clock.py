"""The time, as the use cases are given it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

Clock = Callable[[], datetime]
"""Now, as an aware UTC time."""
