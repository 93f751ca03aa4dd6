#!/usr/bin/env bash
# Runs a command beside the Franka emulator, in a network namespace of their own: the emulator binds
# 0.0.0.0. usage: franka.sh <emulator's python> <model.xml> <log> <command …>
set -euo pipefail
if [ "${IN_NAMESPACE:-}" = "" ]; then
    IN_NAMESPACE=1 exec unshare -n "$0" "$@"
fi
ip link set lo up
python="$1" log="$3"
export FR3_MJCF="$2"
shift 3
"$(dirname "$python")/run-franka-sim-server" --enforce-motion-limits --enforce-comm-constraints \
    > "$log" 2>&1 &
server=$!
trap 'kill -INT $server 2>/dev/null; wait $server 2>/dev/null || true' EXIT
for _ in $(seq 300); do
    (echo > /dev/tcp/127.0.0.1/1337) 2>/dev/null && break
    sleep 0.1
done
"$@"
