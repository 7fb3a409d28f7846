"""The app in a worker: imported, indexed, checked."""

from __future__ import annotations

from pathlib import Path

from local.host.errors import HostError
from local.host.worker import indexing, signatures
from local.host.worker.indexing import Loaded


def load(directory: Path, script: str) -> list[Loaded]:
    """The functions of the app. Raises HostError, which names the first mistake; the real worker
    then reports no function at all."""
    found = indexing.find_app(indexing.import_script(directory, script))
    loaded = [signatures.check(each) for each in indexing.describe(found, directory)]
    if not loaded:
        raise HostError(f"{script} has no functions; decorate at least one")
    return loaded
