"""Who may call what (azure-functions.md 3), and the host's own pages under /admin (11.2)."""

from __future__ import annotations

import stat
from typing import Any

import pytest

from tests.contract.host.driver import Host


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        pytest.param("/guarded", None, 401, id="no-key"),
        pytest.param("/guarded", "wrong", 401, id="wrong-key"),
        pytest.param("/guarded", "function", 200, id="function-key"),
        pytest.param("/guarded", "master", 200, id="master-key"),
        pytest.param("/owner", "function", 401, id="function-key-for-admin"),
        pytest.param("/owner", "master", 200, id="master-key-for-admin"),
        pytest.param("/echo", "wrong", 200, id="wrong-key-for-anonymous"),
    ],
)
def test_a_key_opens_what_its_level_allows(
    web_host: Host, path: str, key: str | None, status: int
) -> None:
    keys = {"function": web_host.function_key, "master": web_host.master_key}
    headers = {"x-functions-key": keys.get(key, key)} if key else {}

    assert web_host.get(path, headers=headers).status_code == status


def test_the_query_may_carry_the_key(web_host: Host) -> None:
    assert web_host.get(f"/guarded?code={web_host.function_key}").status_code == 200


def test_the_header_counts_before_the_query(web_host: Host) -> None:
    path = f"/guarded?code={web_host.function_key}"

    assert web_host.get(path, headers={"x-functions-key": "wrong"}).status_code == 401


def test_an_oauth_code_reaches_an_anonymous_function_untouched(web_host: Host) -> None:
    assert web_host.get("/echo?code=abc").json()["params"] == {"code": "abc"}


def test_only_its_owner_may_read_the_keys(web_host: Host) -> None:
    mode = (web_host.state / "keys.json").stat().st_mode

    assert stat.S_IMODE(mode) == 0o600


def test_keys_are_never_logged(web_host: Host) -> None:
    web_host.get(f"/guarded?code={web_host.function_key}")

    log = web_host.log.read_text()
    assert web_host.function_key not in log
    assert web_host.master_key not in log


def test_an_empty_header_beats_a_good_key_in_the_query(web_host: Host) -> None:
    path = f"/guarded?code={web_host.function_key}"

    assert web_host.get(path, headers={"x-functions-key": ""}).status_code == 401


def test_the_admin_pages_need_the_master_key(web_host: Host) -> None:
    path = "/admin/host/status"
    with_function_key = web_host.get(path, headers={"x-functions-key": web_host.function_key})
    without = web_host.get(path)

    assert with_function_key.status_code == 403
    assert (without.status_code, without.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert web_host.admin("GET", "host/status").json()["state"] == "Running"


@pytest.mark.parametrize(
    ("options", "status"),
    [
        pytest.param({"data": b"{}"}, 415, id="no-content-type"),
        pytest.param(
            {"data": b"{}", "headers": {"Content-Type": "text/plain"}}, 415, id="other-type"
        ),
        pytest.param(
            {"data": b"", "headers": {"Content-Type": "application/json"}}, 400, id="empty"
        ),
        pytest.param(
            {"data": b"{", "headers": {"Content-Type": "application/json"}}, 400, id="not-json"
        ),
        pytest.param({"json": {}}, 202, id="http-function"),
    ],
)
def test_a_function_is_run_by_hand_with_json_alone(
    web_host: Host, options: dict[str, Any], status: int
) -> None:
    headers = {"x-functions-key": web_host.master_key, **options.pop("headers", {})}

    response = web_host.post("/admin/functions/echo", headers=headers, **options)

    assert response.status_code == status


def test_anybody_may_ping(web_host: Host) -> None:
    assert web_host.get("/admin/host/ping").status_code == 200


def test_an_unknown_function_cannot_be_run(web_host: Host) -> None:
    assert web_host.admin("POST", "functions/unknown", json={}).status_code == 404
