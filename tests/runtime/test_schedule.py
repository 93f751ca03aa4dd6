"""Schedules: which block comes next depends on log and seed only, arrival decides what waits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_learner import RUN, SPEC, STEPS, SilentLink, learner, log  # noqa: F401 (a fixture)

from robot_rl.data.log_reader import LogReader
from robot_rl.data.log_writer import LogWriter
from robot_rl.errors import ConfigError
from robot_rl.interfaces import Schedule
from robot_rl.runtime.learner import Learner
from robot_rl.runtime.schedule import FreezeThenGo, OfflineSchedule, OnlineSchedule, Rounds
from robot_rl.sampling import Block
from robot_rl.types import Array


def blocks_of(schedule: Schedule) -> list[Block]:
    found = []
    while (block := schedule.next(len(found))) is not None:
        found.append(block)
    return found


def every_schedule() -> list[Schedule]:
    return [
        OnlineSchedule(RUN),
        OfflineSchedule(RUN, blocks=30),
        FreezeThenGo(RUN, frozen_steps=15),
        Rounds(RUN, round_steps=20, blocks=4),
    ]


@pytest.mark.parametrize("schedule", every_schedule(), ids=lambda s: type(s).__name__)
def test_what_every_schedule_keeps(schedule: Schedule) -> None:
    blocks = blocks_of(schedule)
    assert [block.index for block in blocks] == list(range(len(blocks)))
    assert blocks == blocks_of(schedule), "a function of what is done"
    for block in blocks:
        assert 0 <= block.since <= block.upper <= block.lower <= block.granted <= STEPS
        assert (block.lower > 0) == schedule.acts
    for name in ("lower", "granted", "step"):
        values = [getattr(block, name) for block in blocks]
        assert values == sorted(values), name
    assert blocks[-1].evaluate
    assert len({block.step for block in blocks if block.evaluate}) == sum(
        b.evaluate for b in blocks
    )


def test_the_online_schedule_grants_the_warm_up_alone_and_then_runs_ahead() -> None:
    blocks = blocks_of(OnlineSchedule(RUN))
    assert (blocks[0].random, blocks[0].lower, blocks[0].granted) == (True, 10, 10)
    assert not any(block.random for block in blocks[1:])
    assert [block.lower for block in blocks] == [min(STEPS, max(10, b + 1)) for b in range(STEPS)]
    assert [b.granted for b in blocks[1:]] == [min(STEPS, b.lower + 4) for b in blocks[1:]]
    assert [b.step for b in blocks if b.evaluate] == [20, 40, 60]
    none = blocks_of(OnlineSchedule(replace(RUN, warmup_steps=0)))
    assert (none[0].random, none[0].lower, none[0].granted) == (False, 1, 5)


def test_frozen_steps_come_before_the_first_update() -> None:
    blocks = blocks_of(FreezeThenGo(RUN, frozen_steps=15))
    assert len(blocks) == STEPS - 15
    assert [block.lower for block in blocks] == list(range(16, STEPS + 1))
    assert not any(block.random for block in blocks), "the loaded policy acts"
    with pytest.raises(ConfigError, match="frozen_steps=60; valid: 0"):
        FreezeThenGo(RUN, frozen_steps=STEPS)


def test_a_round_is_sampled_alone_and_only_its_end_publishes() -> None:
    blocks = blocks_of(Rounds(RUN, round_steps=20, blocks=4))
    assert [(b.since, b.upper) for b in blocks[::4]] == [(0, 20), (20, 40), (40, 60)]
    assert all(b.granted == b.upper and b.newest for b in blocks)
    assert [b.index for b in blocks if b.publish] == [3, 7, 11]
    with pytest.raises(ConfigError, match="round_steps=61, blocks=4; valid: 1 … steps=60"):
        Rounds(RUN, round_steps=61, blocks=4)


class Arriving:
    """A log that grows while the learner runs, by random amounts; `stopping` for its loop."""

    def __init__(self, whole: Path, path: Path, seed: int) -> None:
        self.rng, self.path = np.random.default_rng(seed), path
        self.writer = LogWriter.create(path, SPEC)
        self.waiting = self._pieces(whole)

    def _pieces(self, whole: Path) -> Iterator[tuple[Array, str, int]]:
        for chunk in LogReader(whole, SPEC).chunks():
            start = 0
            while start < len(chunk.records):
                stop = start + int(self.rng.integers(1, 9))
                yield chunk.records[start:stop], chunk.header.actor, chunk.header.epoch
                start = stop

    def stopping(self) -> bool:
        if self.rng.random() < 0.3:
            for piece in self.waiting:
                self.writer.append_records(piece[0], actor=piece[1], epoch=piece[2])
                if self.rng.random() < 0.7:
                    break
        return False


@pytest.mark.parametrize("make", [0, 2, 3], ids=["OnlineSchedule", "FreezeThenGo", "Rounds"])
@pytest.mark.parametrize("seed", [0, 1])
def test_arrival_changes_neither_blocks_nor_the_agent(
    log: Path,  # noqa: F811
    tmp_path: Path,
    make: int,
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = learner(log, tmp_path / "whole", schedule=every_schedule()[make], n_step=3)
    seen: dict[int, list[Block]] = {id(whole): []}
    step = Learner.step

    def watched(self: Learner, block: Block) -> None:
        seen.setdefault(id(self), []).append(block)
        step(self, block)

    monkeypatch.setattr(Learner, "step", watched)
    assert whole.run(lambda: False)
    arriving = Arriving(log, tmp_path / "arriving", seed)
    late = learner(arriving.path, tmp_path / "late", schedule=every_schedule()[make], n_step=3)
    assert late.run(arriving.stopping)
    arriving.writer.close()
    assert seen[id(late)] == seen[id(whole)] == blocks_of(every_schedule()[make])
    ours, theirs = late.agent.state(), whole.agent.state()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


@pytest.mark.parametrize("stop", [1, 3, 6])
def test_rounds_resume_bit_equal(log: Path, tmp_path: Path, stop: int) -> None:  # noqa: F811
    from robot_rl.commands.learner_process import resume

    def rounds() -> Schedule:
        return Rounds(RUN, round_steps=20, blocks=4)

    whole = learner(log, tmp_path / "whole", schedule=rounds())
    assert whole.run(lambda: False)
    first = learner(log, tmp_path / "parts", schedule=rounds())
    first.run(lambda: first.progress.block >= stop)
    second = learner(log, tmp_path / "parts", schedule=rounds())
    assert resume(second)
    assert second.run(lambda: False)
    ours, theirs = second.agent.state(), whole.agent.state()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def test_nothing_is_published_before_the_warm_up_is_in_the_log(
    log: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Actors with version 0 act at random: exactly the warm-up, however fast the learner starts."""
    arriving = Arriving(log, tmp_path / "arriving", 0)
    run = learner(arriving.path, tmp_path / "run")
    link = run.link
    assert isinstance(link, SilentLink)

    def stopping() -> bool:
        steps = sum(chunk.records["kind"].sum() for chunk in LogReader(arriving.path).chunks())
        if run.progress.block == 0 and steps < 10:
            assert not link.published
            assert set(link.grants) <= {(10, 0)}, "no window, and any weights"
        return arriving.stopping()

    assert run.run(stopping)
    arriving.writer.close()
    assert link.published[0] == 1
    assert link.grants[0] == (10, 0)
    assert {version for total, version in link.grants if total > 10} == {1}


