"""One gymnasium environment for real and simulated robots: Robot + World + cameras + Task."""

from __future__ import annotations

import math
from dataclasses import asdict, is_dataclass
from typing import Any

import gymnasium
import numpy as np

from robot_rl.envs.actions import ActionConfig, ActionSpace, Target
from robot_rl.envs.null_world import NullWorld
from robot_rl.envs.proprioception import CLIP, DEFAULT, Proprioception
from robot_rl.errors import ConfigError, PoisonedDataError, suggest
from robot_rl.interfaces import Bundle, Camera, Robot, Task, World
from robot_rl.specs import ArraySpec, EnvSpec
from robot_rl.timing import NS, Rate
from robot_rl.types import Array, CartesianCommand, Outcome, RobotState

OBSERVATIONS = ("state", "images")


class RobotEnv(gymnasium.Env[Any, Array]):
    """A task on a robot at a fixed policy rate, the robot's clock keeping time.

    env = RobotEnv(bundle, task)
    obs, info = env.reset(seed=0)
    while not (terminated or truncated):
        obs, reward, terminated, truncated, info = env.step(action)     # action (dim,) in [-1, 1]

    Observations: "state" (n,) float32, proprioception and then, with observations="state", the
    task's privileged features; and one uint8 image (height, width, 3) per camera. Success
    terminates with the task's reward; `task.max_steps` truncates. `info` holds what the action
    became: executed (dim,) float32, commanded (command_dim,) float32, limiting_stage, success (1 or
    0), stamp_ns, action_stamp_ns and boot_id of the robot's clock, metrics, and `fault` (why the
    robot holds, empty while it does not; a fault truncates). After a step also late_ns: how late
    its period ended, in the robot's clock.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(
        self,
        bundle: Bundle,
        task: Task,
        cameras: tuple[str, ...] = (),
        *,
        action: ActionConfig | None = None,
        rate_hz: float = 10.0,
        observations: str = "state",
        proprioception: tuple[str, ...] = DEFAULT,
        gripper_penalty: float = 0.0,
        render_camera: str = "external",
        render_mode: str | None = None,
    ) -> None:
        """Builds the world and connects the robot.

        cameras: names among the world's cameras; they are observed. observations: "state" or
        "images" (the task's features are left out). gripper_penalty: reward taken off for a full
        stroke of a gripper. Raises ConfigError on a value that is not valid.
        """
        _check(rate_hz, observations, cameras, gripper_penalty)
        self.robot, self.task = bundle.robot, task
        self.simulated = bundle.world is not None
        """Whether random motion can do no harm."""
        self.world: World = bundle.world or NullWorld()
        self.world.build(task.scene)
        self.robot.connect()
        self.actions = ActionSpace(
            action or ActionConfig(), self.robot.n_arms, self.robot.gripper_range
        )
        self.proprioception = Proprioception(
            proprioception, self.robot.n_arms, self.robot.gripper_range
        )
        self.cameras = {name: self._camera(name) for name in cameras}
        self.render_mode = render_mode
        self._render_camera = render_camera
        self._viewer: Camera | None = None
        self._privileged = observations == "state"
        self._gripper_penalty = gripper_penalty
        self._period_ns = round(NS / rate_hz)
        self.metadata = {**self.metadata, "render_fps": round(rate_hz)}
        self.data_spec = self._make_spec(rate_hz)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (self.actions.dim,), np.float32)
        self.observation_space = gymnasium.spaces.Dict(
            {array.name: _space(array) for array in self.data_spec.observation}
        )
        self._state: RobotState | None = None
        self._rate = self._new_rate()
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        """Places objects and robot; everything random comes from `seed`."""
        super().reset(seed=seed)
        self.world.reset(self.np_random)
        start, width = self.task.reset(self.world, self.np_random)
        self.robot.move_to(start, width)
        self.proprioception.begin(start)
        self._rate = self._new_rate()
        self._rate.wait()
        self._steps = 0
        state = self._state = self.robot.read()
        outcome = self.task.evaluate(self.world, state)
        idle = CartesianCommand(state.setpoint, state.gripper_setpoint, state.stamp_ns)
        info = self._info(state, state, idle, np.zeros(self.actions.dim, np.float32), outcome)
        return self._observe(state), info

    def step(self, action: Array) -> tuple[dict[str, Array], float, bool, bool, dict[str, Any]]:
        """One period: command, wait, read. Raises PoisonedDataError before a NaN moves anything."""
        before = self._present_state()
        previous = Target.of(before)
        command = self.actions.project(action, previous, before)
        self.robot.command(command)
        late_ns = self._rate.wait()
        state = self._state = self.robot.read()
        self._steps += 1
        executed = self.actions.executed(previous, state, action)
        outcome = self.task.evaluate(self.world, state)
        reward = outcome.reward - self._gripper_cost(previous, state)
        if not math.isfinite(reward):
            raise PoisonedDataError(f"{self.task.name}: reward {reward}; valid: finite")
        timeout = self._steps >= self.task.max_steps or bool(state.fault)
        truncated = timeout and not outcome.terminated
        info = self._info(before, state, command, executed, outcome)
        info["late_ns"] = late_ns
        return self._observe(state), reward, outcome.terminated, truncated, info

    def expert_action(self) -> Array:
        """What the task's scripted expert would do now, (dim,) float32 in [-1, 1]."""
        state = self._present_state()
        goal = self.task.expert(self.world, state)
        return self.actions.encode(Target.of(state), Target(goal.pose, goal.gripper))

    def render(self) -> Array | None:
        """(height, width, 3) uint8 of `render_camera` in mode "rgb_array", else None."""
        if self.render_mode is None:
            return None
        if self._viewer is None:
            self._viewer = self._camera(self._render_camera)
        return self._viewer.read().image

    def rest(self) -> None:
        """Brakes the robot and drops its goal, until the next reset: whoever waits between episodes
        sends no commands, and the watchdog must not take that for a dead policy."""
        self.robot.stop()

    def trip(self, reason: str) -> None:
        """Stops the robot and latches the fault where it has a safety layer (SafeRobot.trip)."""
        trip = getattr(self.robot, "trip", None)
        if trip is not None:
            trip(reason)

    def close(self) -> None:
        """Frees robot and cameras; may be called twice."""
        for camera in (*self.cameras.values(), *filter(None, [self._viewer])):
            camera.close()
        self.robot.close()

    def _present_state(self) -> RobotState:
        if self._state is None:
            raise gymnasium.error.ResetNeeded("call reset() before step() or expert_action()")
        return self._state

    def _new_rate(self) -> Rate:
        clock = self.robot.clock
        return Rate(clock.now_ns, clock.sleep_until, self._period_ns)

    def _camera(self, name: str) -> Camera:
        offered = self.world.cameras()
        if name not in offered:
            raise ConfigError(f"the robot's world has no camera '{name}'; {suggest(name, offered)}")
        return offered[name]

    def _observe(self, state: RobotState) -> dict[str, Array]:
        vector = self.proprioception(state)
        if self._privileged:
            features = np.clip(self.task.observe(self.world, state), -CLIP, CLIP)
            vector = np.concatenate([vector, features])
        if not np.isfinite(vector).all():
            raise PoisonedDataError(f"{self.task.name}: the observation has NaN; valid: finite")
        obs: dict[str, Array] = {"state": vector}
        for name, camera in self.cameras.items():
            obs[name] = camera.read().image
        return obs

    def _gripper_cost(self, previous: Target, state: RobotState) -> float:
        if self._gripper_penalty == 0.0:
            return 0.0
        closed, opened = self.robot.gripper_range
        moved = float(np.abs(state.gripper_setpoint - previous.gripper).sum())
        return self._gripper_penalty * moved / (opened - closed)

    def _info(
        self,
        before: RobotState,
        state: RobotState,
        command: CartesianCommand,
        executed: Array,
        outcome: Outcome,
    ) -> dict[str, Any]:
        return {
            "executed": executed,
            "commanded": self.actions.vector(command),
            "limiting_stage": state.limiting_stage,
            "success": int(outcome.success),
            "stamp_ns": state.stamp_ns,
            "action_stamp_ns": before.stamp_ns,
            "boot_id": state.boot_id,
            "metrics": dict(outcome.metrics),
            "fault": state.fault,
        }

    def _make_spec(self, rate_hz: float) -> EnvSpec:
        layout = self.proprioception.layout
        if self._privileged:
            layout += tuple((str(name), int(width)) for name, width in self.task.features)
        arrays = [ArraySpec("state", (sum(width for _, width in layout),), low=-CLIP, high=CLIP)]
        arrays += [
            ArraySpec(name, camera.shape, "uint8", 0, 255) for name, camera in self.cameras.items()
        ]
        config = self.actions.config
        extra = {
            "action_axes": ",".join(self.actions.names),
            "arms": str(self.robot.n_arms),
            "gripper_penalty": repr(self._gripper_penalty),
            "gripper_range": ",".join(map(repr, self.robot.gripper_range)),
            "leash": f"{config.leash_translation!r},{config.leash_rotation!r}",
            "state_scale": self.proprioception.scales,
        }
        extra |= {f"judged_{name}": str(value) for name, value in self.task.criteria.items()}
        extra |= _limits(self.robot)
        return EnvSpec(
            name=self.task.name,
            observation=tuple(arrays),
            action=ArraySpec("action", (self.actions.dim,), "float32", -1.0, 1.0),
            command_dim=self.actions.command_dim,
            rate_hz=rate_hz,
            action_frame=config.frame,
            action_scale=self.actions.scale,
            gripper_mode=config.gripper_mode,
            gains=tuple(sorted((str(k), float(v)) for k, v in self.robot.gains.items())),
            state_layout=layout,
            extra=tuple(sorted(extra.items())),
        )


def _limits(robot: Robot) -> dict[str, str]:
    """The limits a safety layer holds setpoints within, if the robot tells them."""
    limits = getattr(robot, "limits", None)
    if not is_dataclass(limits) or isinstance(limits, type):
        return {}
    return {f"limit_{name}": repr(value) for name, value in asdict(limits).items()}


def _space(array: ArraySpec) -> gymnasium.spaces.Box:
    dtype = np.uint8 if array.dtype == "uint8" else np.float32
    return gymnasium.spaces.Box(array.low, array.high, array.shape, dtype)


def _check(
    rate_hz: float, observations: str, cameras: tuple[str, ...], gripper_penalty: float
) -> None:
    if not 0.0 < rate_hz <= 1000.0:
        raise ConfigError(f"env.rate_hz={rate_hz}; valid: above 0, at most 1000")
    if observations not in OBSERVATIONS:
        raise ConfigError(
            f"env.observations='{observations}'; {suggest(observations, OBSERVATIONS)}"
        )
    if observations == "images" and not cameras:
        raise ConfigError("env.observations=images needs cameras; valid: camera=two, for example")
    if not 0.0 <= gripper_penalty < np.inf:
        raise ConfigError(f"env.gripper_penalty={gripper_penalty}; valid: 0 or more")
