#!/usr/bin/env bash
# Makes the project's own virtual environment and passes the checks: format, lint, types, tests.
#   launch/test.sh            everything but the slow lane
#   launch/test.sh slow       the slow lane (learning, experts on 100 seeds, twenty kills a side, fuzzing, every fault row)
#   launch/test.sh devices      vendors' SDKs against emulators of their protocols (needs unshare)
#   launch/test.sh browser    the console's page in a real headless Chromium (installed by apt where it is missing)
#   launch/test.sh <pytest arguments>
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
[ "${1:-}" = browser ] || make_environment dev
cd "$ROOT"
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
if [ "${1:-}" = slow ]; then
    shift
    exec "$VENV/bin/python" -m pytest -m slow "$@"
fi
if [ "${1:-}" = browser ]; then
    shift
    install_chromium
    ROBOT_RL_VENV="$VENV-browser" VENV="$VENV-browser"
    make_environment browser
    exec "$VENV/bin/python" -m pytest -m browser tests/browser "$@"
fi
if [ "${1:-}" = devices ]; then
    shift
    # The emulators bind every interface: they and the tests run in a network of their own.
    export DEVICES="${DEVICES:-${XDG_CACHE_HOME:-$HOME/.cache}/robot-rl/devices}"
    tests/devices/install.sh "$VENV/bin/python"
    export FRANKA_EMULATOR="$DEVICES/franka-sim-1.1.7"
    exec unshare --net --map-root-user bash -c 'ip link set lo up && exec "$@"' _ \
        "$VENV/bin/python" -m pytest -m devices tests/devices "$@"
fi
if [ $# -gt 0 ]; then
    exec "$VENV/bin/python" -m pytest "$@"
fi
"$VENV/bin/ruff" format --check .
"$VENV/bin/ruff" check .
"$VENV/bin/mypy"
exec "$VENV/bin/python" -m pytest -m "not slow and not devices and not browser" --durations=15
