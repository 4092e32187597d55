#!/bin/sh
# environment.sh PYTHON FOLDER: create a virtual environment, if the locked packages support this version of Python.
command -v "$1" >/dev/null || {
    echo "make: $1 was not found; name Python 3.11, 3.12 or 3.13, for example PYTHON=python3.11" >&2
    exit 1
}
version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])') || exit 1
case $version in
3.11 | 3.12 | 3.13) ;;
*)
    echo "make: $1 is Python $version; name Python 3.11, 3.12 or 3.13, for example PYTHON=python3.11" >&2
    exit 1
    ;;
esac
"$1" -c 'import ensurepip' 2>/dev/null || {
    echo "make: $1 cannot create virtual environments; on Debian: apt-get install python3-venv" >&2
    exit 1
}
echo "creating the environment $2 (once)"
exec "$1" -m venv "$2"
