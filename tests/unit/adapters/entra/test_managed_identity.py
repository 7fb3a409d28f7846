from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    ServiceRequestError,
    ServiceResponseError,
)

from shared.adapters.entra.managed_identity import TROUBLE_SECONDS, AppIdentity
from tests.unit.adapters.answering import Reply, Service, answering

NOW = 1_800_000_000
STORAGE = "https://storage.azure.com/.default"
VAULT = "https://vault.azure.net/.default"


def granted(token: str, seconds: int = 86_400) -> Reply:
    return Reply(
        200,
        {
            "access_token": token,
            "expires_on": str(NOW + seconds),
            "resource": "https://storage.azure.com",
            "token_type": "Bearer",
            "client_id": "5E29463D-71DA-4FE0-8E69-999B57DB23B0",
        },
    )


class Clock:
    """Seconds since 1970, moved on by hand."""

    now = float(NOW)

    def __call__(self) -> float:
        return self.now


@contextlib.contextmanager
def identity(
    *replies: Reply, client_id: str | None = None
) -> Iterator[tuple[AppIdentity, Service, Clock]]:
    clock = Clock()
    with answering(*replies) as service:
        environment = {"IDENTITY_ENDPOINT": f"{service.url}/msi/token", "IDENTITY_HEADER": "secret"}
        yield (
            AppIdentity(client_id, environment, sleep=lambda seconds: None, wall_clock=clock),
            service,
            clock,
        )


def test_a_token_is_asked_for_as_app_service_wants_it() -> None:
    with identity(granted("a"), client_id="5e29463d") as (app, service, _):
        token = app.get_token(STORAGE)

    (asked,) = service.asked
    assert token.token == "a"
    assert token.expires_on == NOW + 86_400
    assert asked.headers["X-IDENTITY-HEADER"] == "secret"
    assert urlsplit(asked.path).path == "/msi/token"
    assert parse_qs(urlsplit(asked.path).query) == {
        "api-version": ["2019-08-01"],
        "resource": ["https://storage.azure.com"],
        "client_id": ["5e29463d"],
    }


def test_a_token_is_kept_until_shortly_before_it_expires() -> None:
    with identity(granted("a", 3600), granted("b", 7200)) as (app, service, clock):
        assert app.get_token(STORAGE).token == "a"
        clock.now += 3299
        assert app.get_token(STORAGE).token == "a"
        clock.now += 2
        assert app.get_token(STORAGE).token == "b"
        assert len(service.asked) == 2


def test_each_resource_has_a_token_of_its_own() -> None:
    with identity(granted("a"), granted("b")) as (app, _, _):
        assert app.get_token(STORAGE).token == "a"
        assert app.get_token(VAULT).token == "b"
        assert app.get_token(STORAGE).token == "a"


def test_a_token_that_was_refused_with_a_challenge_is_asked_for_anew() -> None:
    with identity(granted("a"), granted("b")) as (app, _, _):
        app.get_token(STORAGE)

        assert app.get_token(STORAGE, claims="{}").token == "b"


def test_trouble_that_passes_is_waited_for() -> None:
    with identity(Reply(500), Reply(429), granted("a")) as (app, service, _):
        assert app.get_token(STORAGE).token == "a"
        assert len(service.asked) == 3


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (
            Reply(400, {"statusCode": 400, "message": "No managed identity"}),
            ClientAuthenticationError,
        ),
        (Reply(500), ServiceResponseError),
        (Reply(200, content=b"<html>a gateway's page</html>"), ServiceResponseError),
        (Reply(200, {"access_token": "a", "expires_on": "soon"}), ServiceResponseError),
        (Reply(0), ServiceResponseError),
    ],
)
def test_trouble_that_stays_is_an_error_of_azure_cores(
    reply: Reply, error: type[Exception]
) -> None:
    with identity(reply) as (app, _, _), pytest.raises(error, match="managed identity's endpoint"):
        app.get_token(STORAGE)


def test_an_endpoint_that_is_not_there_is_not_reached() -> None:
    with identity(granted("a")) as (app, _, _):
        pass

    with pytest.raises(ServiceRequestError):
        app.get_token(STORAGE)


def test_a_token_that_is_still_good_is_used_while_no_newer_one_can_be_had() -> None:
    with identity(granted("a", 3600), Reply(500)) as (app, service, clock):
        app.get_token(STORAGE)
        clock.now += 3400

        assert app.get_token(STORAGE).token == "a"
        assert app.get_token(STORAGE).token == "a"
        assert len(service.asked) == 1 + 3
        clock.now += 200
        with pytest.raises(ServiceResponseError):
            app.get_token(STORAGE)


def test_threads_that_waited_for_a_failure_do_not_each_repeat_it() -> None:
    with identity(Reply(500)) as (app, service, _), ThreadPoolExecutor(32) as threads:
        waiting = [threads.submit(app.get_token, STORAGE) for _ in range(32)]

        assert all(isinstance(one.exception(), ServiceResponseError) for one in waiting)
        assert len(service.asked) == 3


def test_the_endpoint_is_asked_again_some_seconds_after_a_failure() -> None:
    with identity(Reply(400), granted("a")) as (app, _, clock):
        with pytest.raises(ClientAuthenticationError):
            app.get_token(STORAGE)
        clock.now += TROUBLE_SECONDS

        assert app.get_token(STORAGE).token == "a"
