"""Declared shapes, dtypes, bounds, units and meanings, and their check at the boundary."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, fields
from typing import Any, TypeAlias, TypeVar

import msgspec
import numpy as np

from robot_rl.errors import PoisonedDataError, SpecError
from robot_rl.types import Array, Observation

DTYPES = ("float32", "float64", "uint8", "int32", "int64", "bool")
MAX_JSON = 1 << 19
"""Bytes of a specification that is read."""
MAX_RECORD = 64 << 20
"""Bytes of one record, counted generously: 8 a number."""
MAX_ARRAYS, MAX_AXES = 256, 8
PLANT = ("gains", "plant")
"""Fields of an EnvSpec that may differ."""
OLD_PLANT = ("limit_", "leash", "gripper_range")
"""How the names of a plant's facts began in format 1."""
Value = TypeVar("Value")
Pairs: TypeAlias = tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """One array: name, shape, dtype, closed bounds and unit ("" where mixed or none)."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    low: float = -np.inf
    high: float = np.inf
    unit: str = ""

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise SpecError(f"{self.name}: dtype '{self.dtype}' is not one of {', '.join(DTYPES)}")
        if any(n <= 0 for n in self.shape):
            raise SpecError(f"{self.name}: shape {self.shape} has an empty axis")
        if not self.low <= self.high:
            raise SpecError(f"{self.name}: bounds {self.low} … {self.high}; valid: low <= high")

    @property
    def is_image(self) -> bool:
        """True for (height, width, channels) uint8."""
        return self.dtype == "uint8" and len(self.shape) == 3

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class EnvSpec:
    """What two processes or two datasets say of themselves before they share transitions.

    Every field is *interface*, equal or refused (`differences`, `sha256`), except `gains` and
    `plant`: those are stored and listed (`plant_differences`), and may differ, so that a simulated
    and a real robot, or the arms of a mixed fleet, can feed one learner.
    """

    name: str
    """Task, or a Gymnasium id."""
    observation: tuple[ArraySpec, ...]
    action: ArraySpec
    """(dim,) float32 in [-1, 1]."""
    command_layout: Pairs[int]
    """Names and widths of the parts of the physical command vector stored with each transition,
    in order; a part without a name (logs of format 1) agrees with any layout of its width."""
    rate_hz: float
    """Policy rate; 0 for an environment without a clock."""
    action_frame: str = ""
    """Frame of the twist: "ee" or "base"; "" where actions are no twists."""
    action_scale: tuple[float, ...] = ()
    """Physical value of an action of 1, per dimension (m, rad or m of width)."""
    gripper_mode: str = ""
    gains: Pairs[float] = ()
    """Plant: named controller gains, SI units."""
    state_layout: Pairs[int] = ()
    """Names and widths of the parts of the "state" vector, in order."""
    facts: Pairs[str] = ()
    """Further facts that must agree: what is judged, how the state is scaled."""
    plant: Pairs[str] = ()
    """Facts of this robot and its cameras: limits, extrinsics, serial numbers."""
    extras: tuple[ArraySpec, ...] = ()
    """Further arrays stored with each record; no observation, no policy sees them."""

    def __post_init__(self) -> None:
        names = [array.name for array in self.observation]
        if len(set(names)) != len(names) or not names:
            raise SpecError(f"{self.name}: observation names must be unique and not empty: {names}")
        names = [array.name for array in self.extras]
        if len(set(names)) != len(names):
            raise SpecError(f"{self.name}: names of extras must be unique: {names}")

    @property
    def action_dim(self) -> int:
        return self.action.shape[0]

    @property
    def command_dim(self) -> int:
        """Length of the physical command vector."""
        return sum(width for _, width in self.command_layout)

    @property
    def image_keys(self) -> tuple[str, ...]:
        return tuple(array.name for array in self.observation if array.is_image)

    @property
    def vector_keys(self) -> tuple[str, ...]:
        return tuple(array.name for array in self.observation if not array.is_image)

    def to_json(self) -> bytes:
        """Canonical JSON: equal specs give equal bytes."""
        return msgspec.json.encode(_jsonable(self), order="sorted")

    @classmethod
    def from_json(cls, data: bytes) -> EnvSpec:
        """Reads `to_json`, that of format 1 too; raises SpecError on anything else and what
        `check_storable` refuses."""
        if len(data) > MAX_JSON:
            raise SpecError(f"a specification of {len(data)} bytes; at most {MAX_JSON}")
        try:
            raw = msgspec.json.decode(data)
            for name in ("observation", "extras"):
                raw[name] = [_with_bounds(array) for array in raw.get(name, ())]
            raw["action"] = _with_bounds(raw["action"])
            spec = msgspec.convert(_of_format_1(raw) if "command_dim" in raw else raw, cls)
        except (
            msgspec.MsgspecError, AttributeError, KeyError, TypeError, ValueError, RecursionError
        ) as error:  # fmt: skip
            raise SpecError(f"not an environment specification: {error}") from error
        check_storable(spec)
        return spec

    def sha256(self) -> str:
        """Hex digest of the interface's canonical JSON: handshake and checkpoints compare it."""
        raw = {name: value for name, value in _jsonable(self).items() if name not in PLANT}
        return hashlib.sha256(msgspec.json.encode(raw, order="sorted")).hexdigest()

    def differences(self, other: EnvSpec) -> list[str]:
        """Readable lines `field: mine != theirs` of the interface, empty when it agrees."""
        names = [item.name for item in fields(self) if item.name not in PLANT]
        if self._unnamed_layout(other):
            names.remove("command_layout")
        return self._unequal(other, names)

    def plant_differences(self, other: EnvSpec) -> list[str]:
        """The same of the plant: to be listed, not refused."""
        return self._unequal(other, list(PLANT))

    def _unnamed_layout(self, other: EnvSpec) -> bool:
        """Whether one of two commands of equal length says nothing of its parts."""
        unnamed = any(spec.command_layout == (("", spec.command_dim),) for spec in (self, other))
        return unnamed and self.command_dim == other.command_dim

    def _unequal(self, other: EnvSpec, names: list[str]) -> list[str]:
        lines = []
        for name in names:
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine == theirs:
                continue
            named = name in ("gains", "facts", "plant") and _unequal_pairs(name, mine, theirs)
            lines += named or [f"{name}: {mine} != {theirs}"]
        return lines


