#!/usr/bin/env bash
# Installs into the project's own virtual environment, trains the simulated FR3 to pick up a cube
# from twenty demonstrations, evaluates it, and says where the report is.
# Any key of configs/train.yaml may follow: launch/fr3_sim.sh task=reach seed=3
source "$(dirname "${BASH_SOURCE[0]}")/sim.sh" fr3_sim "$@"
