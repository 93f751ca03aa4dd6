"""From an environment of one's own to a trained policy: check, demonstrate, train, evaluate.

python own_environment.py [steps=3000]
"""

import sys

from my_lab.puck import policy

from robot_rl.cli import main
from robot_rl.envs.gym_env import GymEnv
from robot_rl.runtime.record import record_demos

ID = "my_lab.puck:my_lab/Puck-v0"

if __name__ == "__main__":
    assert main(["check", f"env.id={ID}"]) == 0
    demos = record_demos(GymEnv(ID), policy, "demos/puck", episodes=10)
    print(f"{demos.kept} demonstrations, {demos.transitions} steps")
    words = ["env=gym", f"env.id={ID}", "demos.path=demos/puck", "demos.episodes=10"]
    trained = main(["train", *words, "run=runs/puck", "steps=2000", *sys.argv[1:]])
    sys.exit(trained or main(["eval", "runs/puck", "--episodes", "10"]))
