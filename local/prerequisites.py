"""Reports a missing tool with its remedy before anything is installed.

It runs under any Python version, so it uses nothing newer than Python 3.6.
"""

import os
import shutil
import subprocess
import sys

LEAST_PYTHON = (3, 11)
LEAST_NODE = 20
LEAST_JDK = 17
# The shell is the same Chromium without its windows, in half of the processor time.
BROWSERS = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)


def python():
    # type: () -> str
    if sys.version_info < LEAST_PYTHON:
        found = "{}.{}".format(*sys.version_info[:2])
        return (
            f"Python 3.11 or newer is needed, and python3 is {found}: install it, "
            "or name it with make PYTHON=python3.12"
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return "Python's venv is missing: install it (Debian: apt-get install python3-venv)"
    return ""


def node():
    # type: () -> str
    path = shutil.which("node")
    if path is None or shutil.which("npm") is None:
        return "Node.js and npm are missing: install Node.js 20 or newer from https://nodejs.org"
    version = subprocess.check_output([path, "--version"]).decode().strip()  # noqa: S603
    if int(version.lstrip("v").split(".")[0]) < LEAST_NODE:
        return f"Node.js 20 or newer is needed, and node is {version}"
    return ""


def jdk():
    # type: () -> str
    path = shutil.which("javac")
    if path is None or shutil.which("java") is None:
        return (
            "java and javac are missing, which generate and compile clients: install a JDK of "
            "version 17 or newer (Debian: apt-get install default-jdk-headless)"
        )
    version = subprocess.check_output([path, "-version"], stderr=subprocess.STDOUT)  # noqa: S603
    number = version.decode().strip().split()[-1].split(".")[0]
    if int(number) < LEAST_JDK:
        return f"JDK 17 or newer is needed, and javac is {number}"
    return ""


def browser():
    # type: () -> str
    named = os.environ.get("CHROMIUM")
    if named and shutil.which(named):
        return ""
    if any(shutil.which(name) for name in BROWSERS):
        return ""
    return (
        "Chromium is missing, which the browser tests need: install it "
        "(Debian: apt-get install chromium-headless-shell or chromium), or name it with CHROMIUM=/path/to/chrome"
    )


if __name__ == "__main__":
    problem = {"python": python, "node": node, "jdk": jdk, "browser": browser}[sys.argv[1]]()
    if problem:
        sys.exit("error: " + problem)
