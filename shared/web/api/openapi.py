"""Makes the OpenAPI document from the types that validate requests and write answers."""

from __future__ import annotations

import functools
import json
from typing import Any

import azure.functions as func

from shared.web.api.openapi_paths import TAGS, paths
from shared.web.api.openapi_schemas import schemas


def show() -> func.HttpResponse:
    """`GET /api/openapi.json`."""
    return func.HttpResponse(
        _encoded(), mimetype="application/json", headers={"Cache-Control": "max-age=300"}
    )


@functools.cache
def _encoded() -> bytes:
    return json.dumps(document(), indent=1).encode()


def document() -> dict[str, Any]:
    """OpenAPI 3.1 of the API."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Postroom",
            "version": "1",
            "description": "The outgoing mail room of an organisation on Microsoft 365. Each error "
            "is a Problem. The Functions host alone answers without a body: 401 where the key is "
            "missing or wrong, and 404 where there is no such path.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"function_key": []}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths(),
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "function_key": {"type": "apiKey", "in": "header", "name": "x-functions-key"}
            },
        },
    }
