"""Foreign observation spaces as this project's arrays: one "state" vector, and images H x W x C.

The layout of an image is read off its space once and converted at each step: channels first,
gray, stacks of frames along a first axis, floats in 0 … 1. What cannot be told is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from gymnasium import spaces

from robot_rl.errors import ConfigError, PoisonedDataError, SpecError
from robot_rl.specs import ArraySpec
from robot_rl.types import Array

FLATTENED = (spaces.Box, spaces.Discrete, spaces.MultiBinary, spaces.MultiDiscrete)
MAX_CHANNELS = 16
"""An image has no more channels, a stack of frames included."""
LEAST_SIDE = 32
"""A plane of bytes or unit floats with shorter sides is no gray image but a table of numbers."""
MAX_NUMBERS = 4096
"""A longer state vector is raw pixels, or nothing that an MLP learns from."""
VALID_IMAGES = "valid: height x width x channels, channels first, gray, or frames stacked in front"


@dataclass(frozen=True, slots=True)
class Part:
    """One leaf of an observation space, and what becomes of it."""

    name: str
    """Of its array; of a vector's part, in `EnvSpec.state_layout`."""
    path: tuple[Any, ...]
    """Keys and indices that lead to it."""
    space: spaces.Space[Any]
    shape: tuple[int, ...] | None = None
    """(height, width, channels) of an image; None for what is flattened into the state."""
    axes: tuple[int, ...] = ()
    """Transposes the space's axes to height, width, and those that are joined as channels."""
    scale: float = 1.0
    """Brings an image's values to 0 … 255."""

    @property
    def width(self) -> int:
        """Numbers in the state vector."""
        return int(spaces.flatdim(self.space))

    def look_up(self, observation: Any) -> Any:
        """This part's value; SpecError where the observation has none."""
        value = observation
        for depth, key in enumerate(self.path):
            try:
                value = value[key]
            except (KeyError, IndexError, TypeError) as error:
                where = path_name(self.path[: depth + 1])
                raise SpecError(
                    f"the observation has no '{where}', which its space names; got "
                    f"{_described(value)}"
                ) from error
        return value

    def image(self, value: Any) -> Array:
        """(height, width, channels) uint8, a copy. Raises SpecError on another shape or range."""
        array = np.asarray(value)
        if array.shape != self.space.shape:
            raise SpecError(
                f"'{self.name}': got {array.dtype}{list(array.shape)}, its space says "
                f"{self.space.dtype}{list(self.space.shape or ())}"
            )
        if self.scale != 1.0:
            array = _to_bytes(array, self.scale, self.name)
        elif array.dtype != np.uint8:
            array = self._narrowed(array)
        assert self.shape is not None
        return np.array(array.transpose(self.axes).reshape(self.shape), np.uint8)

    def vector(self, value: Any) -> Array:
        """(width,) float32. Raises SpecError where the value does not fit its space."""
        if isinstance(self.space, spaces.Box):
            try:
                array = np.asarray(value, np.float32)
            except (TypeError, ValueError) as error:
                raise SpecError(
                    f"'{self.name}': {_described(value)} is no array of numbers"
                ) from error
            if array.shape != self.space.shape:
                raise SpecError(
                    f"'{self.name}': got shape {array.shape}, its space says {self.space.shape}"
                )
            return array.ravel()
        try:
            flat = np.asarray(spaces.flatten(self.space, value), np.float32)
        except (IndexError, TypeError, ValueError) as error:
            raise SpecError(f"'{self.name}': {value!r} is not in {self.space}") from error
        if flat.shape != (self.width,):
            raise SpecError(f"'{self.name}': {value!r} is not in {self.space}")
        return flat

    def _narrowed(self, array: Array) -> Array:
        low, high = (array.min(), array.max()) if array.size else (0, 0)
        if array.dtype.kind not in "iu" or low < 0 or high > 255:
            raise SpecError(
                f"'{self.name}': got {array.dtype} in {low:.4g} … {high:.4g}, its space says uint8 "
                "in 0 … 255; valid: uint8 values, or a space of floats in 0 … 1"
            )
        return array.astype(np.uint8)


def parts_of(space: spaces.Space[Any], what: str) -> list[Part]:
    """Leaves of nested Dict and Tuple spaces, in order; ConfigError on what cannot be learned."""
    parts = [_part(path, leaf, what) for path, leaf in _leaves(space, (), what)]
    if any(part.shape is None for part in parts):  # the vector's name is taken
        parts = [
            replace(part, name="state.image") if part.shape and part.name == "state" else part
            for part in parts
        ]
    wide = [(part.width, part) for part in parts if part.shape is None]
    total = sum(width for width, _ in wide)
    if total > MAX_NUMBERS:
        _, worst = max(wide, key=lambda item: item[0])
        raise ConfigError(
            f"{what}: {total:,} numbers in one state vector, most of them '{worst.name}' "
            f"({worst.space}); at most {MAX_NUMBERS:,}. Valid: images as uint8 or floats in 0 … 1 "
            "of height x width x channels, or a wrapper that makes features of them (env.wrappers)"
        )
    return parts


