#!/bin/sh
# Prints the path of a Python that runs and that Postroom supports (3.11 to 3.13).
#
#   find_python.sh           the newest one
#   find_python.sh oldest    the oldest one
#   find_python.sh 3.12      the newest one that is not newer than 3.12
#
# A command may be a shim of pyenv that does not run, so each one is tried, and pyenv's own versions are
# looked through as well. A newer python3 (3.14) is taken only where none of the others is there.
# Exit code 1 and a message where there is none.
set -u

runs() { # command, version: whether the command is that Python, with a working venv
  "$1" -c "import sys, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '$2')" \
    >/dev/null 2>&1
}

path_of() { # command: its own path, whatever shim stands before it
  "$1" -c 'import sys; print(sys.executable)'
}

find() { # version
  for command in "python$1" python3 python; do
    if command -v "$command" >/dev/null 2>&1 && runs "$command" "$1"; then
      path_of "$command"
      return 0
    fi
  done
  pyenv_root="${PYENV_ROOT:-$(pyenv root 2>/dev/null || echo "${HOME:-/nowhere}/.pyenv")}"
  for command in "$pyenv_root/versions/$1".*/bin/python3 "/usr/bin/python$1" \
    "/usr/local/bin/python$1" "/opt/homebrew/bin/python$1"; do
    if [ -x "$command" ] && runs "$command" "$1"; then
      path_of "$command"
      return 0
    fi
  done
  return 1
}

case "${1:-newest}" in
  oldest) versions="3.11 3.12 3.13" ;;
  newest | 3.13) versions="3.13 3.12 3.11" ;;
  3.12) versions="3.12 3.11" ;;
  3.11) versions="3.11" ;;
  *)
    echo "usage: find_python.sh [newest|oldest|3.13|3.12|3.11]" >&2
    exit 2
    ;;
esac

for version in $versions; do
  find "$version" && exit 0
done
newer='import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 14))'
if [ "${1:-newest}" = newest ] && python3 -c "$newer" >/dev/null 2>&1; then
  path_of python3
  exit 0
fi
echo "error: Postroom needs Python 3.11, 3.12 or 3.13 with venv, and none was found: install one (Debian: apt-get install python3 python3-venv), or name it with make PYTHON=/path/to/python3.12" >&2
exit 1
