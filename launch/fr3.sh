#!/usr/bin/env bash
# Runs a policy trained in simulation on a real Franka FR3, or goes on training on it.
#   launch/fr3.sh 172.16.0.2                       trains reach on the twin, then deploys it
#   launch/fr3.sh 172.16.0.2 deploy runs/mine      deploys a run
#   launch/fr3.sh 172.16.0.2 train [key=value …]   trains on the arm (safe defaults: experiment=hardware)
# Before the first time read docs/first_hour.md. A hand belongs on the e-stop.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
if [ $# -lt 1 ]; then
    echo "usage: launch/fr3.sh <address of the FCI> [deploy RUN | train key=value …]" >&2
    exit 2
fi
address="$1"
shift
make_environment franka
robot=(robot=fr3 "robot.address=$address")
"$VENV/bin/robot-rl" doctor "${robot[@]}"
case "${1:-}" in
    train)
        shift
        exec "$VENV/bin/robot-rl" train task=reach "${robot[@]}" experiment=hardware "$@"
        ;;
    deploy)
        shift
        run="$1"
        shift
        ;;
    *)
        run="runs/reach-fr3_sim"
        [ -e "$run/finished" ] || "$VENV/bin/robot-rl" train task=reach robot=fr3_sim steps=3000 "run=$run"
        ;;
esac
exec "$VENV/bin/robot-rl" deploy "$run" "${robot[@]}" "$@"
