"""An environment of one's own and a policy that demonstrates it: slide a puck onto a mark."""

import gymnasium
import numpy as np
from gymnasium import spaces


class Puck(gymnasium.Env):
    """A puck on ice, pushed with up to 1 N; success is to be on the mark, slowly."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012
    action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)  # N
    observation_space = spaces.Dict(
        puck=spaces.Box(-np.inf, np.inf, (4,), np.float32),  # m, m/s
        mark=spaces.Box(-1.0, 1.0, (2,), np.float32),
    )

    def __init__(self, render_mode=None, mass=0.5):
        self.render_mode, self.mass = render_mode, mass

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.puck = np.zeros(4, np.float32)
        self.mark = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return self._observe(), {}

    def step(self, action):
        self.puck[2:] += action / self.mass / 20
        self.puck[:2] += self.puck[2:] / 20
        away = np.linalg.norm(self.puck[:2] - self.mark)
        done = bool(away < 0.1 and np.linalg.norm(self.puck[2:]) < 0.5)
        return self._observe(), float(done), done, False, {"is_success": done}

    def render(self):
        image = np.full((240, 240, 3), 255, np.uint8)
        for place, colour in ((self.mark, (90, 180, 90)), (self.puck[:2], (40, 60, 200))):
            row, column = np.clip(120 + 50 * place[::-1], 6, 233).astype(int)
            image[row - 6 : row + 6, column - 6 : column + 6] = colour
        return image

    def _observe(self):
        return {"puck": self.puck.copy(), "mark": self.mark}


def policy(obs):
    """Pulls to the mark and brakes: a spring and a damper, in newtons."""
    return np.clip(2.0 * (obs["mark"] - obs["puck"][:2]) - 1.5 * obs["puck"][2:], -1, 1)


gymnasium.register("my_lab/Puck-v0", entry_point=Puck, max_episode_steps=100)
