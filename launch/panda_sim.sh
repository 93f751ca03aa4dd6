#!/usr/bin/env bash
# Installs into the project's own virtual environment, trains the simulated Panda to pick up a cube
# from twenty demonstrations, evaluates it, and says where the report is.
# Any key of configs/train.yaml may follow: launch/panda_sim.sh task=reach seed=3
source "$(dirname "${BASH_SOURCE[0]}")/sim.sh" panda_sim "$@"
