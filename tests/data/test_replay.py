"""Replay: what a transition means, edges of interventions, pools, limits, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from log_streams import IMAGE_SPEC, SPEC, chunk_header, episode, rows_of

from robot_rl.data.amend import Amendment
from robot_rl.data.log_reader import LogReader
from robot_rl.data.log_writer import LogWriter
from robot_rl.data.replay import Replay
from robot_rl.errors import ConfigError
from robot_rl.types import Batch, Source


def numbered(*blocks: np.ndarray) -> np.ndarray:
    """Episodes one after the other; the first state value is the row's place."""
    rows = np.concatenate(blocks)
    rows["obs.state"][:, 0] = np.arange(len(rows))
    return rows


def filled(rows: np.ndarray, **options: int) -> Replay:
    replay = Replay(SPEC, 1000, **options)
    replay.extend(chunk_header(rows, 0), rows)
    return replay


def by_observation(batch: Batch) -> dict[int, tuple[int, float, float, float]]:
    """Observation's place → (next observation's place, reward, mask, discount)."""
    places = batch.obs["state"][:, 0].astype(int)
    following = batch.next_obs["state"][:, 0].astype(int)
    values = zip(following, batch.reward, batch.mask, batch.discount, strict=True)
    return {
        int(place): (int(n), float(r), float(m), float(d))
        for place, (n, r, m, d) in zip(places, values, strict=True)
    }


def draw(replay: Replay, **options: object) -> dict[int, tuple[int, float, float, float]]:
    return by_observation(replay.sample(500, np.random.default_rng(0), **options))


def test_a_time_limit_is_not_a_terminal_state() -> None:
    rows = numbered(episode(3, end="truncated"), episode(3, number=1, sequence=4))
    found = draw(filled(rows), gamma=0.5)
    assert sorted(found) == [0, 1, 2, 4, 5, 6], "a START is no transition"
    assert [found[place][0] for place in sorted(found)] == [1, 2, 3, 5, 6, 7]
    assert found[2][2] == 1.0, "truncated: bootstrap from the last observation"
    assert found[6][2] == 0.0, "terminated: no bootstrap"
    assert all(discount == 0.5 for *_, discount in found.values())


def test_n_step_sums_end_with_the_episode() -> None:
    rows = numbered(episode(3, end="truncated"), episode(3, number=1, sequence=4))
    rows["reward"] = np.where(rows["kind"] == 1, 1.0, 0.0)
    found = draw(filled(rows), n_step=5, gamma=0.5)
    assert found[0] == (3, 1.75, 1.0, 0.125)
    assert found[2] == (3, 1.0, 1.0, 0.5)
    assert found[4] == (7, 1.75, 0.0, 0.125)
    assert found[6] == (7, 1.0, 0.0, 0.5)


def test_n_step_sums_end_with_the_log_that_may_be_seen() -> None:
    found = draw(filled(numbered(episode(6))), n_step=3, gamma=0.5, upper=4)
    assert {place: (n, d) for place, (n, _, _, d) in found.items()} == {
        0: (3, 0.125),
        1: (3, 0.25),
        2: (3, 0.5),
    }


def test_an_interrupted_stream_is_not_joined_to_the_next(tmp_path: object) -> None:
    broken = episode(3, end="")
    replay = Replay(SPEC, 100)
    replay.extend(chunk_header(broken, 0, epoch=1), numbered(broken))
    again = episode(3, sequence=4)[1:]  # the same numbers go on, but in another life of the actor
    again["obs.state"][:, 0] = 4 + np.arange(3)
    replay.extend(chunk_header(again, 4, epoch=2), again)
    found = draw(replay, n_step=9)
    assert sorted(found) == [0, 1, 2, 4, 5]
    assert found[2][0] == 3
    assert found[2][2] == 1.0


