"""Declared shapes, dtypes, bounds, units and meanings, and their check at the boundary."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field, fields
from typing import TypeAlias

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
Pairs: TypeAlias = tuple[tuple[str, object], ...]


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
    """Everything two processes or two datasets must agree on before they share transitions."""

    name: str
    """Task and robot, or a Gymnasium id."""
    observation: tuple[ArraySpec, ...]
    action: ArraySpec
    """(dim,) float32 in [-1, 1]."""
    command_dim: int
    """Length of the physical command vector stored with each transition."""
    rate_hz: float
    """Policy rate; 0 for an environment without a clock."""
    action_frame: str = ""
    """Frame of the twist: "ee" or "base"; "" where actions are no twists."""
    action_scale: tuple[float, ...] = ()
    """Physical value of an action of 1, per dimension (m, rad or m of width)."""
    gripper_mode: str = ""
    gains: tuple[tuple[str, float], ...] = ()
    """Named controller gains, SI units."""
    state_layout: tuple[tuple[str, int], ...] = ()
    """Names and widths of the parts of the "state" vector, in order."""
    extra: tuple[tuple[str, str], ...] = field(default=())
    """Further facts that must agree (e.g. the limits' variant)."""

    def __post_init__(self) -> None:
        names = [array.name for array in self.observation]
        if len(set(names)) != len(names) or not names:
            raise SpecError(f"{self.name}: observation names must be unique and not empty: {names}")

    @property
    def action_dim(self) -> int:
        return self.action.shape[0]

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
        """Reads `to_json`; raises SpecError on anything else and what `check_storable` refuses."""
        if len(data) > MAX_JSON:
            raise SpecError(f"a specification of {len(data)} bytes; at most {MAX_JSON}")
        try:
            raw = msgspec.json.decode(data)
            raw["observation"] = [_with_bounds(array) for array in raw["observation"]]
            raw["action"] = _with_bounds(raw["action"])
            spec = msgspec.convert(raw, cls)
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise SpecError(f"not an environment specification: {error}") from error
        check_storable(spec)
        return spec

    def sha256(self) -> str:
        """Hex digest of the canonical JSON; the handshake compares it."""
        return hashlib.sha256(self.to_json()).hexdigest()

    def differences(self, other: EnvSpec) -> list[str]:
        """Readable lines `field: mine != theirs`, empty when the specs agree."""
        lines = []
        for item in fields(self):
            mine, theirs = getattr(self, item.name), getattr(other, item.name)
            if mine == theirs:
                continue
            named = item.name in ("gains", "extra") and _unequal(item.name, mine, theirs)
            lines += named or [f"{item.name}: {mine} != {theirs}"]
        return lines


def _unequal(what: str, mine: Pairs, theirs: Pairs) -> list[str]:
    """Which of two lists' pairs differ; may be none: a name that comes twice, another order."""
    ours, others = dict(mine), dict(theirs)
    return [
        f"{what} {name}: {ours.get(name, 'none')} != {others.get(name, 'none')}"
        for name in sorted({*ours, *others})
        if ours.get(name) != others.get(name)
    ]


def check_storable(spec: EnvSpec) -> None:
    """Raises SpecError on a spec whose records cannot be, before anything is allocated for them."""
    if len(spec.action.shape) != 1 or not 0 <= spec.command_dim <= MAX_RECORD:
        raise SpecError(
            f"action shape {list(spec.action.shape)}, command_dim {spec.command_dim}; "
            "valid: one axis, and 0 or more"
        )
    axes = max(len(array.shape) for array in spec.observation)
    if len(spec.observation) > MAX_ARRAYS or axes > MAX_AXES:
        raise SpecError(
            f"{len(spec.observation)} arrays of up to {axes} axes; "
            f"at most {MAX_ARRAYS} of {MAX_AXES}"
        )
    arrays = [spec.action, spec.action, spec.action, *spec.observation]
    size = 8 * (spec.command_dim + sum(math.prod(array.shape) for array in arrays))
    if size > MAX_RECORD:
        raise SpecError(f"records of about {size} bytes; at most {MAX_RECORD}")


def _jsonable(spec: EnvSpec) -> dict[str, object]:
    raw: dict[str, object] = msgspec.to_builtins(spec)
    return raw | {
        "observation": [_bounds_as_text(array) for array in spec.observation],
        "action": _bounds_as_text(spec.action),
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
