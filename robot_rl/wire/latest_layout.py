"""What lies in a latest-value slot (see latest.py): a description, and a block laid out by it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import msgspec
import numpy as np

from robot_rl.errors import DataError
from robot_rl.specs import EnvSpec
from robot_rl.types import Action, Array, LimitStage, Purpose, RobotState, Source, Step

MAX_ARMS, MAX_JOINTS = 16, 64
NOBODY = 255
"""Source of a moment that no action led to: behind a reset."""
FAULT_BYTES = 200
ROBOT = ("q", "dq", "tau", "pose", "twist", "wrench", "gripper_width", "setpoint",
         "gripper_setpoint")  # fmt: skip
ACTIONS = ("action", "proposed", "human", "executed", "commanded")
_NUMBERS = [
    ("written_ns", "<i8"),
    ("stamp_ns", "<i8"),
    ("action_stamp_ns", "<i8"),
    ("late_ns", "<i8"),
    ("boot_id", "<u8"),
    ("version", "<u8"),
    ("episode", "<u4"),
    ("index", "<u4"),
    ("intervention_id", "<u4"),
    ("reward", "<f4"),
    ("value", "<f4"),
    ("source", "u1"),
    ("stage", "u1"),
    ("success", "i1"),
    ("purpose", "u1"),
    ("terminated", "u1"),
    ("truncated", "u1"),
    ("hands_on", "u1"),
    ("has_robot", "u1"),
    ("fault", f"S{FAULT_BYTES}"),
    ("robot.stamp_ns", "<i8"),
    ("robot.boot_id", "<u8"),
]


class Layout(msgspec.Struct, frozen=True, array_like=True):
    """The description: what the block's layout follows from."""

    spec: bytes
    """JSON of the EnvSpec."""
    arms: int
    """Of the robot; 0 without one."""
    joints: int

    def dtype(self) -> np.dtype:
        """Of the block; SpecError or DataError on a description that cannot be."""
        spec = EnvSpec.from_json(self.spec)
        if not (0 <= self.arms <= MAX_ARMS and 0 <= self.joints <= MAX_JOINTS):
            raise DataError(f"{self.arms} arms of {self.joints} joints in a latest-value slot")
        dim, arms, joints = spec.action_dim, self.arms, self.joints
        widths = dict.fromkeys(ACTIONS, dim) | {"commanded": spec.command_dim}
        inner: dict[str, tuple[int, ...]] = dict.fromkeys(("q", "dq", "tau"), (joints,))
        inner |= {"pose": (7,), "setpoint": (7,), "twist": (6,), "wrench": (6,)}
        return np.dtype(
            [
                *_NUMBERS,
                *((f"stamp.{array.name}", "<i8") for array in spec.observation),
                *((name, "<f4", (width,)) for name, width in widths.items()),
                *((f"robot.{name}", "<f8", (arms, *inner.get(name, ()))) for name in ROBOT),
                *((f"obs.{array.name}", array.dtype, array.shape) for array in spec.observation),
            ]
        )


@dataclass(frozen=True, slots=True)
class Latest:
    """One moment of an actor."""

    step: Step
    """Without the task's extra metrics."""
    action: Action | None
    """Who acts, what the policy proposed, what a person asked for; None right after a reset."""
    episode: int
    index: int
    """Steps since the episode's start."""
    version: int
    """Of the weights."""
    value: float
    """The policy's estimate, NaN where it makes none."""
    purpose: Purpose
    written_ns: int
    """CLOCK_MONOTONIC of this host."""

    def age_s(self) -> float:
        """Seconds since it was written: grows where the writer waits, hangs or is dead."""
        return (time.monotonic_ns() - self.written_ns) / 1e9


def moment(block: Array, spec: EnvSpec) -> Latest:
    """The moment in a block (a void scalar of `Layout.dtype`); ValueError on unknown numbers."""
    stage, fault = LimitStage(int(block["stage"])), bytes(block["fault"]).decode(errors="replace")
    names = [array.name for array in spec.observation]
    state = None
    if block["has_robot"]:
        state = RobotState(
            stamp_ns=int(block["robot.stamp_ns"]),
            boot_id=int(block["robot.boot_id"]),
            limiting_stage=stage,
            fault=fault,
            **{name: np.array(block[f"robot.{name}"]) for name in ROBOT},
        )
    step = Step(
        obs={name: np.array(block[f"obs.{name}"]) for name in names},
        stamps={name: int(block[f"stamp.{name}"]) for name in names},
        state=state,
        executed=np.array(block["executed"]),
        commanded=np.array(block["commanded"]),
        stage=stage,
        reward=float(block["reward"]),
        success=int(block["success"]),
        terminated=bool(block["terminated"]),
        truncated=bool(block["truncated"]),
        fault=fault,
        stamp_ns=int(block["stamp_ns"]),
        action_stamp_ns=int(block["action_stamp_ns"]),
        boot_id=int(block["boot_id"]),
        late_ns=int(block["late_ns"]),
    )
    return Latest(
        step=step,
        action=_action(block),
        episode=int(block["episode"]),
        index=int(block["index"]),
        version=int(block["version"]),
        value=float(block["value"]),
        purpose=Purpose(int(block["purpose"])),
        written_ns=int(block["written_ns"]),
    )


def _action(block: Array) -> Action | None:
    if block["source"] == NOBODY:
        return None
    return Action(
        vector=np.array(block["action"]),
        source=Source(int(block["source"])),
        proposed=np.array(block["proposed"]),
        human=np.array(block["human"]) if block["hands_on"] else None,
        intervention_id=int(block["intervention_id"]),
    )
