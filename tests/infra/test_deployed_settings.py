"""The local host, started with the app settings that the template sets, sends a mail."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local import demo
from local.simulator.identity.state import IdentityState
from local.stack import Stack
from tests.e2e.control import Control
from tests.infra.bicep.evaluate import deploy
from tests.infra.checks.app_settings import settings_of
from tests.infra.tools import INFRA
from tests.infra.variants import Variant, samples

pytestmark = pytest.mark.e2e

# What is not as in Azure, and why. Everything else is exactly what the template sets.
REPLACED = {
    "POSTROOM_TENANT": "the simulated directory",
    "POSTROOM_CLIENT_ID": "the simulated registration",
    "POSTROOM_VAULT_URL": "the simulated vault",
    "POSTROOM_IDENTITY_CLIENT_ID": "the simulated managed identity, which answers to no other id",
    "POSTROOM_REDIRECT_URI": "the template leaves it to WEBSITE_HOSTNAME; here it is on localhost",
}
LEFT_OUT = {
    "AzureWebJobsStorage__blobServiceUri": "Azurite is reached by its connection string",
    "AzureWebJobsStorage__queueServiceUri": "as above",
    "AzureWebJobsStorage__tableServiceUri": "as above",
    "AzureWebJobsStorage__credential": "as above",
    "AzureWebJobsStorage__clientId": "as above",
}
ADDED = {
    "AzureWebJobsStorage": "the connection string of Azurite",
    "FUNCTIONS_WORKER_RUNTIME": "the platform knows it from functionAppConfig",
    "POSTROOM_DEVELOPMENT": "admits the simulator in Microsoft's place",
    "POSTROOM_GRAPH_URL": "the simulated Graph",
    "POSTROOM_AUTHORITY_HOST": "the simulated sign-in service",
    "POSTROOM_CA_FILE": "the simulator's certificates",
    "IDENTITY_ENDPOINT": "the platform sets it: the simulated managed identity",
    "IDENTITY_HEADER": "as above",
}


def template_settings() -> dict[str, str]:
    main = INFRA / "main.bicep"
    return settings_of(Variant(main, "", deploy(main, {"clientId": samples()["*"]["clientId"]})))


class DeployedStack(Stack):
    """A stack whose host gets the template's settings, and beside them only what is listed above."""

    @property
    def settings(self) -> dict[str, str]:
        template = {k: v for k, v in template_settings().items() if k not in LEFT_OUT}
        local = {k: v for k, v in super().settings.items() if k in REPLACED or k in ADDED}
        return template | local | {"POSTROOM_IDENTITY_CLIENT_ID": IdentityState.client_id}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    state = tmp_path_factory.mktemp("deployed")
    with DeployedStack(state, app_port=0, simulator_port=0, local_settings=False) as running:
        yield running


@pytest.fixture
def control(stack: Stack) -> Iterator[Control]:
    control = Control(stack)
    yield control
    control.close()


def test_settings_of_the_host_are_the_templates_but_for_what_is_listed(stack: Stack) -> None:
    template, given = template_settings(), stack.settings

    assert {name for name in template if name not in given} == LEFT_OUT.keys()
    assert {name for name in given if name not in template} == ADDED.keys()
    changed = {name for name in template if name in given and template[name] != given[name]}
    # The samples of tenant and client id may be the simulator's own.
    assert changed <= REPLACED.keys()
    assert given["POSTROOM_CREDENTIAL"] == "managed-identity"


def test_host_with_the_settings_of_the_template_sends_a_mail(
    stack: Stack, control: Control
) -> None:
    demo.sign_in(stack.info, demo.MAILBOX, demo.ALIAS)

    answer = control.send(wait=20, to="ada@contoso.com", subject="Deployed", text="Good day.")

    (delivery,) = control.deliveries(1)
    assert answer["status"] == "sent"
    assert delivery["from"] == demo.MAILBOX
