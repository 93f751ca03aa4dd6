"""An actor for the tests of its own death: drives the arm to and fro at 20 Hz, and says so.

python moving_actor.py <record>        prints `moving`, then `refused: …` once it may not
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from driven import connected, follow

from robot_rl.errors import RobotFault


def main() -> None:
    robot = connected(Path(sys.argv[1]))
    print("moving", robot._link.info.pid, robot._link._launcher.directory, flush=True)
    for turn in range(2000):
        try:
            follow(robot, (0.0, 0.02 if turn // 10 % 2 else -0.02, 0.0))
        except RobotFault as error:
            print(f"refused: {error}", flush=True)
            break
        time.sleep(0.05)
    time.sleep(600.0)


if __name__ == "__main__":
    main()
