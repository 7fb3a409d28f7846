"""The zip that is published: what is in it, how large it is, and that it is enough."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib import metadata
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from infra import package
from local import demo
from local.stack import Stack
from tests.packaging.conftest import ROOT

CEILING = 600 * 1024
"""Bytes, without bytecode: twice as much would be noticed at a deployment, not at a cold start."""


@pytest.fixture(scope="module")
def zip_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("package") / "postroom.zip"
    package.build(output)
    return output


def names_in(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def test_the_package_holds_the_app_and_nothing_else(zip_path: Path) -> None:
    """A new file beside these is either part of the app (add it here) or goes into .funcignore."""
    beginnings = {name.partition("/")[0] for name in names_in(zip_path)}

    assert beginnings == {"function_app.py", "host.json", "requirements.txt", "shared"}


def test_the_package_holds_every_file_of_shared(zip_path: Path) -> None:
    """Templates and static files too."""
    files = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "shared").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert {name for name in names_in(zip_path) if name.startswith("shared/")} == files
    assert {"shared/web/templates/base.html", "shared/web/static/postroom.css"} <= files


@pytest.mark.parametrize(
    "junk",
    [
        "local.settings.json",
        ".env.production",
        ".azure/prod/.env",
        ".local/stack.json",
        ".venv/bin/python",
        "node_modules/x/index.js",
        "tests/test_x.py",
        "shared/__pycache__/settings.cpython-313.pyc",
        "infra/main.bicep",
        "local/stack.py",
        "docs/api.md",
        "bench/calls.py",
        "requirements-dev.txt",
        "postroom.zip",
        "README.md",
    ],
)
def test_what_lies_about_in_a_clone_is_left_out(tmp_path: Path, junk: str) -> None:
    for name in (*package.NEEDED, junk):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    shutil.copy(ROOT / ".funcignore", tmp_path)

    names = package.build(tmp_path / "out.zip", root=tmp_path)

    assert names == sorted(package.NEEDED)


def test_the_package_is_small_and_its_size_is_printed(
    zip_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "postroom.zip"

    code = package.main(["--output", str(output)])

    assert code == 0
    assert f"{output.stat().st_size / 1024:.0f} KiB" in capsys.readouterr().out
    assert zip_path.stat().st_size < CEILING


def test_the_bytecode_of_every_module_goes_along_and_is_taken_without_its_source(
    tmp_path: Path, zip_path: Path
) -> None:
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"

    names = package.build(first, compiler=sys.executable)
    package.build(second, compiler=sys.executable)

    assert first.read_bytes() == second.read_bytes()
    assert set(names) == names_in(first) > names_in(zip_path)
    modules = {name for name in names if name.endswith(".py")}
    compiled = {cache_from_source(name) for name in modules}
    assert compiled == {name for name in names if name.endswith(".pyc")}
    with zipfile.ZipFile(first) as archive:
        for name in compiled:
            content = archive.read(name)
            assert content[4:8] == b"\x01\0\0\0"  # PEP 552: by hash, unchecked
            assert str(ROOT).encode() not in content


def test_a_module_that_cannot_be_compiled_stops_the_package(tmp_path: Path) -> None:
    for name in package.NEEDED:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("def broken(:")
    (tmp_path / ".funcignore").write_text("")

    with pytest.raises(package.PackageError, match=r"function_app\.py"):
        package.build(tmp_path / "out.zip", root=tmp_path, compiler=sys.executable)
    assert not (tmp_path / "out.zip").exists()


def test_bytecode_is_of_the_python_that_the_template_runs() -> None:
    template = (ROOT / "infra/modules/function-app.bicep").read_text(encoding="utf-8")

    assert f"version: '{package.RUNTIME}'" in template


def test_without_that_python_the_package_is_made_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "RUNTIME", "3.99")

    assert package.main(["--output", str(tmp_path / "out.zip")]) == 0
    assert "no Python 3.99 here" in capsys.readouterr().out
    assert not any(name.endswith(".pyc") for name in names_in(tmp_path / "out.zip"))


def test_a_package_over_the_limit_is_not_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "postroom.zip"

    code = package.main(["--output", str(output), "--limit", "1000"])

    assert code == 1
    assert "more than 1000" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_same_content_makes_the_same_bytes(tmp_path: Path, zip_path: Path) -> None:
    copy = tmp_path / "copy"
    with zipfile.ZipFile(zip_path) as archive:
        archive.extractall(copy)
    shutil.copy(ROOT / ".funcignore", copy)

    package.build(tmp_path / "again.zip", root=copy)

    assert (tmp_path / "again.zip").read_bytes() == zip_path.read_bytes()


@pytest.mark.parametrize("line", ["!shared", "/docs", "shared/web"])
def test_a_line_of_funcignore_that_is_not_understood_is_refused(line: str) -> None:
    with pytest.raises(package.PackageError, match="not understood"):
        package.patterns(line)


def test_a_package_without_the_app_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".funcignore").write_text("shared\n")

    with pytest.raises(package.PackageError, match=r"function_app\.py"):
        package.build(tmp_path / "out.zip", root=tmp_path)


@pytest.fixture(scope="module")
def unpacked(zip_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(zip_path) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def clean_python(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has what the package's own requirements.txt names, and no more."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    command = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(command, check=True)  # noqa: S603 - our own
    (packages,) = folder.glob("lib/python*/site-packages")
    for name, version in pinned(unpacked / "requirements.txt"):
        copy_distribution(name, version, packages)
    return folder / "bin" / "python"


def pinned(requirements: Path) -> Iterator[tuple[str, str]]:
    """Names and versions that pip would install with this Python."""
    text = requirements.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in filter(None, (line.partition(" --hash")[0].strip() for line in text.split("\n"))):
        found = Requirement(line)
        if found.marker is None or found.marker.evaluate():
            (version,) = found.specifier
            yield found.name, version.version


def copy_distribution(name: str, version: str, folder: Path) -> None:
    """The files of an installed distribution: tests/long/packaging lets pip install them instead."""
    found = metadata.distribution(name)
    assert found.version == version, f"{name} is not what requirements.txt says: make install"
    for file in found.files or ():
        source = Path(str(found.locate_file(file)))
        # Commands lie outside of the folder; the app runs none.
        if ".." not in file.parts and source.is_file():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / file)


@pytest.fixture
def stack_of_package(
    unpacked: Path, clean_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stack]:
    """The local stack, in which the host runs the unpacked package."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    with Stack(
        tmp_path / "state", 0, 0, app_dir=unpacked, python=clean_python, local_settings=False
    ) as stack:
        yield stack


