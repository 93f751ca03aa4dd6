"""One environment for real and simulated robots: Robot + World + cameras + Task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from robot_rl.envs.actions import ActionConfig, ActionSettings
from robot_rl.envs.null_world import NullWorld
from robot_rl.envs.proprioception import CLIP, DEFAULT, Proprioception
from robot_rl.errors import ConfigError, PoisonedDataError, RobotFault, SpecError, suggest
from robot_rl.interfaces import Bundle, Camera, Robot, Task, World
from robot_rl.specs import ArraySpec, EnvSpec
from robot_rl.timing import NS, Rate
from robot_rl.types import Array, Command, LimitStage, Outcome, RobotState, Step

OBSERVATIONS = ("state", "images")


class RobotEnv:
    """Implements `RobotEnvironment`: a task on a robot, the robot's clock keeping time.

    env = RobotEnv(bundle, task)
    step = env.reset(seed=0)
    while not (step.terminated or step.truncated):
        step = env.step(action)                     # action (dim,) in [-1, 1]

    Observations: "state" (n,) float32, proprioception and then, with observations="state", the
    task's privileged features; and one uint8 image (height, width, 3) per camera. Success
    terminates with the task's reward; `task.max_steps` truncates, and so does a fault.
    """

    def __init__(
        self,
        bundle: Bundle,
        task: Task,
        cameras: Mapping[str, Camera | None] | Sequence[str] = (),
        *,
        action: ActionSettings | None = None,
        rate_hz: float = 10.0,
        observations: str = "state",
        proprioception: tuple[str, ...] = DEFAULT,
        gripper_penalty: float = 0.0,
        render_camera: str = "external",
        render_mode: str | None = None,
    ) -> None:
        """Builds the world and connects the robot.

        cameras: what is observed, devices by name; a name alone, or None in a device's place, is
        the world's camera of that name. observations: "state" or "images" (the task's features are
        left out). gripper_penalty: reward taken off for a full stroke of a gripper. render_mode:
        "rgb_array", or None to draw nothing. Raises ConfigError on a value that is not valid.
        """
        _check(rate_hz, observations, cameras, gripper_penalty)
        self.robot, self.task = bundle.robot, task
        self.simulated = bundle.world is not None
        """Whether random motion can do no harm."""
        self.world: World = bundle.world or NullWorld()
        self.world.build(task.scene)
        self.robot.connect()
        self.actions = (action or ActionConfig()).space(self.robot)
        self.proprioception = Proprioception(
            proprioception, self.robot.n_arms, self.robot.gripper_range
        )
        devices = cameras if isinstance(cameras, Mapping) else dict.fromkeys(cameras)
        self.cameras = {name: it or self._world_camera(name) for name, it in devices.items()}
        self.render_mode = render_mode
        self._render_camera = render_camera
        self._viewer: Camera | None = None
        self._privileged = observations == "state"
        self._gripper_penalty = gripper_penalty
        self._period_ns = round(NS / rate_hz)
        self.spec = self._make_spec(rate_hz)
        self._state: RobotState | None = None
        self._rate = self._new_rate()
        self._steps = 0
        self._tripped = False

    @property
    def max_steps(self) -> int:
        return self.task.max_steps

    def reset(self, seed: int) -> Step:
        """Places objects and robot; everything random comes from `seed`. RobotFault, before
        anything is placed, on a robot that was stopped; else when the start pose is not reached,
        or a camera gives no frame to act on."""
        if self._tripped and (fault := self.robot.read().fault):
            raise RobotFault(f"{fault}; a person re-arms")
        rng = np.random.default_rng(seed)
        self.world.reset(rng)
        start, width = self.task.reset(self.world, rng)
        self.robot.move_to(start, width)
        self.proprioception.begin(start)
        self._rate = self._new_rate()
        self._rate.wait()
        self._steps = 0
        state = self._state = self.robot.read()
        outcome = Outcome(0.0, False, False, self.task.evaluate(self.world, state).metrics)
        held = self.actions.hold(state)
        step = self._step(state, state, self.actions.setpoint(state), held, outcome)
        if step.fault and not state.fault:
            raise RobotFault(f"{step.fault}; a person re-arms")
        return step

    def step(self, action: Array) -> Step:
        """One period: command, wait, read. Raises PoisonedDataError before a NaN moves anything.

        A robot that has latched a fault is commanded nothing; the step truncates and says why.
        """
        before = self._present_state()
        command = self.actions.project(action, before)
        refusal = self._command(command)
        late_ns = self._rate.wait()
        state = self._state = self.robot.read()
        if refusal is not None and not state.fault:
            raise refusal
        self._steps += 1
        executed = self.actions.executed(before, state, action)
        outcome = self.task.evaluate(self.world, state)
        return self._step(before, state, command, executed, outcome, late_ns)

    def hold(self) -> Array:
        return self.actions.hold(self._present_state())

    def setpoint(self) -> Command:
        return self.actions.setpoint(self._present_state())

    def encode(self, goal: Command) -> Array:
        return self.actions.encode(self._present_state(), goal)

    def expert_action(self) -> Array:
        """What the task's scripted expert would do now, (dim,) float32 in [-1, 1]."""
        return self.encode(self.task.expert(self.world, self._present_state()))

    def render(self) -> Array | None:
        """(height, width, 3) uint8 of `render_camera` in mode "rgb_array", else None."""
        if self.render_mode is None:
            return None
        if self._viewer is None:
            self._viewer = self._world_camera(self._render_camera)
        return self._viewer.read().image

    def rest(self) -> None:
        """Brakes the robot and drops its goal, until the next reset: whoever waits between episodes
        sends no commands, and the watchdog must not take that for a dead policy."""
        self.robot.stop()

    def trip(self, reason: str) -> None:
        self._tripped = True
        self.robot.trip(reason)

    def rearm(self) -> None:
        self._tripped = False
        try:
            self.robot.rearm()
        except RobotFault:
            self._tripped = True
            raise

    def close(self) -> None:
        """Frees the robot, then the cameras; may be called twice."""
        try:
            self.robot.close()
        finally:
            for camera in (*self.cameras.values(), *filter(None, [self._viewer])):
                camera.close()

    def _present_state(self) -> RobotState:
        if self._state is None:
            raise SpecError("the environment has no state yet; call reset() first")
        return self._state

    def _command(self, command: Command) -> RobotFault | None:
        try:
            self.robot.command(command)
        except RobotFault as refusal:
            return refusal
        return None

    def _new_rate(self) -> Rate:
        clock = self.robot.clock
        return Rate(clock.now_ns, clock.sleep_until, self._period_ns)

    def _world_camera(self, name: str) -> Camera:
        offered = self.world.cameras()
        if name not in offered:
            raise ConfigError(f"the robot's world has no camera '{name}'; {suggest(name, offered)}")
        return offered[name]

    def _observe(self, state: RobotState) -> tuple[dict[str, Array], dict[str, int], str]:
        """The arrays, their stamps, and why the robot holds; a camera's fault trips it."""
        vector = self.proprioception(state)
        if self._privileged:
            features = np.clip(self.task.observe(self.world, state), -CLIP, CLIP)
            vector = np.concatenate([vector, features])
        if not np.isfinite(vector).all():
            raise PoisonedDataError(f"{self.task.name}: the observation has NaN; valid: finite")
        obs: dict[str, Array] = {"state": vector}
        stamps, fault = {"state": state.stamp_ns}, state.fault
        for name, camera in self.cameras.items():
            frame = camera.read()
            obs[name], stamps[name] = frame.image, frame.stamp_ns
            if frame.fault and not fault:
                fault = f"camera '{name}': {frame.fault}"
                self.trip(fault)
        return obs, stamps, fault

    def _gripper_cost(self, before: RobotState, state: RobotState) -> float:
        if self._gripper_penalty == 0.0:
            return 0.0
        closed, opened = self.robot.gripper_range
        moved = np.abs(state.gripper_setpoint - before.gripper_setpoint) / (opened - closed)
        return self._gripper_penalty * float(moved.sum())

    def _step(
        self,
        before: RobotState,
        state: RobotState,
        command: Command,
        executed: Array,
        outcome: Outcome,
        late_ns: int = 0,
    ) -> Step:
        reward = outcome.reward - self._gripper_cost(before, state)
        if not math.isfinite(reward):
            raise PoisonedDataError(f"{self.task.name}: reward {reward}; valid: finite")
        obs, stamps, fault = self._observe(state)
        timeout = self._steps >= self.task.max_steps or bool(fault)
        return Step(
            obs=obs,
            stamps=stamps,
            state=state,
            executed=executed,
            commanded=self.actions.vector(command),
            stage=LimitStage(state.limiting_stage),
            reward=float(reward),
            success=int(outcome.success),
            terminated=bool(outcome.terminated),
            truncated=timeout and not outcome.terminated,
            fault=fault,
            stamp_ns=state.stamp_ns,
            action_stamp_ns=before.stamp_ns,
            boot_id=state.boot_id,
            late_ns=late_ns,
            metrics=outcome.metrics,
        )

    def _make_spec(self, rate_hz: float) -> EnvSpec:
        layout = self.proprioception.layout
        if self._privileged:
            layout += tuple((str(name), int(width)) for name, width in self.task.features)
        arrays = [ArraySpec("state", (sum(width for _, width in layout),), low=-CLIP, high=CLIP)]
        arrays += [
            ArraySpec(name, camera.shape, "uint8", 0, 255) for name, camera in self.cameras.items()
        ]
        facts = {
            "action_axes": ",".join(self.actions.names),
            "arms": str(self.robot.n_arms),
            "gripper_penalty": repr(self._gripper_penalty),
            "state_scale": self.proprioception.scales,
        }
        facts |= self.actions.facts
        facts |= {f"judged_{name}": str(value) for name, value in self.task.criteria.items()}
        plant = {
            "gripper_range": ",".join(repr(x) for x in np.ravel(self.robot.gripper_range).tolist())
        }
        plant |= self.actions.plant
        plant |= _limits(self.robot)
        return EnvSpec(
            name=self.task.name,
            observation=tuple(arrays),
            action=ArraySpec("action", (self.actions.dim,), "float32", -1.0, 1.0),
            command_layout=self.actions.command_layout,
            rate_hz=rate_hz,
            action_frame=self.actions.frame,
            action_scale=self.actions.scale,
            gripper_mode=self.actions.gripper_mode,
            gains=tuple(sorted((str(k), float(v)) for k, v in self.robot.gains.items())),
            state_layout=layout,
            facts=tuple(sorted(facts.items())),
            plant=tuple(sorted(plant.items())),
        )


def _limits(robot: Robot) -> dict[str, str]:
    """The limits a safety layer holds setpoints within, those of several arms after each other."""
    each = [asdict(limits) for limits in robot.limits]
    names = each[0] if each else ()
    return {f"limit_{name}": "; ".join(repr(arm[name]) for arm in each) for name in names}


def _check(rate_hz: float, observations: str, cameras: object, gripper_penalty: float) -> None:
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
