"""kill -9 of each side at random times and at each named point: nothing is lost.

Three random kills a side are in the default lane, twenty in the slow one.
"""

from __future__ import annotations

import random
import statistics
import time
from pathlib import Path

import pytest
from fault_points import POINTS
from fault_recorder import Broken
from fault_world import World

TWINS = {
    "actor": "record_in_shared_memory_at_once",
    "io": "spool_outlives_its_process",
    "ingest": "acknowledge_after_append",
}


def kill_again_and_again(world: World, side: str, kills: int, seed: int) -> list[float]:
    """Kills a side at random times; seconds from each restart to the first acknowledgement.

    Every second kill of the I/O process comes while ingest is away: what it spools is sent so fast
    that hardly anything else would be found in the spool of a dead one.
    """
    rng = random.Random(seed)
    world.start_all()
    times = []
    for kill in range(kills):
        time.sleep(rng.uniform(0.02, 0.15))
        if alone := side == "io" and kill % 2 == 1:
            world.kill("ingest")
            time.sleep(0.1)
        world.kill(side)
        if alone:
            world.start_side("ingest")
        times.append(world.restart(side))
    return times


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("side", TWINS)
def test_random_kills(tmp_path: Path, side: str, kills: int) -> None:
    with World(tmp_path) as world:
        times = kill_again_and_again(world, side, kills, seed=1)
        verdict = world.finish().require()
    assert verdict.acknowledged > 5 * kills
    assert verdict.committed > 5 * kills
    print(f"{side}: acknowledged again after {statistics.median(times):.2f} s (median)")


@pytest.mark.parametrize("side", TWINS)
def test_random_kills_twin(tmp_path: Path, side: str) -> None:
    with World(tmp_path, without=(TWINS[side],)) as world:
        kill_again_and_again(world, side, 3, seed=1)
        with pytest.raises(Broken, match="not in the log"):
            world.finish().require()


def kill_at_each(world: World, side: str, points: list[str]) -> None:
    """A side that dies at each named point in turn, and is started again."""
    world.start_all()
    world.kill(side)
    for point in points:
        once = point in ("in a handshake", "a ring is made, not named", "a new segment is begun")
        world.start_side(side, kill=f"{side}: {point}", nth=1 if once else 4)
        world.wait_death(side)
    world.restart(side)


@pytest.mark.parametrize("side", TWINS)
def test_kills_at_named_points(tmp_path: Path, side: str) -> None:
    with World(tmp_path) as world:
        kill_at_each(world, side, list(POINTS[side]))
        assert world.finish().require().acknowledged > 0


NAMED_TWINS = {
    "actor: a record is written": "slot_before_counter",
    "io: before a chunk is spooled": "release_after_spooling",
    "io: released, nothing sent": "spool_outlives_its_process",
    "ingest: synced, not acknowledged": "deduplication",
}


@pytest.mark.parametrize("point", NAMED_TWINS)
def test_kills_at_named_points_twin(tmp_path: Path, point: str) -> None:
    side, _, name = point.partition(": ")
    with World(tmp_path, without=(NAMED_TWINS[point],)) as world:
        kill_at_each(world, side, [name])
        with pytest.raises(Broken):
            world.finish().require()


def dead_actor_and_io(world: World) -> None:
    """What a killed actor left in the ring is sent before its next life's records."""
    world.start_all()
    world.kill("io")
    time.sleep(0.2)
    world.kill("actor")
    world.start_side("actor")
    world.wait_up(2)
    world.restart("io")
    world.finish().require()


def test_a_dead_actors_ring_is_drained(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        dead_actor_and_io(world)


def test_a_dead_actors_ring_is_drained_twin(tmp_path: Path) -> None:
    with World(tmp_path, without=("older_rings_are_drained",)) as world, pytest.raises(Broken):
        dead_actor_and_io(world)
