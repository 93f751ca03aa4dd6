"""Every Protocol of the project, each with the loop it is used in.

The whole line: `Robot/Camera.read → Observation → Policy.act → Chunk → arbitrate(TeleopDevice) →
Action → ActionSpace.project → SafeRobot.command → Robot`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Flag, auto
from typing import Protocol, runtime_checkable

import numpy as np

from robot_rl.types import (
    Array,
    Batch,
    Chunk,
    Command,
    Frame,
    Observation,
    Outcome,
    RobotState,
    Scene,
    TeleopSample,
    Transition,
)


class Capability(Flag):
    """What a robot can do; the conformance suite tests what is claimed."""

    CARTESIAN_IMPEDANCE = auto()
    JOINT = auto()
    WRENCH = auto()
    GRIPPER = auto()


@runtime_checkable
class Clock(Protocol):
    """A robot's time: real, or simulated and advanced by waiting.

    next_ns = clock.now_ns()
    while True:
        next_ns += period_ns
        ...
        clock.sleep_until(next_ns)   # a simulated clock runs the physics here
    """

    @property
    def boot_id(self) -> int:
        """Names this time base."""
        ...

    def now_ns(self) -> int:
        """Time in ns."""
        ...

    def sleep_until(self, stamp_ns: int) -> None:
        """Returns at `stamp_ns` or later."""
        ...

    def every(self, period_ns: int, call: Callable[[], None]) -> None:
        """Calls `call` each `period_ns` of this clock, within `sleep_until` when simulated."""
        ...


@runtime_checkable
class Robot(Protocol):
    """An arm, or several as one robot: poses are (n_arms, 7) in each arm's base frame.

    robot.connect()
    robot.move_to(home)
    while running:
        state = robot.read()
        robot.command(Command(pose, gripper, state.stamp_ns))
        robot.clock.sleep_until(next_ns)
    robot.stop()
    robot.close()
    """

    @property
    def n_arms(self) -> int: ...

    @property
    def capabilities(self) -> Capability: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def gripper_range(self) -> tuple[float, float]:
        """Closed and open width of a gripper, m."""
        ...

    @property
    def gains(self) -> Mapping[str, float]:
        """Named controller gains, SI units; part of the environment's spec."""
        ...

    def connect(self) -> None:
        """Opens the device; raises RobotFault if it cannot."""
        ...

    def read(self) -> RobotState:
        """The newest state; never blocks longer than one control period."""
        ...

    def command(self, command: Command) -> None:
        """Sets the goal; returns at once. Raises RobotFault while a fault is latched."""
        ...

    def move_to(self, pose: Array, gripper: Array | None = None) -> None:
        """Blocks until the end effectors rest at `pose` (n_arms, 7); RobotFault if they do not."""
        ...

    def stop(self) -> None:
        """Holds the present pose and drops every goal."""
        ...

    def close(self) -> None:
        """Leaves the robot at rest and frees the device; may be called twice."""
        ...


class Camera(Protocol):
    """`camera.read()` gives the newest frame without waiting for the next."""

    @property
    def name(self) -> str: ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, 3)."""
        ...

    def read(self) -> Frame: ...

    def close(self) -> None: ...


@runtime_checkable
class World(Protocol):
    """The objects around the robot. A simulated one owns the physics; hardware has none.

    world.build(task.scene)
    world.reset(rng)
    cube = world.object_pose("cube")
    """

    def build(self, scene: Scene) -> None:
        """Makes the scene; called once, before anything else."""
        ...

    def reset(self, rng: np.random.Generator) -> None:
        """Puts everything back to its initial state; the task then places its objects."""
        ...

    def object_pose(self, name: str) -> Array:
        """(7,) in the arm's base frame; raises SpecError naming the valid objects."""
        ...

    def set_object_pose(self, name: str, pose: Array) -> None:
        """Places a free or fixed (mocap-less) body; base frame, velocities zeroed."""
        ...

    def joint_position(self, name: str) -> float:
        """Position of a scalar joint of the scene, m or rad."""
        ...

    def set_joint_position(self, name: str, position: float) -> None: ...

    def cameras(self) -> Mapping[str, Camera]:
        """The cameras the world itself offers, by name."""
        ...


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a robot's config makes: the robot, and the world it stands in (None on hardware)."""

    robot: Robot
    world: World | None = None


