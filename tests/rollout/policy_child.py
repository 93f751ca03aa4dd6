"""The child of test_placement: a policy with plans of 8 in a process of its own.

python policy_child.py <socket> <spec as JSON> <seconds an answer takes>
"""

from __future__ import annotations

import sys
import time
from typing import Any

from robot_rl.rollout.policy_child import serve
from robot_rl.specs import EnvSpec
from robot_rl.testing.fake_policies import PlannerOf


class Slow(PlannerOf):
    """Answers after a while."""

    delay_s = 0.0

    def act(self, *arguments: Any, **more: Any) -> Any:
        time.sleep(self.delay_s)
        return super().act(*arguments, **more)


if __name__ == "__main__":
    spec = EnvSpec.from_json(sys.argv[2].encode())
    policy = Slow(spec)
    policy.delay_s = float(sys.argv[3])
    serve(int(sys.argv[1]), policy, spec)