def test_a_lost_record_breaks_the_episode() -> None:
    rows = numbered(episode(6))
    left = np.delete(rows, 3)
    replay = Replay(SPEC, 100)
    for part, position in ((left[:3], 0), (left[3:], 3)):
        replay.extend(chunk_header(part, position), part)
    found = draw(replay, n_step=9)
    assert sorted(found) == [0, 1, 4, 5], "2 → 4 is no transition of the environment"
    assert found[1][0] == 2


def test_the_edges_of_an_intervention_keep_their_real_neighbours() -> None:
    rows = numbered(episode(6), episode(4, number=1, sequence=7))
    rows["source"][[2, 3, 10]] = Source.HUMAN
    replay = filled(rows)
    online, demo = draw(replay), draw(replay, pool="demo")
    assert sorted(online) == [0, 1, 2, 3, 4, 5, 7, 8, 9, 10]
    assert sorted(demo) == [1, 2, 9]
    assert {place: found[0] for place, found in demo.items()} == {1: 2, 2: 3, 9: 10}
    assert all(online[place] == found for place, found in demo.items())
    assert draw(replay, pool="demo", n_step=3)[2][0] == 5, "returns go on into the policy's steps"


def test_demonstrations_stay_while_the_ring_turns() -> None:
    demos = np.concatenate([episode(4, source=Source.DEMO), episode(4, source=Source.DEMO)])
    demos["obs.state"][:, 0] = 1000 + np.arange(10)
    replay = Replay(SPEC, 20, datasets={"demo": 10}, slack=4)
    replay.add("demo", demos[:5])
    replay.add("demo", demos[5:])
    position = 0
    for number in range(30):
        rows = episode(5, number=number, sequence=6 * number)
        rows["obs.state"][:, 0] = position + np.arange(6)
        rows["source"][2] = Source.HUMAN
        replay.extend(chunk_header(rows, position), rows)
        position += 6
    demo, online = draw(replay, pool="demo"), draw(replay)
    assert [place for place in sorted(demo) if place >= 1000] == [
        1000 + i for i in range(9) if i != 4
    ]
    assert demo[1000 + 3][0] == 1004
    assert min(online) == position - 20, "the oldest of 20 rows is an observation only"
    assert {place for place in demo if place < 1000} == {position - 17, position - 11, position - 5}
    with pytest.raises(ConfigError, match="room for 0"):
        replay.add("demo", demos[:5])


def test_actors_do_not_mix_and_one_too_many_is_refused() -> None:
    replay = Replay(SPEC, 100, streams=2)
    rows = numbered(episode(5))
    for i in range(6):
        for name, offset in (("left", 0), ("right", 100)):
            row = rows[i : i + 1].copy()
            row["obs.state"][0, 0] += offset
            replay.extend(chunk_header(row, 2 * i + (offset > 0), name), row)
    found = draw(replay, n_step=2, gamma=1.0)
    assert {place: value[0] for place, value in found.items()} == {
        base + i: base + min(i + 2, 5) for base in (0, 100) for i in range(5)
    }
    with pytest.raises(ConfigError, match=r"room for 2 actors \(left, right\).*'third'"):
        replay.extend(chunk_header(rows, 12, "third"), rows)


def test_history_repeats_the_first_observation() -> None:
    replay = filled(numbered(episode(4), episode(2, number=1, sequence=5)))
    batch = replay.sample(300, np.random.default_rng(0), history=3)
    windows = {
        tuple(a): tuple(b)
        for a, b in zip(
            batch.obs["state"][:, :, 0].astype(int).tolist(),
            batch.next_obs["state"][:, :, 0].astype(int).tolist(),
            strict=True,
        )
    }
    assert windows == {
        (0, 0, 0): (0, 0, 1),
        (0, 0, 1): (0, 1, 2),
        (0, 1, 2): (1, 2, 3),
        (1, 2, 3): (2, 3, 4),
        (5, 5, 5): (5, 5, 6),
        (5, 5, 6): (5, 6, 7),
    }


