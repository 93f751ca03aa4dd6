"""What replay refuses: too much memory, too small a ring, bad records, reading too far ahead."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from log_streams import SPEC, chunk_header, episode

from robot_rl.data import log_writer, store
from robot_rl.data import replay as replay_module
from robot_rl.data.log_reader import LogReader
from robot_rl.data.log_writer import LogWriter
from robot_rl.data.replay import Replay
from robot_rl.errors import ConfigError, DataError, PoisonedDataError, SpecError
from robot_rl.ingest import log_committer
from robot_rl.runtime.feed import Feeder
from robot_rl.specs import ArraySpec
from robot_rl.types import Array
from robot_rl.wire.chunk import pack_header
from robot_rl.wire.record import poisoned


def test_too_much_memory_is_refused_before_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"need \d+\.\d+ GB; free here: .*replay\.capacity"):
        Replay(SPEC, 10**12)
    with pytest.raises(ConfigError, match=r"the memory limit: 0\.01 GB, enough for \d+ rows"):
        Replay(SPEC, 10**6, memory_limit_gb=0.01)
    taken: list[object] = []
    monkeypatch.setattr(store.np, "zeros", lambda *a, **k: taken.append(a))
    with pytest.raises(ConfigError):
        Replay(SPEC, 10**12)
    assert not taken


@pytest.mark.parametrize(("capacity", "streams"), [(1, 1), (5, 3), (100, 0)])
def test_a_ring_too_small_is_refused(capacity: int, streams: int) -> None:
    with pytest.raises(ConfigError, match="at least 2 rows an actor"):
        Replay(SPEC, capacity, streams=streams)


def test_reading_too_far_ahead_is_an_error_not_another_sample() -> None:
    replay = Replay(SPEC, 20, slack=4)
    for number in range(5):
        rows = episode(5, number=number, sequence=6 * number)
        replay.extend(chunk_header(rows, 6 * number), rows)
    assert replay.size("online", 26) > 0
    with pytest.raises(DataError, match="at most 4 may be read ahead"):
        replay.sample(1, np.random.default_rng(0), upper=25)


def test_values_are_looked_at_once_on_the_way_from_an_actor_into_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    for module in (log_committer, log_writer, replay_module):
        name = module.__name__

        def counted(records: Array, name: str = name) -> str:
            looks.append(name)
            return poisoned(records)

        monkeypatch.setattr(module, "poisoned", counted)
    with LogWriter.create(tmp_path / "log", SPEC) as log:
        rows = episode(4)
        committer = log_committer.LogCommitter(log, rows.dtype, 0.0)
        book = log_committer.LifeBook("a", 1)
        committer.take(book, pack_header(chunk_header(rows, 0)), rows.tobytes())
        committer.commit(book)
        replay = Replay(SPEC, 100)
        Feeder(LogReader(tmp_path / "log"), replay).advance(4)
    assert replay.size("online") == 4
    assert looks == ["robot_rl.ingest.log_committer"]


def test_bad_records_are_refused() -> None:
    replay = Replay(SPEC, 100, datasets={"demo": 10})
    rows = episode(4)
    for name in ("action", "reward", "obs.state"):
        bad = rows.copy()
        bad[name][2] = np.inf
        with pytest.raises(PoisonedDataError, match=f"dataset for 'demo'.*{name} of sequence 2"):
            replay.add("demo", bad)
    other = replace(SPEC, observation=(ArraySpec("state", (4,)),))
    with pytest.raises(SpecError, match="another dtype"):
        replay.extend(chunk_header(rows, 0), episode(4, spec=other))
    replay.extend(chunk_header(rows, 0), rows)
    with pytest.raises(DataError, match="position 0 after 5"):
        replay.extend(chunk_header(rows, 0), rows)
    with pytest.raises(ConfigError, match="unknown pool 'demos': did you mean 'demo'"):
        replay.sample(1, np.random.default_rng(0), pool="demos")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="nothing to sample in the demo pool"):
        replay.sample(1, np.random.default_rng(0), pool="demo")
