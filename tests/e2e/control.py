"""What a test may do to the running stack from outside, and what it may ask it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import requests
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueClient

from local.provision import QUEUES, TABLES
from local.stack import Stack

GRANTS = "postroom-grant-"
_VAULT_API = {"api-version": "7.4"}
_SECONDS = 30
_SIMULATORS_OWN = frozenset({"object_id", "tenant_id", "tenant"})
"""What the list of mailboxes says beside what can be set."""


class Control:
    """One for the whole stack. `reset()` puts back what an earlier test may have left behind.

    The simulator is not reset as a whole: the app would go on with tokens and secrets that the
    simulator had forgotten, which Microsoft's services never do.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._http = requests.Session()
        self._http.trust_env = False
        self._options = self.ask("GET", "options")
        self._mailboxes = self.ask("GET", "mailboxes")["mailboxes"]
        self._tenants = self.ask("GET", "tenants")["tenants"]
        self._seen = 0

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def reset(self) -> None:
        """No faults, no accounts, no mails; real time, default options, the seeded mailboxes."""
        self.stack.check()
        self.put_microsoft_right()
        for user in self._mailboxes:
            self.ask("POST", "revoke", {"mailbox": user["address"], "withdraw_consent": True})
        self.unlink()
        self._seen = len(self._all_deliveries())
        self.ask("DELETE", "counts")

    def put_microsoft_right(self) -> None:
        """No faults; real time, default options, the seeded mailboxes, a client secret that is good.
        Consents and grants stay."""
        self.ask("DELETE", "faults")
        self.ask("POST", "options", self._options)
        self.ask("POST", "clock", {"offset_seconds": 0, "speed": 1})
        self.ask("POST", "client-secrets", {"add": self.stack.info["client_secret"]})
        self._put_mailboxes_back()
        for tenant in self._tenants:
            known = {key: tenant[key] for key in tenant if key != "id"}
            self.ask("POST", "tenants", {"tenant": tenant["id"], **known})

    def unlink(self) -> None:
        """No accounts, no mails, nothing of a sign-in; Microsoft knows nothing of it."""
        self.empty_tables(*TABLES)
        connection = self.stack.info["storage_connection_string"]
        for name in QUEUES:
            with QueueClient.from_connection_string(connection, name) as queue:
                queue.clear_messages()
        for name in self.grants():
            self._vault("DELETE", f"secrets/{name}")

    def empty_tables(self, *names: str) -> None:
        """Remove every row."""
        connection = self.stack.info["storage_connection_string"]
        with TableServiceClient.from_connection_string(connection) as service:
            for name in names:
                with service.get_table_client(name) as table:
                    for row in table.list_entities(select=["PartitionKey", "RowKey"]):
                        table.delete_entity(row["PartitionKey"], row["RowKey"])

    def ask(self, method: str, path: str, document: object = None) -> dict[str, Any]:
        """One call of the simulator's control surface."""
        url = f"{self.stack.info['control_url']}/{path}"
        answer = self._http.request(method, url, json=document, timeout=_SECONDS)
        assert answer.ok, f"{method} {path}: {answer.text}"
        found: dict[str, Any] = answer.json()
        return found

    def fault(self, where: str, **rule: object) -> None:
        """Let something go wrong at Microsoft."""
        self.ask("POST", "faults", {"where": where, **rule})

    def options(self, **switches: object) -> None:
        """Change how the simulated services behave."""
        self.ask("POST", "options", switches)

    def deliveries(self, count: int = 0, seconds: float = 30) -> list[dict[str, Any]]:
        """What was handed to transport since the reset, once that is `count` mails or more."""
        until = time.monotonic() + seconds
        while True:
            found = self._all_deliveries()[self._seen :]
            if len(found) >= count:
                return found
            assert time.monotonic() < until, f"{len(found)} of {count} mails arrived"
            time.sleep(0.05)

    def api(
        self, method: str, path: str, document: object = None, **headers: str
    ) -> requests.Response:
        """One call of the app's API, with the function key."""
        return self._http.request(
            method,
            f"{self.stack.app_url}/api/{path}",
            json=document,
            headers={"x-functions-key": self.stack.function_key, **headers},
            timeout=_SECONDS,
        )

    def send(self, wait: float | None = None, **mail: object) -> dict[str, Any]:
        """`POST /api/send`, which has to be accepted. Returns the answer's document."""
        path = "send" if wait is None else f"send?wait={wait:g}"
        answer = self.api("POST", path, mail)
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def accounts(self) -> list[dict[str, Any]]:
        """`GET /api/accounts`"""
        answer = self.api("GET", "accounts")
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["accounts"]
        return found

    def grants(self) -> list[str]:
        """Names of the vault's secrets that hold a refresh token."""
        return [name for name in self._secrets() if name.startswith(GRANTS)]

    def secret(self, name: str) -> dict[str, Any]:
        """The newest version of one of the vault's secrets, its value included."""
        return self._vault("GET", f"secrets/{name}/")

    def secret_names(self) -> list[str]:
        """What the vault holds."""
        return list(self._secrets())

    def store(self, name: str, value: str) -> None:
        """Write a new version of one of the vault's secrets."""
        self._vault("PUT", f"secrets/{name}", {"value": value})

    def forget(self, name: str) -> None:
        """Take one of the vault's secrets away, for good."""
        self._vault("DELETE", f"secrets/{name}")
        self._vault("DELETE", f"deletedsecrets/{name}")

    def readable_versions(self, name: str) -> list[str]:
        """Versions of a secret whose value could be read by whoever brings back what was deleted."""
        if any(
            one["id"].endswith(f"/{name}") for one in self._vault("GET", "deletedsecrets")["value"]
        ):
            self._vault("POST", f"deletedsecrets/{name}/recover")
        if name not in self._secrets():
            return []
        found = self._vault("GET", f"secrets/{name}/versions")["value"]
        return [one["id"] for one in found if one["attributes"]["enabled"]]

    def _all_deliveries(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("GET", "deliveries")["deliveries"]
        return found

    def _put_mailboxes_back(self) -> None:
        now = {user["address"]: user for user in self.ask("GET", "mailboxes")["mailboxes"]}
        for user in self._mailboxes:
            known = {key: user[key] for key in user if key not in _SIMULATORS_OWN}
            if now.pop(user["address"], None) != user:
                self.ask("POST", "mailboxes", known)
        for address in now:
            self.ask("DELETE", "mailboxes", {"address": address})

    def _secrets(self) -> Iterator[str]:
        answer = self._vault("GET", "secrets")
        while True:
            yield from (entry["id"].rpartition("/")[2] for entry in answer["value"])
            if not answer.get("nextLink"):
                return
            answer = self._vault("GET", answer["nextLink"])

    def _vault(self, method: str, path: str, document: object = None) -> dict[str, Any]:
        """One call of Key Vault's API, as the app's managed identity."""
        info = self.stack.info
        identity = self._http.get(
            info["identity_endpoint"],
            params={"api-version": "2019-08-01", "resource": "https://vault.azure.net"},
            headers={"X-IDENTITY-HEADER": info["identity_header"]},
            timeout=_SECONDS,
        )
        url = path if path.startswith("https:") else f"{info['vault_url']}/{path}"
        answer = self._http.request(
            method,
            url,
            json=document,
            params=None if "api-version=" in url else _VAULT_API,
            headers={"Authorization": f"Bearer {identity.json()['access_token']}"},
            verify=info["ca_file"],
            timeout=_SECONDS,
        )
        assert answer.ok, f"{method} {path}: {answer.text}"
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found
