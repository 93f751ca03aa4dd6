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
from dataclasses import dataclass, field
from enum import Flag, IntEnum, auto
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
    REWIND = 4
    """The arm was driven back along its own path."""
    SCRIPT = 5
    """A scripted motion: a reset, or an expert that no person is."""


class Purpose(IntEnum):
    """What an episode is for; its START and STEP records carry it."""

    TRAINING = 0
    EVALUATION = 1
    """Frozen weights, the policy's mode: logged, never drawn by a pool nor counted as a step."""


class Event(Flag):
    """What an operator's buttons say; several may come at once."""

    NONE = 0
    STOP = auto()
    SUCCESS = auto()
    FAILURE = auto()
    REWIND = auto()
    DISCARD = auto()
    REARM = auto()
    PAUSE = auto()
    UNDO = auto()
    """The last kept episode is of no use after all."""


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
    joint_setpoint: Array | None = None
    """Joint positions last emitted (a, j), rad, by a robot that is commanded in joint space."""


@dataclass(frozen=True, slots=True)
class CartesianCommand:
    """A physical request to a robot: where its end effectors shall go. Not an agent's action."""

    pose: Array
    """Goal poses (a, 7) in each arm's base frame."""
    gripper: Array
    """Goal gripper widths (a,), m."""
    stamp_ns: int
    """Time of the observation it answers, ns in the robot's clock."""
    velocity: Array | None = None
    """Feed-forward twists (a, 6) with which the goal moves, base frame axes; None: it rests."""


@dataclass(frozen=True, slots=True)
class JointCommand:
    """The same in joint space."""

    q: Array
    """Goal joint positions (a, j), rad."""
    gripper: Array
    """Goal gripper widths (a,), m."""
    stamp_ns: int
    """Time of the observation it answers, ns in the robot's clock."""
    velocity: Array | None = None
    """Feed-forward joint velocities (a, j), rad/s; None: the goal rests."""


Command: TypeAlias = CartesianCommand | JointCommand


@dataclass(frozen=True, slots=True)
class Frame:
    """One image of one camera."""

    name: str
    image: Array
    """(height, width, 3) uint8 RGB."""
    stamp_ns: int
    """Time of capture, ns in the robot's clock (on hardware the host's monotonic clock)."""
    boot_id: int
    """Names the clock of `stamp_ns`."""
    fault: str = ""
    """Why nobody may act on it: late, frozen or lost; empty for a good frame."""


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
class Plan:
    """What a policy proposes for the next H steps (H = 1 for a one-step policy)."""

    actions: Array
    """(H, dim) float32 in [-1, 1]."""
    valid: Array
    """(H,) bool."""
    start_step: int
    """Step of the episode (from 0) that `actions[0]` is meant for."""
    stamp_ns: int
    """Stamp of the observation it answers, ns in the robot's clock."""
    version: int = 0
    """Version of the weights that made it."""
    value: float = float("nan")
    """The policy's own estimate of the return from there on; NaN where it makes none."""
    seed: int = 0
    """Seed of the noise it was drawn with; 0 where there is none."""


@dataclass(frozen=True, slots=True)
class Step:
    """What an environment says of one moment: after a reset, or at the end of a period.

    After a reset executed and commanded explain no action: the action that keeps the setpoint, and
    the setpoint; reward is 0 and the flags are False.
    """

    obs: Observation
    stamps: Mapping[str, int]
    """Capture time of each array of `obs`, ns in the robot's clock."""
    state: RobotState | None
    """The robot's reading; None for an environment without a robot."""
    executed: Array
    """(dim,) float32: the action that explains the setpoint emitted by the period's end."""
    commanded: Array
    """(command_dim,) float32: the physical command that was asked for."""
    stage: LimitStage
    """First stage of the safety layer that limited it."""
    reward: float
    success: int
    """1 success, 0 none, -1 not judged."""
    terminated: bool
    truncated: bool
    fault: str
    """Why the robot holds; empty while it follows commands."""
    stamp_ns: int
    """End of the period, ns in the robot's clock."""
    action_stamp_ns: int
    """Stamp of the observation that the action answered."""
    boot_id: int
    """Names the clock of all stamps."""
    late_ns: int = 0
    """How late the period ended, in the robot's clock."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Extra figures of the task."""


@dataclass(frozen=True, slots=True)
class Context:
    """What an operator may know when it is read: a leader arm follows, an expert judges."""

    step: Step | None
    """The newest moment; None before the first reset has ended."""
    proposal: Array | None
    """(dim,) what the policy would do now; None where nothing proposes."""
    hold: Array
    """(dim,) the action that keeps the present setpoint, gripper included; NaN without a step."""
    value: float = float("nan")
    """The policy's estimate that came with the proposal, see `Plan`; NaN where it makes none."""


@dataclass(frozen=True, slots=True)
class OperatorSample:
    """The newest reading of an operator's device."""

    motion: Array | Command | None
    """An action (dim,) float32 in [-1, 1], a goal that the environment encodes, or None: hands
    off. NaN in an action's dimension: that dimension keeps the present setpoint."""
    stamp_ns: int
    """When the device reported it, monotonic ns of the process that reads."""
    events: Event = Event.NONE
    """Since the last reading."""


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
    stamps: Mapping[str, int] = field(default_factory=dict)
    """Capture time of each camera's image in `next_obs`, ns in the robot's clock."""
    purpose: Purpose = Purpose.TRAINING
    plan: int = 0
    """Number of the plan the proposal came from, from 1 within a life of the actor; 0: none."""
    plan_step: int = 0
    """Step of the episode (from 0) at which that plan starts."""
    noise_seed: int = 0
    value: float = float("nan")
    """The policy's estimate, see `Plan`."""
    extras: Mapping[str, Array] = field(default_factory=dict)
    """Arrays that the spec declares as extras, of this moment; 0 where one is missing."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Stacked transitions for one update block; N = updates x batch size, rows interleaved."""

    obs: dict[str, Array]
    """Per key (N, ...); with a history window (N, To, ...)."""
    action: Array
    """(N, dim) float32; with a horizon (N, H, dim), the last repeated behind an episode's end."""
    reward: Array
    """(N,) float32, discounted sum over the n steps (the horizon)."""
    next_obs: dict[str, Array]
    """Per key (N, ...): the observation n steps on (fewer where the episode ended)."""
    mask: Array
    """(N,) float32: 0 where the episode terminated within the n steps, else 1."""
    discount: Array
    """(N,) float32: gamma to the power of the steps really summed."""
    demo: Array | None = None
    """(N,) float32: 1 for rows drawn from demonstrations and interventions; None: none are."""
    valid: Array | None = None
    """(N, H) bool with a horizon: False behind a cut by time limit, lost record or log position;
    True behind a terminal state, where nothing that is done changes the return."""
    return_to_go: Array | None = None
    """(N,) float32 where asked for: discounted rewards from the row to its episode's end."""
    weight: Array | None = None
    """(N,) float32: weight of the row in the loss, where a pool's is not 1."""


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
