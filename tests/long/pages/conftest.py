"""The fixtures of the pages' tests: the whole stack and a browser."""

from __future__ import annotations

from tests.e2e.conftest import (
    browser,
    control,
    control_of_stack,
    pytest_runtest_teardown,
    signed_in_account,
    stack,
)
from tests.e2e.mails.test_hostile import narrow

__all__ = [
    "browser",
    "control",
    "control_of_stack",
    "narrow",
    "pytest_runtest_teardown",
    "signed_in_account",
    "stack",
]
