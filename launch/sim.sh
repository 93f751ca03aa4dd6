# Trains and evaluates one simulated robot; the launch scripts of the twins call it.
# usage: . launch/sim.sh <robot config> [key=value ...]
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
robot="$1"
shift
make_environment
run="runs/$robot-$(date +%Y%m%d-%H%M%S)"
for word in "$@"; do
  case "$word" in run=*) run="${word#run=}" ;; esac
done
"$VENV/bin/robot-rl" train "robot=$robot" "run=$run" "$@"
"$VENV/bin/robot-rl" eval "$run" --episodes 50
echo "report: $(realpath "$run")/report.html"