def test_after_a_resume_or_a_warm_start_the_policy_acts_from_the_start(
    log: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    from robot_rl.commands.learner_process import resume, warm_start
    from robot_rl.runtime.settings import WarmStart

    first = learner(log, tmp_path / "first")
    first.run(lambda: first.progress.block >= 25)
    empty = tmp_path / "empty"
    LogWriter.create(empty, SPEC).close()
    for source in ("first", "first/checkpoints/block-000000025", "first/policies/step-000000020"):
        second = learner(empty, tmp_path / source.replace("/", "-"), seed=8)
        path = tmp_path / source
        policy = path.with_suffix(".safetensors")
        parts = ("actor",) if policy.exists() else ("actor", "critic")
        warm_start(second, WarmStart(str(policy if policy.exists() else path), parts))
        second.run(lambda link=second.link: bool(link.published))  # type: ignore[union-attr]
        link = second.link
        assert isinstance(link, SilentLink)
        assert link.grants[0] == (10, 1)
        state = second.agent.state()
        expected = first.agent.state() if "step" not in source else None
        if expected is not None:
            np.testing.assert_array_equal(state["critic.w0"], expected["critic.w0"])
            np.testing.assert_array_equal(state["target.w0"], expected["critic.w0"])
            assert not state["critic.square.w0"].any(), "its optimiser is fresh"
    again = learner(log, tmp_path / "first")
    assert resume(again)
    again.run(lambda: again.progress.published)
    assert isinstance(again.link, SilentLink)
    assert again.link.published == [again.progress.version]


def test_a_warm_start_from_what_lacks_a_part_is_refused(log: Path, tmp_path: Path) -> None:  # noqa: F811
    from robot_rl.commands.learner_process import warm_start
    from robot_rl.errors import CheckpointError
    from robot_rl.runtime.settings import WarmStart

    first = learner(log, tmp_path / "first")
    first.run(lambda: first.progress.block >= 25)
    second = learner(log, tmp_path / "second")
    policy = str(tmp_path / "first/policies/step-000000020.safetensors")
    with pytest.raises(CheckpointError, match=r"has no part 'critic': .*actor"):
        warm_start(second, WarmStart(policy))
    with pytest.raises(CheckpointError, match=r"has no part 'critc': did you mean 'critic'"):
        warm_start(second, WarmStart(str(tmp_path / "first"), ("critc",)))
    with pytest.raises(CheckpointError, match="nothing to begin with; valid: a run"):
        warm_start(second, WarmStart(str(tmp_path / "nowhere")))
    assert not second.progress.taught
