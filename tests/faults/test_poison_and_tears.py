"""In one process: poisoned weights and proposals, checkpoints torn at every page, stops."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fault_guards import without
from fault_recorder import Broken
from fault_world import ACTOR, World, wait_for

from robot_rl.drivers.limits import FR3, limits_within
from robot_rl.drivers.mujoco.fr3 import make
from robot_rl.drivers.safe_robot import PERIOD_NS, SafeRobot
from robot_rl.envs.robot_env import RobotEnv
from robot_rl.envs.tasks.reach import Reach
from robot_rl.errors import PoisonedDataError, RobotFault, WireError
from robot_rl.metrics.writer import MetricsWriter
from robot_rl.rollout.arbitration import InterventionState, arbitrate
from robot_rl.rollout.loop import Rollout
from robot_rl.rollout.placement import Inline
from robot_rl.runtime.actor import Actor
from robot_rl.runtime.actor_report import ActorReport
from robot_rl.runtime.checkpoint import CheckpointState, newest_checkpoint, save_checkpoint
from robot_rl.runtime.rearm import RearmPost
from robot_rl.runtime.starts import StartStates
from robot_rl.testing.fakes import FakeRobot
from robot_rl.types import (
    Array,
    CartesianCommand,
    Command,
    Context,
    Event,
    Observation,
    OperatorSample,
    Plan,
)
from robot_rl.wire.actor_link import ActorLink

PAGE = 4096


def poisoned_weights(world: World) -> None:
    """A learner whose weights went NaN: the actor keeps the last good ones."""
    from crc32c import crc32c

    from robot_rl.wire import protocol as p
    from robot_rl.wire.sockets import Dealer
    from robot_rl.wire.weights import FlatWeights

    world.start_side("ingest")
    world.start_side("io")
    learner, link = world.learner(), world.link(ACTOR, 3)
    learner.publish({"w": np.ones(1000, np.float32)}, 1)
    wait_for("good weights", lambda: link.published_version == 1)
    data = np.full(1000, np.nan, "<f4").tobytes()
    table = FlatWeights.pack({"w": np.ones(1000, np.float32)}, 2).table
    head, body = FlatWeights(2, table, data, crc32c(data)).part(0, len(data))
    learner.close()
    rogue = Dealer(world.addresses[1])
    rogue.send(p.encode(head), b"", bytes(body))
    try:
        wait_for("the refusal", lambda: "not finite" in world.output("ingest"), 3.0)
    except WireError as error:
        raise Broken(f"NaN weights were taken: {error}") from None
    finally:
        rogue.close()
    found = link.newest()
    if found is None or found[1] != 1 or not np.isfinite(found[0]["w"]).all():
        raise Broken("the actor has weights that are not finite")


def test_poisoned_weights(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        poisoned_weights(world)


def test_poisoned_weights_twin(tmp_path: Path) -> None:
    with World(tmp_path, without=("finite_weights",)) as world, pytest.raises(Broken):
        poisoned_weights(world)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_poisoned_proposals_never_become_an_action(bad: float) -> None:
    proposal = np.zeros(7, np.float32)
    proposal[3] = bad
    with pytest.raises(PoisonedDataError, match="valid: finite"):
        arbitrate(proposal, None, InterventionState(), np.zeros(7, np.float32))


def state(block: int) -> CheckpointState:
    sampler = dict(np.random.default_rng(block).bit_generator.state)
    return CheckpointState(
        block=block,
        steps=block,
        position=block,
        version=1,
        agent="a.B",
        spec_sha256="0",
        sampler=sampler,
        config={},
    )


def torn_everywhere(folder: Path) -> int:
    """The newest checkpoint cut, and a page of it zeroed, at every page; gives how often."""
    rng = np.random.default_rng(0)
    for block in (1, 2):
        arrays = {name: rng.standard_normal(16_000).astype(np.float32) for name in "abc"}
        save_checkpoint(folder, arrays, state(block), keep=2)
    newest, trials = folder / "block-000000002", 0
    whole = folder.parent / "whole"
    shutil.copytree(newest, whole)
    for path in sorted(whole.iterdir()):
        data = path.read_bytes()
        for start in range(0, len(data), PAGE):
            for torn in (data[:start], data[:start] + bytes(PAGE) + data[start + PAGE :]):
                (newest / path.name).write_bytes(torn)
                found, warnings = newest_checkpoint(folder)
                trials += 1
                if found is None or found[1].block != 1 or len(warnings) != 1:
                    raise Broken(f"{path.name} torn at {start}: {found and found[1].block}")
        (newest / path.name).write_bytes(data)
    found, warnings = newest_checkpoint(folder)
    assert found is not None
    assert found[1].block == 2
    assert not warnings
    return trials


def test_checkpoints_torn_at_every_page(tmp_path: Path) -> None:
    assert torn_everywhere(tmp_path / "checkpoints") > 90


def test_checkpoints_torn_at_every_page_twin(tmp_path: Path) -> None:
    with without("checkpoints_are_hashed"), pytest.raises(Broken, match="torn at"):
        torn_everywhere(tmp_path / "checkpoints")


class Recorder(FakeRobot):
    """Counts the commands that reach the arm."""

    emitted = 0

    def command(self, command: Command) -> None:
        super().command(command)
        self.emitted += 1


def stopped_by_a_person(rng: np.random.Generator) -> None:
    """E-stop pressed and released in mid-motion: nothing moves until a person re-arms."""
    limits = limits_within(
        FR3,
        workspace_low=(0.3, -0.3, 0.0),
        workspace_high=(0.7, 0.3, 0.5),
        max_rotation=0.8,
        max_force=20.0,
        force_trip=40.0,
        velocity=0.4,
        angular_velocity=1.5,
    )
    inner = Recorder(speed=100.0, angular_speed=100.0)
    limits = replace(limits, joint_low=(-3.0,) * 7, joint_high=(3.0,) * 7)
    robot = SafeRobot(inner, (limits,), stream_resets=False)
    robot.connect()

    def move() -> None:
        pose = np.array([[*rng.uniform((0.35, -0.2, 0.1), (0.65, 0.2, 0.4)), 0, 1, 0, 0]])
        robot.command(CartesianCommand(pose, np.array([0.05]), robot.clock.now_ns()))
        robot.clock.sleep_until(robot.clock.now_ns() + 5 * PERIOD_NS)

    for _ in range(int(rng.integers(1, 8))):
        move()
    robot.trip("emergency stop")
    before = inner.emitted
    for _ in range(10):  # released, and the policy goes on as if nothing had been
        try:
            move()
        except RobotFault:
            robot.clock.sleep_until(robot.clock.now_ns() + 5 * PERIOD_NS)
    if inner.emitted != before:
        raise Broken(f"{inner.emitted - before} commands after the emergency stop")
    robot.rearm()
    move()
    assert inner.emitted > before


def test_motion_after_a_stop_only_by_a_person() -> None:
    for seed in range(20):
        stopped_by_a_person(np.random.default_rng(seed))


def test_motion_after_a_stop_only_by_a_person_twin() -> None:
    with without("emergency_stop_latches"), pytest.raises(Broken, match="after the emergency"):
        stopped_by_a_person(np.random.default_rng(0))


class Hand:
    """An operator's device whose button is pressed once, then let go."""

    def __init__(self, at: int) -> None:
        self.readings, self.at = 0, at

    def read(self, context: Context) -> OperatorSample | None:
        self.readings += 1
        if self.readings != self.at:
            return None
        return OperatorSample(None, time.monotonic_ns(), Event.STOP)

    def stopped(self) -> bool:
        return False

    def close(self) -> None:
        pass