@pytest.mark.e2e
@pytest.mark.timeout(600)
def test_the_unpacked_package_sends_mails_by_itself(
    stack_of_package: Stack, unpacked: Path, clean_python: Path
) -> None:
    info = stack_of_package.info
    demo.sign_in(info, demo.MAILBOX, demo.ALIAS)

    demo.send_by_http(info, "From the package")
    demo.send_by_queue(info, "From the package, by the queue")

    arrived = demo.wait_for(info, 2)
    assert {mail["subject"] for mail in arrived} == {
        "From the package",
        "From the package, by the queue",
    }
    # It was the unpacked code that ran, in the clean interpreter.
    assert list(
        (unpacked / "shared" / "services" / "delivery" / "__pycache__").glob("delivery*.pyc")
    )
    worker = Path(f"/proc/{stack_of_package.instances()[0].worker}/cmdline")
    if worker.exists():
        assert worker.read_bytes().startswith(os.fsencode(clean_python))


@pytest.mark.e2e
@pytest.mark.timeout(600)
def test_the_clean_interpreter_has_no_test_tools(clean_python: Path) -> None:
    """What the app needs is in requirements.txt, not in requirements-dev.txt."""
    probe = "import importlib.util as u, sys; sys.exit(any(map(u.find_spec, sys.argv[1:])))"

    subprocess.run(  # noqa: S603 - our own
        [clean_python, "-c", probe, "pytest", "mypy", "playwright", "hypothesis"], check=True
    )
