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

from robot_rl.limits import Limits
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
    Purpose,
    RobotState,
    Scene,
    Step,
    Transition,
)


class Capability(Flag):
    """What a robot can do; the conformance suite tests what is claimed."""

    CARTESIAN_IMPEDANCE = auto()
    """Commanded by CartesianCommand, as is every robot without JOINT; its gains bound the force."""
    JOINT = auto()
    """Commanded by JointCommand; offers `kinematics`. Behind SafeRobot also by CartesianCommand."""
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


class Kinematics(Protocol):
    """Where each arm's tool is for given joints, and back: pure functions, the arm's base frame."""

    @property
    def reach(self) -> float:
        """No tool is further than this from the axis of a joint that moves it, m."""
        ...

    def forward(self, arm: int, q: Sequence[float]) -> Sequence[float]:
        """Pose (7,) of an arm's end effector at joint positions (j,)."""
        ...

    def inverse(self, arm: int, pose: Array, near: Array) -> tuple[Array, float]:
        """Joint positions (j,) near `near` (j,) for a pose (7,), and the error that remains (m or
        rad, the larger): out of reach where it is not small."""
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
    def base_poses(self) -> Array:
        """(n_arms, 7): each arm's base frame in the world's; identity for an arm at its origin."""
        ...

    @property
    def gripper_range(self) -> tuple[Array, Array]:
        """Closed and open width (n_arms,) of each gripper, m."""
        ...

    @property
    def limits(self) -> tuple[Limits, ...]:
        """What each arm's setpoints are held within; empty without a safety layer."""
        ...

    @property
    def kinematics(self) -> Kinematics | None:
        """For a robot with Capability.JOINT, once connected; None for others."""
        ...

    @property
    def gains(self) -> Mapping[str, float]:
        """Named controller gains, SI units; part of the environment's spec."""
        ...

    def connect(self) -> None:
        """Opens the device, re-armed; raises RobotFault if it cannot."""
        ...

    def read(self) -> RobotState:
        """The newest state; never blocks longer than one control period."""
        ...

    def command(self, command: Command) -> None:
        """Sets the goal; returns at once. Raises RobotFault while a fault is latched."""
        ...

    def move_to(self, pose: Array, gripper: Array | None = None) -> None:
        """Blocks until the end effectors rest at `pose` (n_arms, 7); RobotFault if they do not, or
        once `trip` was called: it looks at that flag at least each 20 ms of its clock."""
        ...

    def stop(self) -> None:
        """Holds the present pose and drops every goal."""
        ...

    def trip(self, reason: str) -> None:
        """Latches a fault for a reason from outside. Any thread: sets a flag, without a lock, that
        the next control tick, `command` and `move_to` obey (robot_rl.fault_latch)."""
        ...

    def rearm(self) -> None:
        """Clears a latched fault, by a person's decision only; holds where the arm is. Nothing
        happens where none is latched."""
        ...

    def close(self) -> None:
        """Leaves the robot at rest and frees the device; may be called twice."""
        ...


class Camera(Protocol):
    """`camera.read()` gives the newest frame without waiting for the next. A real device says in
    `Frame.fault` that it is late, frozen or lost; who acts on frames then stops the robot."""

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
        """(7,) in the world frame (see Robot.base_poses); SpecError naming the valid objects."""
        ...

    def set_object_pose(self, name: str, pose: Array) -> None:
        """Places a free or fixed (mocap-less) body; world frame, velocities zeroed."""
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

    @property
    def frame(self) -> str:
        """Frame of the action, "ee" or "base"; "" where it has none."""
        ...

    @property
    def gripper_mode(self) -> str:
        """What the grippers' dimensions mean."""
        ...

    @property
    def facts(self) -> Mapping[str, str]:
        """Further settings that must agree, for the environment's spec."""
        ...

    @property
    def plant(self) -> Mapping[str, str]:
        """Further settings that may differ, for the environment's spec."""
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

    def setpoint(self, state: RobotState) -> Command:
        """The command that the robot follows now: the setpoint in `state`."""
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

    def setpoint(self) -> Command | None:
        """The command that the robot follows now; None where there is no robot."""
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


@runtime_checkable
class Expert(Protocol):
    """An environment whose task has a scripted expert."""

    def expert_action(self) -> Array:
        """(dim,) float32: what the expert would do now."""
        ...


@runtime_checkable
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

    sink.start(obs, episode, stamp_ns, boot_id, stamps=stamps)
    sink.step(transition)
    """

    def start(
        self,
        obs: Observation,
        episode: int,
        stamp_ns: int,
        boot_id: int,
        *,
        stamps: Mapping[str, int] = ...,
        purpose: Purpose = ...,
        extras: Mapping[str, Array] = ...,
    ) -> None:
        """The first observation of an episode; what is not given is as `Transition` says."""
        ...

    def step(self, transition: Transition) -> None: ...

    def close(self) -> None: ...


class WeightSource(Protocol):
    """`if (new := source.newest()): policy.load(*new)`; never blocks."""

    def newest(self) -> tuple[Mapping[str, Array], int] | None: ...
