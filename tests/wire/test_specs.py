"""Specifications: what must agree, what may differ, and what their JSON says."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from robot_rl.errors import HandshakeError, SpecError
from robot_rl.specs import PLANT, ArraySpec, EnvSpec
from robot_rl.testing.wire_harness import small_spec
from robot_rl.wire import handshake
from robot_rl.wire.record import record_dtype
from robot_rl.wire.spool_segment import Life

SPEC = small_spec()
OTHER: dict[str, object] = {
    "name": "else",
    "observation": (ArraySpec("state", (41,)),),
    "action": ArraySpec("action", (6,), low=-1, high=1),
    "command_layout": (("q", 7), ("width", 1)),
    "rate_hz": 20.0,
    "action_frame": "base",
    "action_scale": (0.1,),
    "gripper_mode": "velocity",
    "gains": (("stiffness", 100.0),),
    "state_layout": (("position", 40),),
    "facts": (("judged_tolerance", "0.01"),),
    "plant": (("limit_velocity", "0.1"), ("camera_serial", "1234")),
    "extras": (ArraySpec("touch", (2,)),),
}


@pytest.mark.parametrize("name", [item.name for item in fields(EnvSpec)])
def test_every_field_is_interface_or_plant(name: str) -> None:
    """Interface: another digest and refused. Plant: the same digest, taken, and listed."""
    other = replace(SPEC, **{name: OTHER[name]})  # type: ignore[arg-type]
    greeting = handshake.hello("a", 1, 1, 0, other.to_json(), other.sha256())
    if name in PLANT:
        assert SPEC.differences(other) == []
        assert other.sha256() == SPEC.sha256()
        assert other.to_json() != SPEC.to_json(), "it is stored"
        assert all(name in line for line in SPEC.plant_differences(other))
        assert len(SPEC.plant_differences(other)) == len(OTHER[name])  # type: ignore[arg-type]
        assert handshake.check_hello(greeting, SPEC) == other
        return
    assert SPEC.plant_differences(other) == []
    assert [line.startswith(name) for line in SPEC.differences(other)] == [True]
    assert other.sha256() != SPEC.sha256()
    with pytest.raises(HandshakeError, match=name):
        handshake.check_hello(greeting, SPEC)


def test_extras_are_absent_from_the_json_when_empty() -> None:
    assert "extras" not in json.loads(SPEC.to_json())
    with_some = replace(SPEC, extras=(ArraySpec("touch", (2,), low=0.0),))
    assert EnvSpec.from_json(with_some.to_json()) == with_some
    assert EnvSpec.from_json(SPEC.to_json()) == SPEC


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"extras": (ArraySpec("x", (1,)), ArraySpec("x", (2,)))}, "names of extras must be"),
        ({"extras": (ArraySpec("x", (1 << 20, 1 << 20)),)}, "records of about"),
        ({"command_layout": (("pose", -1),)}, "widths of 0 or more"),
    ],
)
def test_specifications_that_cannot_be(change: dict[str, object], why: str) -> None:
    with pytest.raises(SpecError, match=why):
        EnvSpec.from_json(replace(SPEC, **change).to_json())  # type: ignore[arg-type]


def test_a_spool_of_another_versions_records_is_not_sent() -> None:
    size = record_dtype(SPEC).itemsize
    assert handshake.schema_of(Life("a", 1, size, SPEC.to_json())) == SPEC.sha256()
    with pytest.raises(HandshakeError, match=f"records of {size - 28} bytes, this version's"):
        handshake.schema_of(Life("a", 1, size - 28, SPEC.to_json()))
