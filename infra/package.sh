#!/usr/bin/env bash
# Builds the zip that is published (see --help): what .funcignore leaves, reproducibly.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
python="${PYTHON:-python3}"

if ! command -v "$python" >/dev/null 2>&1; then
  echo "error: $python is missing: install Python 3.11 or newer, or name it: PYTHON=/path/to/python" >&2
  exit 1
fi
exec "$python" "$here/package.py" "$@"
