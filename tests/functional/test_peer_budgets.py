"""Ceilings on what the bench beside the peers counts for Postroom: modules of a cold start, calls to
Microsoft. How the peers do is measured by `python -m bench cold_start sending` and not tested."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

import pytest

from bench import cold_start, sending, world
from bench.cold_start import Started
from bench.peers.letters import LARGEST, LARGEST_BYTES
from local.stack import Stack
from shared.mail.limits import CHUNK_BYTES

INDEXED_MODULES = 125
"""Of packages and of Postroom, standard library left out: `azure.functions`, and what it imports."""
SENT_PACKAGE_MODULES = 150
"""Of packages alone: these are what a cold start costs."""
SENT_OWN_MODULES = 150
"""Of Postroom alone. Each takes about 0.2 ms, so small modules are no cost; one that is imported too early is."""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """The local stack, whose host is stopped."""
    with world.signed_in() as running:
        running.stop_host()
        yield running


@pytest.fixture(scope="module")
def started(stack: Stack) -> Started:
    """One cold start that sends a mail."""
    found = Started()
    with world.services(stack) as services:
        cold_start.start(stack, services, cold_start.POSTROOM, found)
    return found


def test_importing_and_indexing_loads_no_more_modules_than_this(started: Started) -> None:
    assert len(_beyond_the_library(started.modules_indexed)) <= INDEXED_MODULES


def test_a_cold_start_loads_no_more_modules_than_this_until_its_mail_is_sent(
    started: Started,
) -> None:
    loaded = _beyond_the_library(started.modules)
    own = [name for name in loaded if name.partition(".")[0] in ("shared", "function_app")]

    assert len(loaded) - len(own) <= SENT_PACKAGE_MODULES
    assert len(own) <= SENT_OWN_MODULES


SDKS = ("azure.core", "azure.data", "azure.identity", "azure.keyvault", "azure.storage")


def test_a_cold_start_that_sends_a_mail_imports_no_sdk(started: Started) -> None:
    heavy = (*SDKS, "cryptography", "jinja2", "msal", "requests")

    loaded = {name for name in started.modules if name.startswith(tuple(heavy))}

    assert loaded == set()


def test_a_cold_start_asks_microsoft_no_more_than_this(started: Started) -> None:
    most = {
        "identity.token": 1,
        # The client secret and the refresh token.
        "key_vault.get_secret": 2,
        "entra.token": 1,
        "graph.send_mail": 1,
    }

    assert started.calls.keys() <= most.keys()
    assert all(count <= most[name] for name, count in started.calls.items()), started.calls


@pytest.fixture(scope="module")
def calls(stack: Stack) -> dict[str, Mapping[str, int]]:
    """Requests to Graph for one mail, by kind of mail and operation."""
    return sending.graph_calls(stack, sending.POSTROOM)


@pytest.mark.parametrize("letter", ["text_2_kb", "html_20_kb_file_100_kb", "file_2_mb"])
def test_a_mail_that_fits_one_request_is_one_request(
    calls: dict[str, Mapping[str, int]], letter: str
) -> None:
    assert calls[letter] == {"graph.send_mail": 1}


def test_a_large_file_costs_one_request_for_each_piece_and_three_more(
    calls: dict[str, Mapping[str, int]],
) -> None:
    assert calls[LARGEST] == {
        "graph.create_message": 1,
        "graph.create_upload_session": 1,
        "graph.upload_chunk": -(-LARGEST_BYTES // CHUNK_BYTES),
        "graph.send_message": 1,
    }


def _beyond_the_library(modules: tuple[str, ...]) -> list[str]:
    return [name for name in modules if name.partition(".")[0] not in sys.stdlib_module_names]
