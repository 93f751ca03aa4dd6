"""Drawer-post: round a post that stands before the drawer, then pull the drawer off its catch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from robot_rl.envs.task_tools import Range, heading, pose_down
from robot_rl.envs.tasks.drawer_open import APART, CLEAR, DrawerOpen, cabinet
from robot_rl.errors import ConfigError
from robot_rl.geometry import matrix_from_quat, pose_inverse, pose_multiply
from robot_rl.interfaces import World
from robot_rl.types import Array, CartesianCommand, Outcome, RobotState

POST = np.array([-0.19, 0.0, 0.0])
"""Foot of the post in the cabinet's frame, m; the handle is at x = -0.055, y = 0."""
POST_HALF = (0.01, 0.01, 0.09)
"""Half its edges, m: low enough for the wrist to pass over, too high for the hand."""
FALLEN = 0.008
"""The post has been hit when its top is this far from where it stood, m."""
CATCH_WIDTH = 0.002
"""From here on the catch pulls no more, m."""
MOVING = 5e-4
"""From this opening on the expert goes on with its pull, m."""
BESIDE, ASIDE = 0.13, 0.16
"""Sideways from the post, m: where the hand passes it, and where the expert steers."""
BEHIND = POST[0] + 0.055
"""x in the cabinet's frame where the hand, having passed the post, turns to the handle, m."""
AHEAD = POST[0] - 0.015
"""Where the expert's forward motion would end if it never got aside: in the post, m."""
FORWARD = 4.5
"""Forward way for a unit of sideways way and a metre that is left to AHEAD."""
DECISION = 0.1
"""Time between two decisions to pull or to wait, s."""


CATCH = f'''
  <body name="catch" pos=".012 0 .09">
    <geom name="catch" type="box" size=".004 .02 .01" gap="{CATCH_WIDTH}" rgba=".3 .3 .3 1"/>
  </body>'''


class DrawerPost(DrawerOpen):
    """Success: the drawer open by `opening`. Reward 1 then, else 0; a post hit ends it with 0.

    Two ways lead round the post; the expert takes the side that a coin picks at each reset, and
    the observation does not tell which. Before the pull it waits, each period with the chance
    `dwell`. The mean of its actions runs into the post, and at the handle it does not pull the
    catch open: the springs' force follows the setpoint's lead.
    """

    name = "drawer_post"

    def __init__(
        self,
        max_steps: int = 120,
        opening: float = 0.06,
        cabinet_x: Range = (0.65, 0.67),
        cabinet_y: Range = (-0.04, 0.04),
        cabinet_yaw: Range = (-0.1, 0.1),
        start: tuple[float, float, float] = (0.36, 0.0, 0.13),
        start_noise: float = 0.015,
        catch: float = 12.0,
        dwell: float = 0.85,
    ) -> None:
        """Positions, opening and noise (uniform, per axis) in m, base frame; yaw in rad.

        catch: force of the magnet that keeps the closed drawer, N. dwell: chance that the expert,
        its gripper closed on the handle, waits for another period.
        """
        super().__init__(
            max_steps, opening, cabinet_x, cabinet_y, cabinet_yaw, (0.0, 0.0), start, start_noise
        )
        if not opening <= 0.08:
            raise ConfigError(
                f"drawer_post: opening={opening}; valid: at most 0.08 m, the post is in the way"
            )
        if not 0.0 <= catch <= 16.0:
            raise ConfigError(f"drawer_post: catch={catch}; valid: 0 to 16 N")
        if not 0.0 <= dwell < 1.0:
            raise ConfigError(f"drawer_post: dwell={dwell}; valid: 0 to below 1")
        self._dwell = dwell
        self.criteria |= {"fallen": FALLEN, "catch": catch}
        self._side, self._coins = 1.0, 0
        self.scene = replace(
            self.scene,
            mjcf=cabinet(CATCH) + _post(),
            extras=APART + _attraction(catch),
            objects=(*self.scene.objects, "post"),
        )

    def reset(self, world: World, rng: np.random.Generator) -> tuple[Array, Array]:
        start = super().reset(world, rng)
        self._side = float(rng.choice((-1.0, 1.0)))
        self._coins = int(rng.integers(2**32))
        world.set_object_pose("post", self._standing(world))
        return start

    def evaluate(self, world: World, state: RobotState) -> Outcome:
        outcome = super().evaluate(world, state)
        off = _top(world.object_pose("post")) - _top(self._standing(world))
        moved = float(np.linalg.norm(off))
        fallen = moved > FALLEN
        return Outcome(
            outcome.reward * (not fallen),
            outcome.success and not fallen,
            outcome.terminated or fallen,
            dict(outcome.metrics) | {"post_moved": moved},
        )

    def expert(self, world: World, state: RobotState) -> CartesianCommand:
        """Aside to the coin's side on the way forward, past the post, then as for any drawer."""
        cabinet_pose = world.object_pose("cabinet")
        x, y, _ = pose_multiply(pose_inverse(cabinet_pose), state.pose[0])[:3].tolist()
        if x >= BEHIND:
            return super().expert(world, state)
        aside = self._side * ASIDE
        if self._side * y < BESIDE:
            x += FORWARD * max(AHEAD - x, 0.0) * abs(aside - y)
        else:
            x = BEHIND + 0.05
        height = float(world.object_pose("handle")[2]) + CLEAR
        goal = pose_multiply(cabinet_pose, np.array([x, aside, height, 1.0, 0.0, 0.0, 0.0]))
        yaw = heading(cabinet_pose[3:])
        return CartesianCommand(pose_down(goal[:3], yaw)[None], np.array([0.08]), state.stamp_ns)

    def _pull(self, world: World, state: RobotState) -> float:
        # A coin for each period by the robot's clock, so that the expert needs no memory.
        if world.joint_position("drawer") > MOVING:
            return super()._pull(world, state)
        coin = np.random.default_rng([self._coins, round(1e-9 * state.stamp_ns / DECISION)])
        return 0.0 if coin.random() < self._dwell else super()._pull(world, state)

    def _standing(self, world: World) -> Array:
        """Pose (7,) of the post where it was put."""
        at = np.array([*POST, 1.0, 0.0, 0.0, 0.0])
        return pose_multiply(world.object_pose("cabinet"), at)


def _top(post: Array) -> Array:
    """Centre (3,) m of the post's upper end, for its pose (7,)."""
    top: Array = post[:3] + 2.0 * POST_HALF[2] * matrix_from_quat(post[3:])[:, 2]
    return top


def _post() -> str:
    x, y, z = POST_HALF
    return (
        '<body name="post" pos="0.43 0 0"><freejoint/>'
        f'<geom name="post" type="box" size="{x} {y} {z}" pos="0 0 {z}" mass="0.2"'
        ' rgba=".8 .3 .1 1"/></body>'
    )


def _attraction(force: float) -> str:
    """A magnet's constant pull on what touches the catch, N, gone beyond CATCH_WIDTH."""
    return (
        '<actuator><general name="catch" body="catch" gaintype="fixed" gainprm="1"'
        f' biastype="affine" biasprm="{force} 0 0"/></actuator>'
    )
