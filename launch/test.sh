#!/usr/bin/env bash
# Makes the project's own virtual environment and passes the checks: format, lint, types, tests.
#   launch/test.sh            everything but the slow lane
#   launch/test.sh slow       the slow lane (learning, experts on 100 seeds, twenty kills a side, fuzzing, every fault row)
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
if [ $# -gt 0 ]; then
    exec "$VENV/bin/python" -m pytest "$@"
fi
"$VENV/bin/ruff" format --check .
"$VENV/bin/ruff" check .
"$VENV/bin/mypy"
exec "$VENV/bin/python" -m pytest -m "not slow and not browser" --durations=15