class TeleopDevice(Protocol):
    """`sample = device.read()`: a stamped sample, or None with hands off. Never blocks."""

    def read(self) -> TeleopSample | None: ...

    def close(self) -> None: ...


class Task(Protocol):
    """A scene, its random resets, and what counts as success.

    world.build(task.scene)
    pose, width = task.reset(world, rng)   # robot.move_to(pose, width) follows
    while True:
        features = task.observe(world, state)
        outcome = task.evaluate(world, state)
    """

    @property
    def name(self) -> str: ...

    @property
    def scene(self) -> Scene: ...

    @property
    def max_steps(self) -> int:
        """Time limit of an episode; reaching it truncates."""
        ...

    @property
    def features(self) -> Sequence[tuple[str, int]]:
        """Names and widths of the parts that `observe` gives, in order."""
        ...

    @property
    def criteria(self) -> Mapping[str, float | str]:
        """Settings that decide reward and success (tolerances, kinds of reward), by name.

        Part of the specification: data that was judged otherwise is refused, as is an actor that
        judges otherwise than its learner's demonstrations.
        """
        ...

    def reset(self, world: World, rng: np.random.Generator) -> tuple[Array, Array]:
        """Places the objects; gives start poses (n_arms, 7) and gripper widths (n_arms,)."""
        ...

    def observe(self, world: World, state: RobotState) -> Array:
        """Privileged features (n,) float32 for state observations."""
        ...

    def evaluate(self, world: World, state: RobotState) -> Outcome: ...

    def expert(self, world: World, state: RobotState) -> Command:
        """The scripted expert's goal for this state; stateless apart from what `reset` cleared."""
        ...


class RewardModel(Protocol):
    """Learned success judge: `probability = model(obs)`."""

    def __call__(self, obs: Observation) -> float: ...


class Policy(Protocol):
    """Weights that act.

    policy.load(weights, version)
    policy.reset()
    chunk = policy.act(obs, step, stamp_ns)
    """

    @property
    def version(self) -> int: ...

    def load(self, weights: Mapping[str, Array], version: int) -> None:
        """Takes new weights; refuses NaN with PoisonedDataError and keeps the old ones."""
        ...

    def reset(self, seed: int | None = None) -> None:
        """Forgets the episode (history, queued chunk); with a seed what it draws starts from it."""
        ...

    def act(
        self, obs: Observation, step: int, stamp_ns: int, *, deterministic: bool = False
    ) -> Chunk: ...


class Agent(Protocol):
    """A learning algorithm; knows no environment and no socket.

    agent.load_state(checkpoint)            # or fresh
    for batch in batches:                   # utd * batch_size rows, interleaved
        metrics = agent.update(batch)       # utd critic updates, one actor update
        publish(agent.policy_weights())
    """

    def update(self, batch: Batch) -> Mapping[str, float] | None:
        """One block of updates; metrics now and then (they cost a synchronisation), else None."""
        ...

    def policy_weights(self) -> dict[str, Array]:
        """float32 arrays that `Policy.load` takes."""
        ...

    def state(self) -> dict[str, Array]:
        """All that `load_state` needs to go on bit-equal: parameters, optimisers, counters, RNG."""
        ...

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Raises CheckpointError naming the first array that does not fit."""
        ...


class TransitionSink(Protocol):
    """Where a control loop leaves what it saw; returns at once, bounded.

    sink.start(obs, episode)
    sink.step(transition)
    """

    def start(self, obs: Observation, episode: int, stamp_ns: int, boot_id: int) -> None: ...

    def step(self, transition: Transition) -> None: ...

    def close(self) -> None: ...


class WeightSource(Protocol):
    """`if (new := source.newest()): policy.load(*new)`; never blocks."""

    def newest(self) -> tuple[Mapping[str, Array], int] | None: ...
