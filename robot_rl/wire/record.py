"""The fixed binary layout of one record, derived from the EnvSpec; ring, spool, wire, log share it.

A stream of records is a START (the first observation of an episode) followed by STEPs, each with
the transition's fields and its *next* observation; so every observation is stored once, and a
transition is complete as soon as its record is. Little-endian, packed, no pickle.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np

from robot_rl.errors import SpecError
from robot_rl.specs import ArraySpec, EnvSpec
from robot_rl.types import Array, LimitStage, Observation, Purpose, Source, Transition

NOTHING: Mapping[str, Any] = MappingProxyType({})


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
    ("purpose", "u1"),
    ("spare", "u1"),
    ("sequence", "<u8"),
    ("policy_version", "<u8"),
    ("boot_id", "<u8"),
    ("stamp_ns", "<i8"),
    ("action_stamp_ns", "<i8"),
    ("noise_seed", "<u8"),
    ("episode", "<u4"),
    ("step", "<u4"),
    ("intervention_id", "<u4"),
    ("plan", "<u4"),
    ("plan_step", "<u4"),
    ("reward", "<f4"),
    ("value", "<f4"),
    ("spare_2", "<u4"),
]
"""Fields before the arrays; `record_dtype` adds stamps, actions, observations and extras."""
HEAD_DTYPE = np.dtype(HEAD)
COPIED = tuple(name for name, _ in HEAD if name not in ("kind", "spare", "spare_2"))
"""Fields of the head that a Transition has under the same name."""
ACTIONS = ("action", "proposed", "human", "commanded")


def record_dtype(spec: EnvSpec) -> np.dtype:
    """The structured dtype of a record: observation `x` is the field "obs.x", the capture stamp of
    camera `x` "stamp.x", an extra array `x` "extra.x"."""
    stamps = [(f"stamp.{name}", "<i8") for name in spec.image_keys]
    observations = [_field("obs", array) for array in spec.observation]
    extras = [_field("extra", array) for array in spec.extras]
    return np.dtype([*HEAD, *stamps, *action_fields(spec), *observations, *extras])


def action_fields(spec: EnvSpec) -> list[tuple[str, str, tuple[int, ...]]]:
    """Fields of the three actions and the command."""
    dim = spec.action_dim
    widths = (dim, dim, dim, spec.command_dim)
    return [(name, "<f4", (width,)) for name, width in zip(ACTIONS, widths, strict=True)]


def _field(prefix: str, array: ArraySpec) -> tuple[str, np.dtype, tuple[int, ...]]:
    return f"{prefix}.{array.name}", np.dtype(array.dtype).newbyteorder("<"), array.shape


def new_record(dtype: np.dtype) -> Array:
    """One zeroed record as a (1,) array; fill it with `write_start` or `write_step`."""
    return np.zeros(1, dtype)


def write_start(
    record: Array,
    obs: Observation,
    *,
    episode: int,
    stamp_ns: int,
    boot_id: int,
    sequence: int,
    stamps: Mapping[str, int] = NOTHING,
    purpose: Purpose = Purpose.TRAINING,
    extras: Mapping[str, Array] = NOTHING,
) -> None:
    """Fills `record[0]` with the first observation of an episode.

    stamps: capture time of each camera's image, by default `stamp_ns`. Extras that are not given
    are 0.
    """
    record[:] = np.zeros((), record.dtype)
    row = record[0]
    row["kind"], row["episode"], row["sequence"] = Kind.START, episode, sequence
    row["stamp_ns"], row["boot_id"], row["success"] = stamp_ns, boot_id, -1
    row["purpose"] = purpose
    row["human"] = row["value"] = np.nan
    _write_arrays(row, obs, stamps, stamp_ns, extras)


def write_step(record: Array, transition: Transition) -> None:
    """Fills `record[0]` with a transition and its next observation."""
    row = record[0]
    row["kind"] = Kind.STEP
    row["spare"] = row["spare_2"] = 0
    for name in (*COPIED, *ACTIONS):
        row[name] = getattr(transition, name)
    _write_arrays(
        row, transition.next_obs, transition.stamps, transition.stamp_ns, transition.extras
    )


def _write_arrays(
    row: Array,
    obs: Observation,
    stamps: Mapping[str, int],
    stamp_ns: int,
    extras: Mapping[str, Array],
) -> None:
    for name in _names(row.dtype, "stamp."):
        row[f"stamp.{name}"] = stamps.get(name, stamp_ns)
    for name, array in obs.items():
        row[f"obs.{name}"] = array
    for name in _names(row.dtype, "extra."):
        row[f"extra.{name}"] = extras.get(name, 0)


@lru_cache(maxsize=32)
def _names(dtype: np.dtype, prefix: str) -> tuple[str, ...]:
    """What comes behind `prefix` in the names of the fields that begin with it."""
    return tuple(n.removeprefix(prefix) for n in dtype.names or () if n.startswith(prefix))


def observation(record: Array, prefix: str = "obs.") -> dict[str, Array]:
    """The observation arrays of one record (a void scalar or a (1,) array's element)."""
    return {name: np.array(record[prefix + name]) for name in _names(record.dtype, prefix)}


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
        stamps={name: int(record[f"stamp.{name}"]) for name in _names(record.dtype, "stamp.")},
        purpose=Purpose(int(record["purpose"])),
        plan=int(record["plan"]),
        plan_step=int(record["plan_step"]),
        noise_seed=int(record["noise_seed"]),
        value=float(record["value"]),
        extras=observation(record, "extra."),
    )


def training_steps(records: Array) -> Array:
    """(n,) bool: STEPs that count as environment steps; those of evaluation episodes do not."""
    steps: Array = (records["kind"] == Kind.STEP) & (records["purpose"] == Purpose.TRAINING)
    return steps


@lru_cache(maxsize=8)
def _float_fields(dtype: np.dtype) -> tuple[str, ...]:
    """Fields that must be finite: all of floats but `human` and `value`."""
    names = [name for name in dtype.names or () if name not in ("human", "value")]
    return tuple(name for name in names if dtype[name].base.kind == "f")


def poisoned(records: Array) -> str:
    """Why these records must not be learned from ("" when they may): NaN or infinity, bad enums.

    `human` may be NaN (hands off), `value` too (the policy makes none). Vectorised over (n,)
    records.
    """
    for name in _float_fields(records.dtype):
        finite = np.isfinite(records[name])
        if not finite.all():
            row = int(np.argwhere(~finite)[0][0])
            return f"{name} of sequence {int(records['sequence'][row])} is not finite"
    if (records["kind"] > Kind.STEP).any() or (records["source"] > max(Source)).any():
        return "unknown kind or source"
    if (records["purpose"] > max(Purpose)).any():
        return "unknown purpose"
    if np.isinf(records["value"]).any():
        return "value is infinite"
    if (records["limiting_stage"] > max(LimitStage)).any():
        return "unknown limiting stage"
    return ""
