# Shared by the launch scripts: finds Python, makes the project's own virtual environment, installs.
# Settings: PYTHON (an interpreter >= 3.11), ROBOT_RL_VENV (default .venv), PIP_ARGS (for pip install).
set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="${ROBOT_RL_VENV:-$ROOT/.venv}"

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3.11 python3.12 python3.13 python3; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "launch: no Python 3.11 or newer found; set PYTHON=/path/to/python3.11" >&2
    exit 2
}

# install_chromium: the system's browser and its driver, for the browser lane; needs root once.
install_chromium() {
    if command -v chromium > /dev/null && command -v chromedriver > /dev/null; then
        return
    fi
    echo "launch: installing chromium and chromium-driver"
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium chromium-driver
}

# make_environment [extra]: installs the project, editable, at the versions that were tested.
# An environment with an extra serves one that asks for none.
make_environment() {
    local stamp="$VENV/.installed" versions wanted found
    versions="$(cat "$ROOT/pyproject.toml" "$ROOT/constraints.txt" | cksum)"
    wanted="$versions ${1:-}"
    found="$(cat "$stamp" 2>/dev/null || true)"
    if [ -x "$VENV/bin/python" ] && [ "${1:+extra}" = "" ] && [ "${found#"$versions"}" != "$found" ]; then
        return
    fi
    if [ -x "$VENV/bin/python" ] && [ "$found" = "$wanted" ]; then
        return
    fi
    echo "launch: installing into $VENV (once; some minutes)"
    [ -x "$VENV/bin/python" ] || "$(find_python)" -m venv "$VENV"
    # torch first and exactly: an open range can pull in other builds of several GB.
    "$VENV/bin/python" -m pip install -q ${PIP_ARGS:-} -c "$ROOT/constraints.txt" \
        "$(grep '^torch==' "$ROOT/constraints.txt")"
    "$VENV/bin/python" -m pip install -q ${PIP_ARGS:-} -c "$ROOT/constraints.txt" \
        -e "$ROOT${1:+[$1]}"
    echo "$wanted" > "$stamp"
}
