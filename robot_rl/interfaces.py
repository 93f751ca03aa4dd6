"""Every Protocol of the project, each with the loop it is used in.

The whole line: `Robot/Camera.read → Step → Policy.act → PlanFollower → arbitrate(Operator) →
RobotEnvironment.step → Judge → sinks`; inside the environment `ActionSpace.project → Command →
SafeRobot.command → Robot`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Flag, auto
from typing import Protocol, runtime_checkable

import numpy as np

from robot_rl.sampling import Block, Sampling
from robot_rl.specs import EnvSpec
from robot_rl.types import (
    Array,
    Batch,
    CartesianCommand,
    Command,
    Context,
    Frame,
    Observation,
    OperatorSample,
    Outcome,
    Plan,
    RobotState,
    Scene,
    Step,
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
        robot.command(CartesianCommand(pose, gripper, state.stamp_ns))
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

    def trip(self, reason: str) -> None:
        """Latches a fault for a reason from outside. Any thread: sets a flag that the next control
        tick, `command` and `move_to` obey."""
        ...

    def rearm(self) -> None:
        """Clears a latched fault, by a person's decision only; holds where the arm is."""
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


class ActionSpace(Protocol):
    """The agent's action (dim,) in [-1, 1] and the robot's command are two things.

    command = space.project(action, state)
    robot.command(command)                  # a period later:
    executed = space.executed(before, state, action)
    """

    @property
    def dim(self) -> int: ...

    @property
    def names(self) -> Sequence[str]:
        """(dim,) of each dimension, with its arm."""
        ...

    @property
    def scale(self) -> tuple[float, ...]:
        """Physical value of an action of 1, per dimension."""
        ...

    @property
    def command_layout(self) -> tuple[tuple[str, int], ...]:
        """Names and widths of the parts of a stored command vector."""
        ...

    def project(self, action: Array, state: RobotState) -> Command:
        """The command an action asks for, from the setpoint in `state` on."""
        ...

    def executed(self, before: RobotState, after: RobotState, action: Array) -> Array:
        """The action (dim,) that explains the setpoint in `after`; `action` breaks ties."""
        ...

    def encode(self, state: RobotState, goal: Command) -> Array:
        """The action (dim,) that moves from the setpoint in `state` towards a goal."""
        ...

    def hold(self, state: RobotState) -> Array:
        """The action (dim,) that keeps the setpoint in `state`, grippers included."""
        ...

    def vector(self, command: Command) -> Array:
        """A command as (command_dim,) float32, see `command_layout`."""
        ...


@runtime_checkable
class RobotEnvironment(Protocol):
    """A task on a robot (or a foreign environment) at a fixed rate.

    step = env.reset(seed)
    while not (step.terminated or step.truncated):
        step = env.step(action)             # action (dim,) in [-1, 1]
    env.rest()
    """

    @property
    def spec(self) -> EnvSpec: ...

    @property
    def max_steps(self) -> int:
        """Steps of the longest episode."""
        ...

    def reset(self, seed: int) -> Step:
        """Everything random comes from `seed`. RobotFault while a fault is latched."""
        ...

    def step(self, action: Array) -> Step:
        """One period. A fault truncates; NaN is refused before anything moves."""
        ...

    def hold(self) -> Array:
        """The action (dim,) that keeps the present setpoint; zeros where there is no robot."""
        ...

    def encode(self, goal: Command) -> Array:
        """The action (dim,) that moves towards a goal; ConfigError where there is no robot."""
        ...

    def rest(self) -> None:
        """Brakes the robot and drops its goal, until the next reset."""
        ...

    def trip(self, reason: str) -> None:
        """Any thread: stops the robot at its next tick and latches a fault."""
        ...

    def rearm(self) -> None:
        """Clears a latched fault, by a person's decision only."""
        ...

    def render(self) -> Array | None:
        """(height, width, 3) uint8, or None where nothing is drawn."""
        ...

    def close(self) -> None:
        """Frees the robot; may be called twice."""
        ...


class Operator(Protocol):
    """A person's device, or a program in a person's place. One thread reads the device itself;
    `read` and `stopped` only look.

    sample = operator.read(context)         # None: nothing to say, hands off
    if operator.stopped(): environment.trip(...)
    """

    def read(self, context: Context) -> OperatorSample | None: ...

    def stopped(self) -> bool:
        """Whether the stop button is, or was since the last `read`, pressed."""
        ...

    def close(self) -> None: ...


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

    def expert(self, world: World, state: RobotState) -> CartesianCommand:
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
    ) -> Plan: ...


class Schedule(Protocol):
    """Which update block comes next, as a function of log and seed only; availability decides only
    whether it waits.

    while (block := schedule.next(done)) is not None:
        wait until the log holds block.lower steps
        update on positions below block.upper
    """

    @property
    def acts(self) -> bool:
        """False: it waits for no steps, so the learner needs no actors, no link and no log."""
        ...

    def next(self, done: int) -> Block | None:
        """The block after `done` blocks; None at the end."""
        ...


class Agent(Protocol):
    """A learning algorithm; knows no environment and no socket.

    agent.load_state(checkpoint)            # or fresh, or load_part(name, arrays) of some parts
    agent.prepare(observations)             # a fresh one, before its first block
    for batch in batches:                   # what agent.sampling asks for, rows interleaved
        metrics = agent.update(batch)       # utd critic updates, one actor update
        publish(agent.policy_weights())
    """

    @property
    def sampling(self) -> Sampling:
        """What replay shall give it."""
        ...

    def prepare(self, obs: Observation) -> None:
        """The observations at hand before learning begins, without images (n, ...): what inputs
        are scaled by. An agent that has this already keeps it."""
        ...

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

    def parts(self) -> dict[str, dict[str, Array]]:
        """Copies of its arrays by part (actor, critic, …), in the order in which to load them."""
        ...

    def load_part(self, name: str, arrays: Mapping[str, Array]) -> None:
        """One part, for a warm start; CheckpointError naming the array that does not fit."""
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
