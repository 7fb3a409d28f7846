"""The published package with what pip installs from its requirements.txt, as the remote build does."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from infra import package

INDEXED = "import function_app; print(len(function_app.app.get_functions()))"


def test_pip_installs_all_that_the_package_needs(tmp_path: Path) -> None:
    package.build(tmp_path / "postroom.zip")
    app, venv = tmp_path / "app", tmp_path / "venv"
    zipfile.ZipFile(tmp_path / "postroom.zip").extractall(app)
    python = venv / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)  # noqa: S603 - our own
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    install += ["--require-hashes", "-r", str(app / "requirements.txt")]
    subprocess.run(install, check=True)  # noqa: S603 - our own

    done = subprocess.run(  # noqa: S603 - our own
        [python, "-c", INDEXED], cwd=app, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10
