"""Layouts of foreign observations: converted once, or refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from robot_rl.envs.gym_spaces import arrays_of, observe, parts_of
from robot_rl.errors import ConfigError, PoisonedDataError, SpecError

RNG = np.random.default_rng(0)


def image(*shape: int) -> spaces.Box:
    return spaces.Box(0, 255, shape, np.uint8)


def unit(*shape: int) -> spaces.Box:
    return spaces.Box(0.0, 1.0, shape, np.float32)


@pytest.mark.parametrize(
    ("space", "shape", "place"),
    [
        (image(40, 48, 3), (40, 48, 3), (5, 7, 2)),
        (image(3, 40, 48), (40, 48, 3), (2, 5, 7)),
        (image(40, 48, 1), (40, 48, 1), (5, 7, 0)),
        (image(40, 48), (40, 48, 1), (5, 7)),
        (image(84, 84, 4), (84, 84, 4), (5, 7, 2)),
        (image(4, 84, 84), (84, 84, 4), (2, 5, 7)),
        (image(2, 40, 48, 3), (40, 48, 6), (0, 5, 7, 2)),
        (image(2, 3, 40, 48), (40, 48, 6), (0, 2, 5, 7)),
        (unit(40, 48, 3), (40, 48, 3), (5, 7, 2)),
        (unit(3, 40, 48), (40, 48, 3), (2, 5, 7)),
    ],
)
def test_images_become_height_width_channels(
    space: spaces.Box, shape: tuple[int, ...], place: tuple[int, ...]
) -> None:
    parts = parts_of(space, "here")
    (array,) = arrays_of(parts)
    assert (array.shape, array.dtype) == (shape, "uint8")
    value = np.zeros(space.shape, space.dtype)
    value[place] = space.high.max()
    seen = observe(parts, value, "here")["observation"]
    assert (seen.shape, seen.dtype) == (shape, np.uint8)
    channel = 2 if shape[2] > 1 else 0
    assert seen[5, 7, channel] == 255
    assert seen.sum() == 255


@pytest.mark.parametrize("space", [image(64, 64, 64), image(9, 64, 64, 9)])
def test_an_unknown_layout_is_named(space: spaces.Box) -> None:
    with pytest.raises(ConfigError, match=r"here: 'observation' is uint8\[.*unknown layout; valid"):
        parts_of(space, "here")


@pytest.mark.parametrize(
    "space",
    [
        unit(5, 5),
        image(8, 8),
        unit(4, 4, 4),
        unit(
            40,
        ),
        image(128),
    ],
)
def test_tables_of_numbers_stay_numbers(space: spaces.Box) -> None:
    (array,) = arrays_of(parts_of(space, "here"))
    assert (array.name, array.dtype) == ("state", "float32")


@pytest.mark.parametrize("space", [image(12288), spaces.Box(-1, 1, (64, 65, 1), np.float32)])
def test_raw_pixels_are_no_state(space: spaces.Box) -> None:
    with pytest.raises(ConfigError, match=r"numbers in one state vector.*env\.wrappers"):
        parts_of(space, "here")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (RNG.uniform(0, 1, (40, 48, 3)), "got float64 in .*its space says uint8 in 0 … 255"),
        (np.full((40, 48, 3), 300), "got int64 in 300 … 300"),
        (np.full((40, 48, 3), -1, np.int16), "got int16 in -1"),
        (np.zeros((48, 40, 3), np.uint8), r"got uint8\[48, 40, 3\], its space says uint8\[40"),
        (None, r"got object\[\], its space says"),
    ],
)
def test_values_that_are_not_of_the_space(value: Any, said: str) -> None:
    with pytest.raises(SpecError, match=f"here: 'observation': {said}"):
        observe(parts_of(image(40, 48, 3), "here"), value, "here")


def test_small_integers_are_bytes() -> None:
    parts = parts_of(image(40, 48, 3), "here")
    assert (observe(parts, np.full((40, 48, 3), 200), "")["observation"] == 200).all()


def test_floats_beyond_one_are_refused() -> None:
    value = np.zeros((40, 48, 3), np.float32)
    value[0] = 255.0
    with pytest.raises(SpecError, match=r"float32 in 0 … 255, its space says 0 … 1"):
        observe(parts_of(unit(40, 48, 3), "here"), value, "here")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"body": np.zeros(2)}, "no 'kind', which its space names; got keys body"),
        ({"body": np.zeros(3), "kind": 0}, r"'body': got shape \(3,\), its space says \(2,\)"),
        ({"body": ["a", "b"], "kind": 0}, "'body': a list is no array of numbers"),
        ({"body": np.zeros(2), "kind": 7}, r"'kind': 7 is not in Discrete\(3\)"),
        ([1.0, 2.0], "no 'body'"),
    ],
)
def test_observations_that_lack_something(value: Any, said: str) -> None:
    space = spaces.Dict({"body": spaces.Box(-1, 1, (2,)), "kind": spaces.Discrete(3)})
    with pytest.raises(SpecError, match=f"here: .*{said}"):
        observe(parts_of(space, "here"), value, "here")


def test_nan_is_named_with_its_part() -> None:
    space = spaces.Dict({"a": spaces.Box(-1, 1, (2,)), "b": spaces.Box(-1, 1, (1,))})
    with pytest.raises(PoisonedDataError, match="NaN or infinity in 'b'"):
        observe(parts_of(space, "here"), {"a": np.zeros(2), "b": [np.nan]}, "here")


def test_an_image_called_state_leaves_that_name_to_the_vector() -> None:
    space = spaces.Dict({"state": image(40, 48, 3), "pos": spaces.Box(-1, 1, (3,))})
    parts = parts_of(space, "here")
    assert [array.name for array in arrays_of(parts)] == ["state", "state.image"]
    seen = observe(parts, {"state": np.zeros((40, 48, 3), np.uint8), "pos": [0, 0, 0]}, "here")
    assert {name: array.shape for name, array in seen.items()} == {
        "state.image": (40, 48, 3),
        "state": (3,),
    }
