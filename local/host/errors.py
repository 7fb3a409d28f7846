"""The error that the host shows to a person."""

from __future__ import annotations


class HostError(Exception):
    """One line: what is wrong, where, and what to do about it."""
