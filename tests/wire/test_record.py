"""One record: what a transition says comes back, and what it does not say has its default."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from robot_rl.specs import ArraySpec, EnvSpec
from robot_rl.testing.wire_harness import random_observation, random_transition, small_spec
from robot_rl.types import Array, Purpose, Source, Transition
from robot_rl.wire.record import (
    HEAD,
    HEAD_DTYPE,
    new_record,
    poisoned,
    record_dtype,
    to_transition,
    training_steps,
    write_start,
    write_step,
)

TOUCH = ArraySpec("touch", (2, 3), unit="N")
SPEC = replace(small_spec(image=6), extras=(TOUCH, ArraySpec("phase", (), "int32")))
RNG = np.random.default_rng(0)


def start(spec: EnvSpec = SPEC, **options: object) -> Array:
    record = new_record(record_dtype(spec))
    obs = random_observation(spec, RNG)
    write_start(record, obs, episode=3, stamp_ns=50, boot_id=9, sequence=0, **options)  # type: ignore[arg-type]
    return record


def step(transition: Transition, spec: EnvSpec = SPEC) -> Array:
    record = new_record(record_dtype(spec))
    write_step(record, transition)
    return record


def full() -> Transition:
    obs = random_observation(SPEC, RNG)
    plain = random_transition(SPEC, RNG, obs, step=1, episode=3)
    return replace(
        plain,
        source=Source.REWIND,
        stamps={"camera": 77},
        purpose=Purpose.EVALUATION,
        plan=5,
        plan_step=4,
        noise_seed=2**64 - 1,
        value=0.25,
        extras={"touch": np.arange(6, dtype="f4").reshape(2, 3), "phase": np.int32(-2)},
    )


def test_all_fields_come_back() -> None:
    mine = full()
    found = to_transition(start()[0], step(mine)[0], actor="a", epoch=1)
    names = ("source", "purpose", "plan", "plan_step", "noise_seed", "value", "stamps")
    assert [getattr(found, name) for name in names] == [getattr(mine, name) for name in names]
    assert set(found.extras) == {"touch", "phase"}
    for name in found.extras:
        np.testing.assert_array_equal(found.extras[name], mine.extras[name])


def test_what_is_not_said_has_its_default() -> None:
    plain = random_transition(SPEC, RNG, random_observation(SPEC, RNG), step=1, episode=3)
    record = step(full())
    write_step(record, plain)  # over another one: nothing of that is left
    found = to_transition(start()[0], record[0], actor="a", epoch=1)
    assert found.stamps == {"camera": plain.stamp_ns}
    assert (found.purpose, found.plan, found.plan_step, found.noise_seed) == (0, 0, 0, 0)
    assert math.isnan(found.value)
    assert not found.extras["touch"].any()
    first = start(stamps={"camera": 12}, purpose=Purpose.EVALUATION)
    assert (first["stamp.camera"], first["purpose"]) == (12, Purpose.EVALUATION)
    assert start()["stamp.camera"] == 50
    assert np.isnan(start()["value"]).all()


def test_the_head_comes_first_and_numbers_are_aligned() -> None:
    dtype = record_dtype(SPEC)
    assert HEAD_DTYPE.itemsize % 8 == 0
    for name, kind in HEAD:
        offset = dtype.fields[name][1]
        assert offset == HEAD_DTYPE.fields[name][1]
        assert offset % np.dtype(kind).itemsize == 0, name
    assert dtype.names[len(HEAD)] == "stamp.camera"
    assert record_dtype(replace(SPEC, extras=())).names[-1] == "obs.camera"


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("purpose", 2, "unknown purpose"),
        ("source", max(Source) + 1, "unknown kind or source"),
        ("value", np.inf, "value is infinite"),
        ("extra.touch", np.nan, "extra.touch of sequence 0 is not finite"),
        ("value", np.nan, ""),
        ("human", np.nan, ""),
    ],
)
def test_what_may_not_be_learnt_from(field: str, value: float, why: str) -> None:
    record = step(full())
    record[field] = value
    assert poisoned(record) == why


def test_only_steps_of_training_are_environment_steps() -> None:
    plain = random_transition(SPEC, RNG, random_observation(SPEC, RNG), step=1)
    rows = np.concatenate([start(), step(plain), step(full()), start(purpose=Purpose.EVALUATION)])
    assert training_steps(rows).tolist() == [False, True, False, False]
