"""The errors that the host shows to a person."""

from __future__ import annotations


class HostError(Exception):
    """One line: what is wrong, where, and what to do about it."""


class MissingModule(HostError):
    """The app imports a module that is not there: the one mistake of an app that Azure logs."""
