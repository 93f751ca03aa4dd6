"""Hardware's world: virtual objects only, and tasks that need solid ones are refused."""

from __future__ import annotations

import numpy as np
import pytest

from robot_rl.config import build, load_config
from robot_rl.drivers.virtual_world import VirtualWorld
from robot_rl.errors import PoisonedDataError, SpecError
from robot_rl.interfaces import Task, World


def task(name: str) -> Task:
    made: Task = build(load_config([f"task={name}"]).task, f"{name}.yaml")
    return made


def test_reach_runs_on_virtual_objects() -> None:
    world = VirtualWorld()
    assert isinstance(world, World)
    reach, rng = task("reach"), np.random.default_rng(0)
    world.build(reach.scene)
    with pytest.raises(SpecError, match="not placed yet"):
        world.object_pose("target")
    reach.reset(world, rng)
    first = world.object_pose("target")
    world.reset(rng)
    reach.reset(world, rng)
    assert not np.array_equal(first, world.object_pose("target"))


@pytest.mark.parametrize("name", ["pick_cube", "peg_insert", "drawer_open", "push_t"])
def test_tasks_with_solid_objects_are_refused(name: str) -> None:
    with pytest.raises(SpecError, match="no world that sees them"):
        VirtualWorld().build(task(name).scene)


def test_what_is_not_there_is_named() -> None:
    world = VirtualWorld()
    world.build(task("reach").scene)
    with pytest.raises(SpecError, match="no object 'cube'"):
        world.object_pose("cube")
    with pytest.raises(PoisonedDataError):
        world.set_object_pose("target", np.full(7, np.nan))
    with pytest.raises(SpecError, match="joint"):
        world.joint_position("slide")
