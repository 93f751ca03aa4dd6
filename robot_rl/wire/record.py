"""The fixed binary layout of one record, derived from the EnvSpec; ring, spool, wire, log share it.

A stream of records is a START (the first observation of an episode) followed by STEPs, each with
the transition's fields and its *next* observation; so every observation is stored once, and a
transition is complete as soon as its record is. Little-endian, packed, no pickle.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache

import numpy as np

from robot_rl.errors import SpecError
from robot_rl.specs import EnvSpec
from robot_rl.types import Array, LimitStage, Observation, Source, Transition


class Kind(IntEnum):
    """What a record holds."""

    START = 0
    STEP = 1


HEAD = [
    ("kind", "u1"),
    ("terminated", "u1"),
    ("truncated", "u1"),
    ("source", "u1"),
    ("limiting_stage", "u1"),
    ("success", "i1"),
    ("spare", "u2"),
    ("sequence", "<u8"),
    ("policy_version", "<u8"),
    ("boot_id", "<u8"),
    ("stamp_ns", "<i8"),
    ("action_stamp_ns", "<i8"),
    ("episode", "<u4"),
    ("step", "<u4"),
    ("intervention_id", "<u4"),
    ("reward", "<f4"),
]
"""Fields before the arrays; `record_dtype` adds the actions and observations."""


def record_dtype(spec: EnvSpec) -> np.dtype:
    """The structured dtype of a record; observation `x` is the field "obs.x"."""
    dim = spec.action_dim
    arrays = [
        ("action", "<f4", (dim,)),
        ("proposed", "<f4", (dim,)),
        ("human", "<f4", (dim,)),
        ("commanded", "<f4", (spec.command_dim,)),
    ]
    observations = [
        (f"obs.{array.name}", np.dtype(array.dtype).newbyteorder("<"), array.shape)
        for array in spec.observation
    ]
    return np.dtype([*HEAD, *arrays, *observations])


def new_record(dtype: np.dtype) -> Array:
    """One zeroed record as a (1,) array; fill it with `write_start` or `write_step`."""
    return np.zeros(1, dtype)


def write_start(
    record: Array, obs: Observation, *, episode: int, stamp_ns: int, boot_id: int, sequence: int
) -> None:
    """Fills `record[0]` with the first observation of an episode."""
    record[:] = np.zeros((), record.dtype)
    row = record[0]
    row["kind"], row["episode"], row["sequence"] = Kind.START, episode, sequence
    row["stamp_ns"], row["boot_id"], row["success"] = stamp_ns, boot_id, -1
    row["human"] = np.nan
    for name, array in obs.items():
        row[f"obs.{name}"] = array


def write_step(record: Array, transition: Transition) -> None:
    """Fills `record[0]` with a transition and its next observation."""
    row = record[0]
    row["kind"] = Kind.STEP
    row["spare"] = 0
    for name in (
        "terminated",
        "truncated",
        "source",
        "limiting_stage",
        "success",
        "sequence",
        "policy_version",
        "boot_id",
        "stamp_ns",
        "action_stamp_ns",
        "episode",
        "step",
        "intervention_id",
        "reward",
        "action",
        "proposed",
        "human",
        "commanded",
    ):
        row[name] = getattr(transition, name)
    for name, array in transition.next_obs.items():
        row[f"obs.{name}"] = array


def observation(record: Array) -> dict[str, Array]:
    """The observation arrays of one record (a void scalar or a (1,) array's element)."""
    names = record.dtype.names or ()
    return {name[4:]: np.array(record[name]) for name in names if name.startswith("obs.")}


def to_transition(previous: Array, record: Array, *, actor: str, epoch: int) -> Transition:
    """The Transition of a STEP record and the record before it in the same episode."""
    if record["kind"] != Kind.STEP or previous["episode"] != record["episode"]:
        raise SpecError("a transition needs a STEP record and its predecessor in the same episode")
    return Transition(
        obs=observation(previous),
        action=np.array(record["action"]),
        proposed=np.array(record["proposed"]),
        human=np.array(record["human"]),
        commanded=np.array(record["commanded"]),
        limiting_stage=LimitStage(int(record["limiting_stage"])),
        reward=float(record["reward"]),
        next_obs=observation(record),
        terminated=bool(record["terminated"]),
        truncated=bool(record["truncated"]),
        success=int(record["success"]),
        source=Source(int(record["source"])),
        intervention_id=int(record["intervention_id"]),
        policy_version=int(record["policy_version"]),
        actor=actor,
        epoch=epoch,
        sequence=int(record["sequence"]),
        episode=int(record["episode"]),
        step=int(record["step"]),
        stamp_ns=int(record["stamp_ns"]),
        action_stamp_ns=int(record["action_stamp_ns"]),
        boot_id=int(record["boot_id"]),
    )


@lru_cache(maxsize=8)
def _float_fields(dtype: np.dtype) -> tuple[str, ...]:
    """Fields that must be finite: all of floats but `human`."""
    names = dtype.names or ()
    return tuple(name for name in names if name != "human" and dtype[name].base.kind == "f")


def poisoned(records: Array) -> str:
    """Why these records must not be learned from ("" when they may): NaN or infinity, bad enums.

    `human` may be NaN (hands off). Vectorised over (n,) records.
    """
    for name in _float_fields(records.dtype):
        finite = np.isfinite(records[name])
        if not finite.all():
            row = int(np.argwhere(~finite)[0][0])
            return f"{name} of sequence {int(records['sequence'][row])} is not finite"
    if (records["kind"] > Kind.STEP).any() or (records["source"] > max(Source)).any():
        return "unknown kind or source"
    if (records["limiting_stage"] > max(LimitStage)).any():
        return "unknown limiting stage"
    return ""
