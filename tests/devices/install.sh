#!/usr/bin/env bash
# Installs what the device lane needs: the SDKs into the project's environment, each emulator into
# one of its own under DEVICES (default: ~/.cache/robot-rl/devices).
# usage: install.sh <project's python>
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
DEVICES="${DEVICES:-${XDG_CACHE_HOME:-$HOME/.cache}/robot-rl/devices}"
franka="$DEVICES/franka-sim-1.1.7"
if [ ! -e "$franka/fr3.xml" ]; then
    "$1" -m venv "$franka"
    "$franka/bin/python" -m pip install -q ${PIP_ARGS:-} franka-sim==1.1.7
    "$franka/bin/python" "$here/../emulators/franka_model.py" "$franka/fr3.xml"
fi
"$1" -c 'import franky' 2>/dev/null || "$1" -m pip install -q ${PIP_ARGS:-} franky-control==2.0.0
