#!/usr/bin/env bash
# Makes the project's own virtual environment and passes the checks: format, lint, types, tests.
#   launch/test.sh            everything but the slow lane
#   launch/test.sh slow       the slow lane (learning, experts on 100 seeds, twenty kills a side, fuzzing, every fault row)
#   launch/test.sh <pytest arguments>
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
make_environment dev
cd "$ROOT"
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
if [ "${1:-}" = slow ]; then
    shift
    exec "$VENV/bin/python" -m pytest -m slow "$@"
fi
if [ $# -gt 0 ]; then
    exec "$VENV/bin/python" -m pytest "$@"
fi
"$VENV/bin/ruff" format --check .
"$VENV/bin/ruff" check .
"$VENV/bin/mypy"
exec "$VENV/bin/python" -m pytest -m "not slow" --durations=15