def test_amendments_hold_from_their_position_on() -> None:
    rows = numbered(episode(3), episode(3, number=1, sequence=4))
    replay = filled(rows)
    replay.amend(Amendment("discard", "a", 1, 0, position=6))
    replay.amend(Amendment("relabel", "a", 1, 1, reward=9.0, terminated=False, position=8))
    assert set(draw(replay, upper=6)) == {0, 1, 2, 4}
    assert set(draw(replay, upper=8)) == {4, 5, 6}
    assert draw(replay, upper=8)[6][2] == 0.0
    assert draw(replay, upper=9)[6][1:3] == (9.0, 1.0)


def test_a_running_episode_can_be_discarded() -> None:
    rows = numbered(episode(6), episode(2, number=1, sequence=7))
    replay = Replay(SPEC, 100)
    replay.extend(chunk_header(rows[:3], 0), rows[:3])
    replay.amend(Amendment("discard", "a", 1, 0, position=3))
    assert replay.size("online", 4) == 0
    replay.extend(chunk_header(rows[3:], 3), rows[3:])
    assert set(draw(replay)) == {7, 8}


def test_an_epoch_may_be_any_64_bit_number() -> None:
    rows, epoch = numbered(episode(3)), 2**64 - 1
    replay = Replay(SPEC, 100)
    for i in range(4):
        replay.extend(chunk_header(rows[i : i + 1], i, epoch=epoch), rows[i : i + 1])
    assert set(draw(replay)) == {0, 1, 2}
    replay.amend(Amendment("discard", "a", epoch - 1, 0))
    assert replay.size("online") == 3
    replay.amend(Amendment("discard", "a", epoch, 0))
    assert replay.size("online") == 0


def test_images_are_kept_once_and_come_back_whole() -> None:
    rows = episode(8, spec=IMAGE_SPEC)
    rows["obs.state"][:, 0] = np.arange(9)
    replay = Replay(IMAGE_SPEC, 100)
    replay.extend(chunk_header(rows, 0), rows)
    batch = replay.sample(50, np.random.default_rng(0))
    place = batch.obs["state"][:, 0].astype(int)
    assert batch.obs["wrist"].dtype == np.uint8
    np.testing.assert_array_equal(batch.obs["wrist"], rows["obs.wrist"][place])
    np.testing.assert_array_equal(batch.next_obs["wrist"], rows["obs.wrist"][place + 1])
    np.testing.assert_array_equal(batch.action, rows["action"][place + 1])
    image, state = 12 * 10 * 3, 4 * 3
    assert replay.bytes_per_row < image + state + 100


def test_the_previous_batch_survives_one_more_sample() -> None:
    replay, rng = filled(numbered(episode(50))), np.random.default_rng(0)
    first = replay.sample(16, rng)
    before = first.obs["state"].copy()
    second = replay.sample(16, rng)
    np.testing.assert_array_equal(first.obs["state"], before)
    assert not np.array_equal(second.obs["state"], before)


def test_resume_from_the_log_samples_the_same(tmp_path: object) -> None:
    path = f"{tmp_path}/log"
    with LogWriter.create(path, SPEC) as log:
        for number in range(40):
            log.append_records(episode(5, number=number, sequence=6 * number), "a", 1)
            if number == 20:
                log.amend(Amendment("discard", "a", 1, 19))
    assert len(rows_of(LogReader(path))) == 240

    def fed(upper: int, step: int) -> tuple[Replay, LogReader]:
        replay, reader = Replay(SPEC, 90), LogReader(path)
        while replay.position < upper:
            for chunk in reader.poll(min(step, upper - replay.position)):
                replay.extend(chunk.header, chunk.records)
        for amendment in reader.amendments:
            replay.amend(amendment)
        return replay, reader

    rng = np.random.default_rng(5)
    saved = rng.bit_generator.state
    first = fed(150, 1)[0].sample(64, rng, upper=150, n_step=3)
    rng.bit_generator.state = saved
    again = fed(150, 1000)[0].sample(64, rng, upper=150, n_step=3)
    assert first.reward.tobytes() == again.reward.tobytes()
    assert first.obs["state"].tobytes() == again.obs["state"].tobytes()