def _unequal_pairs(what: str, mine: Pairs[object], theirs: Pairs[object]) -> list[str]:
    """Which of two lists' pairs differ; may be none: a name that comes twice, another order."""
    ours, others = dict(mine), dict(theirs)
    return [
        f"{what} {name}: {ours.get(name, 'none')} != {others.get(name, 'none')}"
        for name in sorted({*ours, *others})
        if ours.get(name) != others.get(name)
    ]


def check_storable(spec: EnvSpec) -> None:
    """Raises SpecError on a spec whose records cannot be, before anything is allocated for them."""
    widths = [width for _, width in spec.command_layout]
    if len(spec.action.shape) != 1 or not all(0 <= width <= MAX_RECORD for width in widths):
        raise SpecError(
            f"action shape {list(spec.action.shape)}, command_layout {spec.command_layout}; "
            "valid: one axis, and widths of 0 or more"
        )
    arrays = [*spec.observation, *spec.extras]
    axes = max(len(array.shape) for array in arrays)
    if len(arrays) > MAX_ARRAYS or axes > MAX_AXES:
        raise SpecError(
            f"{len(arrays)} arrays of up to {axes} axes; at most {MAX_ARRAYS} of {MAX_AXES}"
        )
    arrays += [spec.action, spec.action, spec.action]
    size = 8 * (spec.command_dim + sum(math.prod(array.shape) for array in arrays))
    if size > MAX_RECORD:
        raise SpecError(f"records of about {size} bytes; at most {MAX_RECORD}")


def _jsonable(spec: EnvSpec) -> dict[str, object]:
    raw: dict[str, object] = msgspec.to_builtins(spec)
    raw |= {
        "observation": [_bounds_as_text(array) for array in spec.observation],
        "action": _bounds_as_text(spec.action),
        "extras": [_bounds_as_text(array) for array in spec.extras],
    }
    if not spec.extras:
        del raw["extras"]
    return raw


def _of_format_1(raw: dict[str, Any]) -> dict[str, Any]:
    """The fields of a spec from before `command_layout`, in which one list held all facts."""
    facts = list(raw.pop("extra", ()))
    of_plant = [pair for pair in facts if str(pair[0]).startswith(OLD_PLANT)]
    return raw | {
        "command_layout": [["", raw.pop("command_dim")]],
        "facts": [pair for pair in facts if pair not in of_plant],
        "plant": of_plant,
    }


def _bounds_as_text(array: ArraySpec) -> dict[str, object]:
    raw: dict[str, object] = msgspec.to_builtins(array)
    return raw | {"low": repr(float(array.low)), "high": repr(float(array.high))}


def _with_bounds(raw: dict[str, object]) -> dict[str, object]:
    return raw | {"low": float(str(raw["low"])), "high": float(str(raw["high"]))}


def validate(array: Array, spec: ArraySpec, where: str = "") -> None:
    """Raises SpecError on a wrong shape, dtype or bound, PoisonedDataError on NaN or infinity.

    `where` says who sent the array; bounds have a tolerance of 1e-5.
    """
    label = f"{where}{': ' if where else ''}{spec.name}"
    if array.shape != spec.shape or array.dtype != np.dtype(spec.dtype):
        raise SpecError(
            f"{label}: got {array.dtype}{list(array.shape)}, valid: {spec.dtype}{list(spec.shape)}"
        )
    if array.dtype.kind != "f":
        return
    if not np.isfinite(array).all():
        index = np.argwhere(~np.isfinite(array))[0].tolist()
        raise PoisonedDataError(f"{label}: {array[tuple(index)]} at index {index}; valid: finite")
    if (array < spec.low - 1e-5).any() or (array > spec.high + 1e-5).any():
        raise SpecError(
            f"{label}: {array.min():.4g} … {array.max():.4g}, "
            f"valid: {spec.low:.4g} … {spec.high:.4g}"
        )


def validate_observation(obs: Observation, spec: EnvSpec, where: str = "") -> None:
    """Checks every array of an observation against the spec (see `validate`)."""
    names = {array.name for array in spec.observation}
    if set(obs) != names:
        raise SpecError(f"{where}: observation has {sorted(obs)}, valid: {sorted(names)}")
    for array in spec.observation:
        validate(obs[array.name], array, where)
