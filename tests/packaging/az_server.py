"""The stand-in for the Azure CLI as one process that answers all calls: there are thousands of them, and a
Python of its own for each would take most of the time of these tests.

Asked: the number of arguments, the folder `FAKE_AZ`, the app's address, then the arguments. Answered:
standard output, standard error and exit code. Each ends with a zero byte.
"""

from __future__ import annotations

import atexit
import shutil
import subprocess
from functools import cache
from pathlib import Path

_CLIENT = """#!{bash}
exec 3<>/dev/tcp/127.0.0.1/{port} || exit 70
printf '%s\\0' "$#" "$FAKE_AZ" "$FAKE_APP_URL" "$@" >&3
IFS= read -r -d '' out <&3
IFS= read -r -d '' err <&3
IFS= read -r -d '' code <&3
printf '%s' "$out"
printf '%s' "$err" >&2
exit "$code"
"""


def client(python: str, module: str, *paths: str) -> str:
    """A script that has its call answered by the `main` of a module; `paths`: where that finds
    packages."""
    return _CLIENT.format(bash=shutil.which("bash"), port=_port(python, module, *paths))


@cache
def _port(python: str, module: str, *paths: str) -> int:
    root = Path(__file__).parents[2]
    code = f"import sys; sys.path[1:1] = {[str(root), *paths]!r}; "
    code += f"from {module} import main; from tests.packaging.fake_az import serve; serve(main)"
    server = subprocess.Popen(  # noqa: S603 - our own code
        [python, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert server.stdin
    assert server.stdout
    atexit.register(server.communicate)
    return int(server.stdout.readline())
