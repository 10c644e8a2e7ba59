#!/bin/sh
# Prints the path of a Python >= 3.12 that can make virtual environments.
#
# $PYTHON, when set, is the only candidate. Otherwise, first that works: PATH (newest
# name first), pyenv's versions (newest first), Pythons that uv manages. Each candidate
# is run, since a name on PATH may be a pyenv shim that only prints an error.

check='
import sys
if sys.version_info < (3, 12):
    sys.exit(1)
import ensurepip, venv  # Debian keeps ensurepip in the package python3-venv
print(sys.executable)
'

try() { # try CANDIDATE: prints its real path and ends the script if it will do
    found=$("$1" -c "$check" 2>/dev/null) && [ -n "$found" ] && printf '%s\n' "$found" && exit 0
}

if [ -n "${PYTHON:-}" ]; then
    try "$PYTHON"
    echo "PYTHON=$PYTHON is not a Python >= 3.12 with the venv and ensurepip modules." >&2
    exit 1
fi

for name in python3.14 python3.13 python3.12 python3; do
    try "$name"
done

versions=${PYENV_ROOT:-$HOME/.pyenv}/versions
for version in $(ls "$versions" 2>/dev/null | sort -t . -k 1,1nr -k 2,2nr -k 3,3nr); do
    try "$versions/$version/bin/python"
done

# Only those that uv manages: the rest of PATH was tried above, and uv stops at a shim that fails.
managed=$(uv python find --no-project --python-preference only-managed '>=3.12' 2>/dev/null) &&
    try "$managed"

echo "Tiergate needs Python 3.12 or newer with venv: install it (Debian 13: apt-get install python3 python3-venv; anywhere: uv python install 3.13) or set PYTHON to its path." >&2
exit 1
