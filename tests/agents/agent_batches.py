"""Random batches of a small environment for the agents' tests."""

import numpy as np

from robot_rl.specs import ArraySpec, EnvSpec
from robot_rl.types import Batch

SPEC = EnvSpec(
    name="small",
    observation=(ArraySpec("state", (5,)),),
    action=ArraySpec("action", (3,), low=-1.0, high=1.0),
    command_layout=(("command", 3),),
    rate_hz=10.0,
    facts=(("action_axes", "x,y,gripper"),),
)


def make_batch(rows: int, seed: int = 0, spec: EnvSpec = SPEC) -> Batch:
    rng = np.random.default_rng(seed)

    def observation() -> dict[str, np.ndarray]:
        return {
            array.name: rng.integers(0, 256, (rows, *array.shape), dtype=np.uint8)
            if array.is_image
            else rng.standard_normal((rows, *array.shape)).astype(np.float32)
            for array in spec.observation
        }

    return Batch(
        obs=observation(),
        action=rng.uniform(-1, 1, (rows, spec.action_dim)).astype(np.float32),
        reward=rng.standard_normal(rows).astype(np.float32),
        next_obs=observation(),
        mask=(rng.random(rows) < 0.8).astype(np.float32),
        discount=np.full(rows, 0.97, np.float32),
        demo=(np.arange(rows) % 2).astype(np.float32),
    )