def arrays_of(parts: list[Part]) -> list[ArraySpec]:
    """The specification's arrays: the state where there is one, then each image."""
    width = sum(part.width for part in parts if part.shape is None)
    state = [ArraySpec("state", (width,))] if width else []
    return state + [ArraySpec(p.name, p.shape, "uint8", 0, 255) for p in parts if p.shape]


def observe(parts: list[Part], raw: Any, what: str) -> dict[str, Array]:
    """Arrays by name as `arrays_of` describes them; PoisonedDataError on NaN or infinity."""
    obs: dict[str, Array] = {}
    vectors: list[Array] = []
    try:
        for part in parts:
            value = part.look_up(raw)
            if part.shape is not None:
                obs[part.name] = part.image(value)
            else:
                vectors.append(part.vector(value))
    except SpecError as error:
        raise SpecError(f"{what}: {error}") from error
    if vectors:
        obs["state"] = np.concatenate(vectors)
        if not np.isfinite(obs["state"]).all():
            named = [p for p in parts if p.shape is None]
            bad = [p.name for p, v in zip(named, vectors, strict=True) if not np.isfinite(v).all()]
            raise PoisonedDataError(
                f"{what}: the observation has NaN or infinity in '{bad[0]}'; valid: finite"
            )
    return obs


def path_name(path: tuple[Any, ...]) -> str:
    """`body.0` of ("body", 0)."""
    return ".".join(map(str, path)) or "observation"


def _leaves(
    space: spaces.Space[Any], path: tuple[Any, ...], what: str
) -> Iterator[tuple[tuple[Any, ...], spaces.Space[Any]]]:
    if isinstance(space, spaces.Dict):
        for key, inner in space.spaces.items():
            yield from _leaves(inner, (*path, key), what)
    elif isinstance(space, spaces.Tuple):
        for index, inner in enumerate(space.spaces):
            yield from _leaves(inner, (*path, index), what)
    elif isinstance(space, FLATTENED):
        yield path, space
    else:
        raise ConfigError(
            f"{what}: observation '{path_name(path)}' is a {type(space).__name__}; valid: "
            "Box, Discrete, MultiBinary, MultiDiscrete, and Dict or Tuple of these"
        )


def _part(path: tuple[Any, ...], space: spaces.Space[Any], what: str) -> Part:
    scale = _pixel_scale(space)
    shape = tuple(space.shape or ())
    if scale is None or len(shape) not in (2, 3, 4):
        return Part(path_name(path), path, space)
    floats = scale != 1.0
    sides = sorted(shape, reverse=True)[:2]
    if (len(shape) == 2 or floats) and sides[1] < LEAST_SIDE:
        return Part(path_name(path), path, space)
    axes = _axes(shape)
    if axes is None and floats:
        return Part(path_name(path), path, space)
    if axes is None:
        raise ConfigError(
            f"{what}: '{path_name(path)}' is {space.dtype}{list(shape)}, an image of unknown "
            f"layout; {VALID_IMAGES} (at most {MAX_CHANNELS} channels)"
        )
    height, width = shape[axes[0]], shape[axes[1]]
    channels = int(np.prod([shape[axis] for axis in axes[2:]], dtype=np.int64))
    return Part(path_name(path), path, space, (height, width, channels), axes, scale)


def _axes(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Height, width, then what becomes channels; None where that cannot be told."""
    if len(shape) == 2:
        return (0, 1)
    if len(shape) == 3:
        last = shape[2] <= shape[0]
        axes = (0, 1, 2) if last else (1, 2, 0)
        return axes if shape[axes[2]] <= MAX_CHANNELS else None
    inner = _axes(shape[1:])
    if inner is None or shape[0] * shape[inner[2] + 1] > MAX_CHANNELS:
        return None
    return (inner[0] + 1, inner[1] + 1, 0, inner[2] + 1)


def _pixel_scale(space: spaces.Space[Any]) -> float | None:
    """What brings the space's values to 0 … 255: 1 for bytes, 255 for floats in 0 … 1."""
    if not isinstance(space, spaces.Box):
        return None
    if space.dtype == np.uint8:
        return 1.0
    unit = space.dtype is not None and space.dtype.kind == "f" and bool(space.shape)
    return 255.0 if unit and (space.low == 0).all() and (space.high == 1).all() else None


def _to_bytes(array: Array, scale: float, name: str) -> Array:
    low, high = float(array.min()), float(array.max())
    if not (low >= -1e-6 and high <= 1 + 1e-6):
        raise SpecError(
            f"'{name}': got {array.dtype} in {low:.4g} … {high:.4g}, its space says 0 … 1"
        )
    return np.rint(np.clip(array, 0.0, 1.0) * scale).astype(np.uint8)


def _described(value: Any) -> str:
    if isinstance(value, dict):
        return f"keys {', '.join(map(str, value))}"
    return f"a {type(value).__name__}"