class Forward:
    """A policy that always goes on."""

    version = 1

    def act(
        self, obs: Observation, step: int, stamp_ns: int, *, deterministic: bool = False
    ) -> Plan:
        forward = np.full((1, 7), 0.5, np.float32)
        return Plan(forward, np.ones(1, bool), step, stamp_ns, self.version)

    def reset(self, seed: int | None = None) -> None:
        pass

    def load(self, weights: Mapping[str, Array], version: int) -> None:
        pass


def stopped_at_the_device(folder: Path) -> None:
    """A real actor and the simulated arm: the stop latches in the robot, and the actor waits."""
    env = RobotEnv(make(), Reach())
    with World(folder) as world, MetricsWriter(folder / "run", ACTOR) as metrics:
        link = ActorLink(world.runtime, env.spec, ACTOR, 1)
        hand = Hand(at=8)
        actor = Actor(
            rollout=Rollout(env, Inline(Forward()), hand, sink=link, actor=ACTOR),
            link=link,
            report=ActorReport(metrics, link, ACTOR),
            starts=StartStates(folder / "starts", 0, ACTOR),
            post=RearmPost(world.runtime, ACTOR),
            wait="never",
        )
        # It holds from the stop on, and is told to end after some looks at its device.
        actor.run(lambda: hand.readings > 8 + 10)
        after = link.next_sequence
        before = env.robot.read().pose
        obeyed = 0
        try:  # the button is up again, and somebody goes on as if nothing had been
            for _ in range(10):
                obeyed += not env.step(np.full(7, 0.5, np.float32)).fault
        except RobotFault:
            pass
        env.robot.clock.sleep_until(env.robot.clock.now_ns() + 10 * PERIOD_NS)
        moved = float(np.linalg.norm(env.robot.read().pose[0, :3] - before[0, :3]))
        link.close()
        env.close()
    if after != 9:  # the start and eight steps, the last of them cut short by the stop
        raise Broken(f"{after - 9} records after the emergency stop")
    if obeyed:
        raise Broken(f"{obeyed} steps were obeyed after the emergency stop")
    # From 0.17 m/s the arm swings 8 mm beyond where it was stopped, and back; ten steps are 100 mm.
    if moved > 0.01:
        raise Broken(f"the arm moved {1000 * moved:.1f} mm after the emergency stop")


def test_a_stop_at_the_device_latches_in_the_robot(tmp_path: Path) -> None:
    stopped_at_the_device(tmp_path)


def test_a_stop_at_the_device_latches_in_the_robot_twin(tmp_path: Path) -> None:
    with without("emergency_stop_latches"), pytest.raises(Broken, match="after the emergency"):
        stopped_at_the_device(tmp_path)
