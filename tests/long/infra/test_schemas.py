"""The committed schemas of Azure's resource types are what azmcp says."""

from __future__ import annotations

from tests.infra import schemas


def test_committed_schemas_are_what_azmcp_says() -> None:
    """Mended by `python -m tests.infra.schemas`."""
    committed = {path.name: path.read_text() for path in schemas.SCHEMAS.glob("*.json")}

    told = {
        schemas.file_of(kind).name: schemas.text_of(document)
        for kind, document in schemas.ask_all().items()
    }

    assert committed == told
