"""Builds the zip that is published: what `.funcignore` leaves of the repository.

    infra/package.sh --output postroom.zip

The same content always makes the same bytes: names are sorted, times and rights are fixed.

Where the Python that the function app runs is on this machine too, the app's bytecode goes along: the
package is mounted read-only in Azure, and a cold start would compile every module anew.
UNCONFIRMED: that the remote build leaves `__pycache__` where it is; without it all works as before.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

REPOSITORY = Path(__file__).resolve().parents[1]
LIMIT = 2 * 1024 * 1024
"""Bytes. The app is some hundred kilobytes; what makes it much larger does not belong to it."""
RUNTIME = "3.13"
"""The Python of the function app, as `modules/function-app.bicep` has it."""

NEEDED = ("function_app.py", "host.json", "requirements.txt", "shared/__init__.py")
_COMPILE = """
import importlib.util, os, py_compile, sys
root, folder, *names = sys.argv[1:]
for name in names:
    py_compile.compile(
        os.path.join(root, name),
        os.path.join(folder, importlib.util.cache_from_source(name)),
        dfile=name,
        doraise=True,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
"""
_EPOCH = (1980, 1, 1, 0, 0, 0)
_RIGHTS = 0o100644 << 16


class PackageError(Exception):
    """What is wrong with the package, and what to do."""


def build(
    output: Path, *, root: Path = REPOSITORY, limit: int = LIMIT, compiler: str | None = None
) -> list[str]:
    """Write the zip; returns the names in it. `compiler` is the Python whose bytecode goes along.
    PackageError leaves no file behind."""
    ignored = patterns((root / ".funcignore").read_text(encoding="utf-8"))
    names = sorted(_files(root, ignored))
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise PackageError(
            f"{', '.join(missing)} would be missing: look at .funcignore, or at what was deleted"
        )
    compiled = bytecode(root, [name for name in names if name.endswith(".py")], compiler)
    temporary = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name in sorted([*names, *compiled]):
                entry = zipfile.ZipInfo(name, _EPOCH)
                entry.external_attr = _RIGHTS
                entry.create_system = 3
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, compiled.get(name) or (root / name).read_bytes())
        size = temporary.stat().st_size
        if size > limit:
            raise PackageError(
                f"the package has {size} bytes, more than {limit}: "
                "exclude in .funcignore what does not belong into it, or give --limit"
            )
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)
    return sorted([*names, *compiled])


def bytecode(root: Path, sources: Sequence[str], compiler: str | None) -> dict[str, bytes]:
    """The bytecode of modules by the name that Python looks for; nothing without a compiler.

    Python takes it without a look at its source (PEP 552, unchecked), whose time the zip does not keep.
    """
    if compiler is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603 - the interpreter that was asked for
            [compiler, "-I", "-S", "-c", _COMPILE, str(root), folder, *sources],
            env={**os.environ, "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise PackageError(f"{compiler} cannot compile the app: {done.stderr.strip()[-300:]}")
        found = (path for path in Path(folder).rglob("*.pyc"))
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def runtime_here() -> str | None:
    """The interpreter of the function app's version, where there is one."""
    name = f"python{RUNTIME}"
    found = sys.executable if sys.version_info[:2] == _version() else shutil.which(name)
    if found is None:
        return None
    probe = "import sys; print('%d.%d' % sys.version_info[:2])"
    asked = subprocess.run(  # noqa: S603 - found on the path
        [found, "-I", "-S", "-c", probe], capture_output=True, text=True, check=False
    )
    return found if asked.stdout.strip() == RUNTIME else None


def _version() -> tuple[int, ...]:
    return tuple(int(part) for part in RUNTIME.split("."))


def patterns(text: str) -> list[str]:
    """The lines of a `.funcignore`. Only names with `*` and `?` are understood, at any depth."""
    found = []
    for line in text.splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        if "/" in pattern or pattern.startswith("!"):
            raise PackageError(
                f".funcignore: {pattern!r} is not understood here; write a name without / and !"
            )
        found.append(pattern)
    return found


def _files(root: Path, ignored: Sequence[str]) -> Iterator[str]:
    for directory, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not _is_ignored(name, ignored)]
        here = PurePosixPath(Path(directory).relative_to(root).as_posix())
        for name in files:
            if not _is_ignored(name, ignored):
                yield str(here / name)


def _is_ignored(name: str, ignored: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in ignored)


def main(arguments: Sequence[str] | None = None) -> int:
    """Build what the command line asks for. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="infra/package.sh", description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("postroom.zip"), help="the zip's path")
    parser.add_argument("--limit", type=int, default=LIMIT, help="bytes it may have at most")
    parser.add_argument("--list", action="store_true", help="also list what is in it")
    given = parser.parse_args(arguments)
    compiler = runtime_here()
    try:
        names = build(given.output, limit=given.limit, compiler=compiler)
    except (PackageError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    if given.list:
        sys.stdout.write("".join(f"  {name}\n" for name in names))
    size = given.output.stat().st_size
    sys.stdout.write(f"{given.output}: {len(names)} files, {size / 1024:.0f} KiB\n")
    if compiler is None:
        sys.stdout.write(
            f"Without bytecode, since there is no Python {RUNTIME} here: a cold start takes some "
            "tenths of a second longer.\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
