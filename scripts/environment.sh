# Sourced by the other scripts: makes .venv with everything that is needed, once, and says plainly what is missing.
# Usage: source scripts/environment.sh; prepare ""      (to run)
#        source scripts/environment.sh; prepare "[dev]" (to test)

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv="$project/.venv"

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "tickward needs Python 3.11 or newer: install it, or name one as PYTHON=/path/to/python3" >&2
    return 2
}

make_venv() {
    if ! "$1" -m venv "$venv" 2>/dev/null; then
        rm -rf "$venv"
        echo "Python's venv module does not work here: install it (Debian, Ubuntu: apt-get install python3-venv)" >&2
        return 2
    fi
}

# Installs again only when pyproject.toml or what is asked for has changed.
prepare() {
    local extras=$1 python stamp wanted found
    stamp="$venv/.installed$extras"
    wanted=$(cksum < "$project/pyproject.toml")
    for found in "$stamp" "$venv/.installed[dev]"; do # with what the tests need, all is there
        if [ -x "$venv/bin/python" ] && [ "$(cat "$found" 2>/dev/null)" = "$wanted" ]; then
            return
        fi
    done
    python=$(find_python) || return
    [ -x "$venv/bin/python" ] || make_venv "$python" || return
    echo "installing tickward$extras into .venv (once) ..." >&2
    if ! "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e "$project$extras" >&2; then
        echo "pip could not install the packages named in pyproject.toml: is the package index reachable?" >&2
        return 2
    fi
    echo "$wanted" > "$stamp"
}
