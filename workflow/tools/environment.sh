#!/bin/sh
# environment.sh PYTHON FOLDER: make a virtual environment with a Python that the packages are locked for.
command -v "$1" >/dev/null || {
    echo "make: there is no program $1; name a Python 3.11, 3.12 or 3.13 with PYTHON=python3.11" >&2
    exit 1
}
version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])') || exit 1
case $version in
3.11 | 3.12 | 3.13) ;;
*)
    echo "make: Python 3.11, 3.12 or 3.13 is needed, $1 is $version; name another with PYTHON=python3.11" >&2
    exit 1
    ;;
esac
"$1" -c 'import ensurepip' 2>/dev/null || {
    echo "make: $1 cannot make environments; on Debian: apt-get install python3-venv" >&2
    exit 1
}
echo "setting up $2 (once)"
exec "$1" -m venv "$2"
