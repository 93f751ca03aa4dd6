"""What flows between the stages: frozen, slotted dataclasses in SI units.

Conventions, used everywhere:
  pose   (..., 7): position in metres, then a unit quaternion (w, x, y, z) with w >= 0.
  twist  (..., 6): linear velocity in m/s, then angular velocity in rad/s.
  wrench (..., 6): force in N, then torque in Nm.
  stamps are integer nanoseconds of a monotonic clock; a `boot_id` names the clock they belong to.
  agent actions are float32 in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Observation: TypeAlias = Mapping[str, Array]
"""Named arrays: "state" (n,) float32, and one (height, width, 3) uint8 RGB image per camera."""


class Source(IntEnum):
    """Who chose the action of a transition."""

    POLICY = 0
    HUMAN = 1
    DEMO = 2
    RANDOM = 3


class LimitStage(IntEnum):
    """The first stage of the safety layer that changed a command; NONE when it passed untouched."""

    NONE = 0
    FINITE = 1
    STALE = 2
    WORKSPACE = 3
    VELOCITY = 4
    ACCELERATION = 5
    JERK = 6
    FORCE = 7
    JOINT = 8
    WATCHDOG = 9
    FAULT = 10


@dataclass(frozen=True, slots=True)
class RobotState:
    """One reading of a robot with `a` arms of `j` joints."""

    stamp_ns: int
    """Time of the reading, ns in the robot's clock."""
    boot_id: int
    """Names the clock of `stamp_ns`; another value means another time base."""
    q: Array
    """Joint positions (a, j), rad."""
    dq: Array
    """Joint velocities (a, j), rad/s."""
    tau: Array
    """Joint torques (a, j), Nm."""
    pose: Array
    """Measured end-effector poses (a, 7) in each arm's base frame."""
    twist: Array
    """Measured end-effector twists (a, 6), base frame axes."""
    wrench: Array
    """External wrench estimate at the end effector (a, 6), base frame axes."""
    gripper_width: Array
    """Opening of each gripper (a,), m."""
    setpoint: Array
    """Target poses last emitted to the controller (a, 7), base frame: what was really commanded."""
    gripper_setpoint: Array
    """Gripper widths last emitted (a,), m."""
    limiting_stage: LimitStage = LimitStage.NONE
    """The stage that limited the emitted setpoint since the last `command`."""
    fault: str = ""
    """Why the robot holds; empty while it follows commands."""


@dataclass(frozen=True, slots=True)
class Command:
    """A physical request to a robot: where its end effectors shall go. Not an agent's action."""

    pose: Array
    """Goal poses (a, 7) in each arm's base frame."""
    gripper: Array
    """Goal gripper widths (a,), m."""
    stamp_ns: int
    """Time of the observation it answers, ns in the robot's clock."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One image of one camera."""

    name: str
    image: Array
    """(height, width, 3) uint8 RGB."""
    stamp_ns: int
    boot_id: int


@dataclass(frozen=True, slots=True)
class TeleopSample:
    """One reading of a teleoperation device with hands on; `None` in its place means hands off."""

    action: Array
    """(dim,) float32 in [-1, 1], the agent's action space."""
    stamp_ns: int
    """Monotonic time of the process that reads the device."""
    success: bool | None = None
    """The person's verdict, if a button gave one."""
    stop: bool = False
    """Emergency stop pressed."""


@dataclass(frozen=True, slots=True)
class Action:
    """What goes to the environment after arbitration."""

    vector: Array
    """(dim,) float32 in [-1, 1]."""
    source: Source
    proposed: Array
    """What the policy proposed (dim,)."""
    human: Array | None
    """What the human asked for (dim,), or None with hands off."""
    intervention_id: int
    """Counts takeovers from 1 within a run; 0 while no human acts."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A policy's proposal: H actions from `start_step` on (H = 1 for a one-step policy)."""

    actions: Array
    """(H, dim) float32 in [-1, 1]."""
    valid: Array
    """(H,) bool."""
    start_step: int
    observation_stamp_ns: int
    version: int = 0
    """Version of the weights that made it."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One environment step. The bootstrap mask is `not terminated`; a time limit is `truncated`."""

    obs: Observation
    action: Array
    """Executed action (dim,): inverse projection of the setpoint emitted by the period's end."""
    proposed: Array
    """(dim,) the policy's proposal."""
    human: Array
    """(dim,) the human's action, NaN with hands off."""
    commanded: Array
    """(command_dim,) the physical command that was asked for: per arm pose (7) and width (1)."""
    limiting_stage: LimitStage
    reward: float
    next_obs: Observation
    terminated: bool
    truncated: bool
    success: int
    """1 success, 0 none, -1 not judged."""
    source: Source
    intervention_id: int
    policy_version: int
    actor: str
    epoch: int
    """Random number of one life of the actor."""
    sequence: int
    """Counts the records of (actor, epoch) from 0, episode starts included."""
    episode: int
    step: int
    """Steps since the episode's start; the first transition has 1."""
    stamp_ns: int
    """Stamp of `next_obs` in the robot's clock."""
    action_stamp_ns: int
    """Stamp of the observation the action answered, in the robot's clock."""
    boot_id: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Stacked transitions for one update block; N = updates x batch size, rows interleaved."""

    obs: dict[str, Array]
    """Per key (N, ...); with a history window (N, To, ...)."""
    action: Array
    """(N, dim) float32."""
    reward: Array
    """(N,) float32, discounted sum over the n steps."""
    next_obs: dict[str, Array]
    """Per key (N, ...): the observation n steps on (fewer where the episode ended)."""
    mask: Array
    """(N,) float32: 0 where the episode terminated within the n steps, else 1."""
    discount: Array
    """(N,) float32: gamma to the power of the steps really summed."""
    demo: Array | None = None
    """(N,) float32: 1 for rows drawn from demonstrations and interventions; None: none are."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a task says of a state."""

    reward: float
    success: bool
    terminated: bool
    metrics: Mapping[str, float]
    """Extra figures for the log (e.g. coverage)."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a task asks a World to hold: MJCF bodies, and the names it will ask for."""

    mjcf: str
    """Elements for `<worldbody>` in MJCF (metres, base frame of the arm); may be empty."""
    assets: str = ""
    """Elements for `<asset>`."""
    extras: str = ""
    """Further top-level MJCF elements (e.g. `<equality>`, `<contact>`)."""
    objects: tuple[str, ...] = ()
    """Body names whose poses the task reads or sets."""
    joints: tuple[str, ...] = ()
    """Scalar joints the task reads or sets (a drawer's slide)."""
    held: str = ""
    """Bodies fixed to the first arm's hand, in the frame of its tool centre point (a peg)."""


@dataclass(frozen=True, slots=True)
class EpisodeSummary:
    """One finished episode, as the console and the metrics show it."""

    actor: str
    episode: int
    steps: int
    episode_return: float
    success: int
    interventions: int
    human_steps: int
