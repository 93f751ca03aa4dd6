"""Amendments, whole episodes, and the description of a dataset."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from log_streams import SPEC, episode, random_stream, write_log

from robot_rl.data.amend import Amendment
from robot_rl.data.dataset_info import dataset_info, verify
from robot_rl.data.episodes import Episode, read_episodes
from robot_rl.data.log_reader import LogReader
from robot_rl.data.log_writer import LogWriter
from robot_rl.data.replay import Replay
from robot_rl.data.segments import list_segments
from robot_rl.errors import DataError, PoisonedDataError
from robot_rl.types import Source
from robot_rl.wire.amendment import decode
from robot_rl.wire.record import Kind

BASE = Amendment("discard", "a", 1, 0)


def amended(path: Path, *amendments: Amendment) -> list[Episode]:
    with LogWriter.open(path, SPEC) as log:
        for amendment in amendments:
            log.amend(amendment)
    return list(read_episodes(path))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_log(tmp_path / "log", 3)
    return tmp_path / "log"


def test_an_amendment_survives_the_log(path: Path) -> None:
    mine = replace(BASE, reason="dropped the cube", stamp_ns=5)
    with LogWriter.open(path, SPEC) as log:
        header = log.amend(mine)
        assert (header.position, header.count, log.position) == (18, 0, 18)
        log.append_records(episode(5, number=3, sequence=18), "a", 1)
        log.amend(replace(mine, episode=1))
    with LogReader(path) as reader:
        assert sum(chunk.header.count for chunk in reader.chunks()) == 24
        assert reader.amendments == [
            replace(mine, position=18),
            replace(mine, episode=1, position=24),
        ]
    assert len(LogReader(path, position=20).amendments) == 1
    with LogWriter.open(path, SPEC) as log:
        assert (log.position, log.last_sequence("a", 1)) == (24, 23)


def test_discarded_episodes_are_left_out(path: Path) -> None:
    before = list_segments(path)[0].read_bytes()
    assert [e.episode for e in amended(path, replace(BASE, episode=1))] == [0, 2]
    assert list_segments(path)[0].read_bytes().startswith(before), "nothing is rewritten"


def test_a_trimmed_episode_begins_and_ends_where_it_was_told(path: Path) -> None:
    whole = next(iter(read_episodes(path)))
    first = amended(path, replace(BASE, action="trim", first_step=2, last_step=4))[0]
    assert first.steps == 3
    assert first.records["kind"].tolist() == [Kind.START, Kind.STEP, Kind.STEP, Kind.STEP]
    np.testing.assert_array_equal(first.records["obs.state"], whole.records["obs.state"][1:5])
    assert (first.complete, whole.complete) == (False, True)
    assert first.success == -1
    again = amended(path, replace(BASE, action="relabel", success=1, terminated=True))[0]
    assert (again.steps, again.success, again.complete) == (3, 1, True)


def test_a_relabel_changes_one_step(path: Path) -> None:
    whole = next(iter(read_episodes(path)))
    label = replace(BASE, action="relabel", step=2, reward=-7.0)
    first, second, _ = amended(path, label)
    assert first.records["reward"][2] == -7.0
    assert first.episode_return == pytest.approx(
        whole.episode_return - float(whole.records["reward"][2]) - 7.0
    )
    last = replace(BASE, action="relabel", episode=1, success=0)
    assert (amended(path, last)[1].success, second.success) == (0, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"action": "forget"}, "discard, relabel, trim"),
        ({"action": "relabel"}, "changes nothing"),
        ({"action": "trim"}, "changes nothing"),
        ({"action": "relabel", "success": 3}, "success 3"),
        ({"action": "trim", "first_step": 4, "last_step": 3}, "1 <= first_step"),
        ({"action": "trim", "first_step": 0}, "1 <= first_step"),
    ],
)
def test_an_amendment_without_sense_is_refused(
    path: Path, changes: dict[str, object], message: str
) -> None:
    size = list_segments(path)[0].stat().st_size
    with pytest.raises(DataError, match=message):
        amended(path, replace(BASE, **changes))  # type: ignore[arg-type]
    assert list_segments(path)[0].stat().st_size == size


def test_nan_in_a_relabel_is_refused(path: Path) -> None:
    with pytest.raises(PoisonedDataError, match="reward nan"):
        amended(path, replace(BASE, action="relabel", reward=math.nan))
    with pytest.raises(DataError, match="not an amendment"):
        decode(b"\x81\xa1x\x01")


@pytest.mark.parametrize("seed", range(5))
def test_episodes_and_replay_agree(tmp_path: Path, seed: int) -> None:
    chunks = random_stream(np.random.default_rng(seed), actors=2, episodes=20)
    replay = Replay(SPEC, 2000, streams=2)
    with LogWriter.create(tmp_path / "log", SPEC) as log:
        for chunk in chunks:
            header = log.append_records(chunk["rows"], chunk["actor"], chunk["epoch"])
            replay.extend(header, chunk["rows"])
    episodes = list(read_episodes(tmp_path / "log"))
    assert sum(e.steps for e in episodes) == replay.size("online") > 50
    demos = Replay(SPEC, 10, datasets={"demo": sum(len(e.records) for e in episodes)})
    demos.add("demo", np.concatenate([e.records for e in episodes]))
    assert demos.size("demo") == replay.size("online")
    for e in episodes:
        assert (e.records["kind"][0], set(e.records["kind"][1:])) == (Kind.START, {Kind.STEP})


def test_the_description_counts_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with LogWriter.create(path, SPEC, meta={"task": "lift"}) as log:
        for number, end in enumerate(["terminated", "truncated", "terminated", ""]):
            rows = episode(4 + number, number=number, sequence=log.position, end=end)
            rows["reward"] = rows["terminated"]
            if number == 1:
                rows["source"][2:4], rows["intervention_id"][2:4] = Source.HUMAN, 1
            log.append_records(rows, "a", 1)
        log.amend(replace(BASE, episode=2))
    info = dataset_info(path)
    assert (info["records"], info["transitions_logged"], info["transitions"]) == (26, 22, 16)
    assert (info["episodes"], info["successes"], info["failures"], info["not_judged"]) == (
        3,
        1,
        1,
        1,
    )
    assert info["length"] == {"min": 4.0, "median": 5.0, "mean": pytest.approx(16 / 3), "max": 7.0}
    assert info["return"]["max"] == 1.0
    assert info["sources"] == {"policy": 14, "human": 2}
    assert info["human_share"] == pytest.approx(2 / 16)
    assert (info["interventions"], info["amendments"]) == (1, {"discard": 1})
    assert info["meta"] == {"task": "lift"}
    assert info["bytes"] == list_segments(path)[0].stat().st_size
    assert verify(path) == {
        "path": str(path),
        "ok": True,
        "records": 26,
        "chunks": 4,
        "segments": 1,
        "amendments": 1,
        "sequence_gaps": 0,
        "torn_tail": "",
    }


def test_an_empty_dataset_can_be_described(tmp_path: Path) -> None:
    LogWriter.create(tmp_path / "log", SPEC).close()
    assert dataset_info(tmp_path / "log")["episodes"] == 0
    assert verify(tmp_path / "log")["records"] == 0


def test_verify_reports_a_torn_tail_and_refuses_damage(path: Path) -> None:
    file = list_segments(path)[0]
    data = file.read_bytes()
    file.write_bytes(data[:-4])
    assert "cut off" in verify(path)["torn_tail"]
    file.write_bytes(data[:150] + b"\xff" + data[151:])
    with pytest.raises(DataError, match=f"{file.name} at byte 0"):
        verify(path)
