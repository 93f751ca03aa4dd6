"""LogCommitter on a real log: duplicates, overlaps, gaps, poison, unwritable logs, count_log."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from crc32c import crc32c

from robot_rl.data.log_reader import LogReader
from robot_rl.data.log_writer import LogWriter
from robot_rl.data.quarantine import Quarantine
from robot_rl.errors import DataError
from robot_rl.ingest.log_committer import Gap, LifeBook, LogCommitter
from robot_rl.ingest.log_counts import count_log
from robot_rl.ingest.sessions import Sessions
from robot_rl.testing.wire_harness import small_spec
from robot_rl.types import Array, Purpose
from robot_rl.wire.chunk import ChunkKind, make_header, pack_header
from robot_rl.wire.record import Kind, poisoned, record_dtype

SPEC = small_spec(state=3, action=2)
DTYPE = record_dtype(SPEC)


def records(first: int, count: int, *, spec_dtype: np.dtype = DTYPE) -> Array:
    rows = np.zeros(count, spec_dtype)
    rows["sequence"] = np.arange(first, first + count)
    rows["kind"] = np.where(rows["sequence"] % 10 == 0, Kind.START, Kind.STEP)
    rows["obs.state"] = rows["sequence"][:, None]
    return rows


def message(rows: Array, *, epoch: int = 1, first: int | None = None) -> tuple[bytes, bytes]:
    payload = rows.tobytes()
    header = make_header(
        ChunkKind.RECORDS,
        payload,
        actor="a",
        epoch=epoch,
        first_sequence=int(rows["sequence"][0]) if first is None else first,
        count=len(rows),
        record_bytes=rows.dtype.itemsize,
    )
    return pack_header(header), payload


@pytest.fixture
def log(tmp_path: Path) -> LogWriter:
    return LogWriter.create(tmp_path / "log", SPEC)


def logged(log: LogWriter) -> list[int]:
    chunks = LogReader(log.path).poll()
    return [int(n) for chunk in chunks for n in chunk.records["sequence"]]


def test_duplicates_and_overlaps_are_logged_once(log: LogWriter) -> None:
    committer, book = LogCommitter(log, DTYPE, 0.0), LifeBook("a", 1)
    for first, count in ((0, 5), (0, 5), (3, 4), (0, 7), (7, 1)):
        committer.take(book, *message(records(first, count)))
    committer.commit(book)
    committer.take(book, *message(records(6, 4)))
    committer.commit(book)
    assert logged(log) == list(range(10))
    assert [b.acknowledged for b in committer.durable()] == [10, 10]
    assert (book.records, book.account.steps) == (10, 9)


@pytest.mark.parametrize("seed", range(10))
def test_any_order_of_resends_gives_each_record_once(log: LogWriter, seed: int) -> None:
    rng = np.random.default_rng(seed)
    committer, book = LogCommitter(log, DTYPE, 0.0), LifeBook("a", 1)
    while book.expected < 500:
        first = int(rng.integers(max(0, book.expected - 30), book.expected + 1))
        committer.take(book, *message(records(first, int(rng.integers(1, 40)))))
        if rng.random() < 0.3:
            committer.commit(book)
    committer.commit(book)
    assert logged(log) == list(range(book.next_sequence))


def test_gap_and_damage_are_refused(log: LogWriter) -> None:
    committer, book = LogCommitter(log, DTYPE, 0.0), LifeBook("a", 1)
    with pytest.raises(Gap, match="sequence 3; expected 0"):
        committer.take(book, *message(records(3, 2)))
    with pytest.raises(Gap, match="without a handshake"):
        committer.take(book, *message(records(0, 2), epoch=2))
    head, body = message(records(0, 2))
    with pytest.raises(DataError, match="checksum"):
        committer.take(book, head, bytes([body[0] ^ 1]) + body[1:])
    with pytest.raises(DataError, match="records of"):
        committer.take(book, *message(records(0, 2, spec_dtype=record_dtype(small_spec()))))
    committer.commit(book)
    assert logged(log) == []


@pytest.mark.parametrize("bad", [[0], [4], [9], [0, 1, 9], list(range(10))])
def test_poisoned_records_stay_out_and_the_rest_goes_in(log: LogWriter, bad: list[int]) -> None:
    committer, book = LogCommitter(log, DTYPE, 0.0), LifeBook("a", 1)
    rows = records(0, 10)
    rows["obs.state"][bad] = np.nan
    committer.take(book, *message(rows))
    committer.take(book, *message(records(10, 3)))
    committer.commit(book)
    assert logged(log) == [n for n in range(13) if n not in bad]
    assert committer.quarantined == book.quarantined == len(bad)
    assert book.acknowledged == 13


def test_record_that_lies_about_its_sequence_is_quarantined(log: LogWriter, capsys) -> None:
    committer, book = LogCommitter(log, DTYPE, 0.0), LifeBook("a", 1)
    rows = records(0, 4)
    rows["sequence"][2] = 77
    committer.take(book, *message(rows))
    committer.commit(book)
    assert logged(log) == [0, 1, 3]
    assert "WARN quarantined record 2 of actor 'a': it says sequence 77" in capsys.readouterr().err


def test_acknowledged_only_after_the_sync(log: LogWriter) -> None:
    committer, book = LogCommitter(log, DTYPE, 5.0), LifeBook("a", 1)
    assert committer.syncer is not None
    committer.take(book, *message(records(0, 4)))
    committer.commit(book)
    done: list[LifeBook] = []
    while not done:
        done = committer.durable()
    assert done[0].acknowledged == 4
    assert committer.syncer.durable == 1
    committer.close()


def test_log_that_cannot_be_written_acknowledges_nothing(log: LogWriter, monkeypatch) -> None:
    committer, book = LogCommitter(log, DTYPE, 0.0), LifeBook("a", 1)
    committer.take(book, *message(records(0, 4)))
    monkeypatch.setattr(log, "append", _refuse)
    with pytest.raises(DataError, match="no space"):
        committer.commit(book)
    assert committer.durable() == []
    monkeypatch.undo()
    committer.take(book, *message(records(0, 4)))
    committer.commit(book)
    assert logged(log) == [0, 1, 2, 3]


def _refuse(*_: object, **__: object) -> None:
    raise DataError("no space")


@pytest.mark.parametrize(("image", "codec"), [(0, "raw"), (64, "raw"), (16, "png")])
def test_census_counts_what_a_log_has(tmp_path: Path, image: int, codec: str) -> None:
    spec = small_spec(state=3, action=2, image=image)
    writer = LogWriter.create(tmp_path / "log", spec, codec=codec)
    for epoch, count in ((1, 25), (2, 7)):
        writer.append_records(records(0, count, spec_dtype=record_dtype(spec)), "a", epoch)
    writer.append_records(records(25, 5, spec_dtype=record_dtype(spec)), "a", 1)
    tested = records(7, 9, spec_dtype=record_dtype(spec))
    tested["purpose"], tested["episode"] = Purpose.EVALUATION, 4
    writer.append_records(tested, "a", 2)
    writer.close()
    found = count_log(tmp_path / "log")
    counts = {key: (c.records, c.steps, c.episodes) for key, c in found.items()}
    assert counts == {("a", 1): (30, 27, 1), ("a", 2): (16, 6, 5)}


def test_steps_of_evaluation_use_up_no_credit(log: LogWriter) -> None:
    """Also where they are poisoned, and after a restart."""
    kept = Quarantine(log.path)
    committer, book = LogCommitter(log, DTYPE, 0.0, kept), LifeBook("a", 1)
    rows = records(0, 30)
    rows["purpose"][10:20] = Purpose.EVALUATION
    rows["reward"][[5, 15]] = np.nan
    committer.take(book, *message(rows))
    committer.commit(book)
    assert (committer.steps, committer.quarantined) == (9 + 9 - 1, 2)
    assert book.account.steps == 9 + 9, "the poisoned training step was taken"
    committer.close()
    count, again = count_log(log.path)["a", 1], Quarantine(log.path)
    following = again.following("a", 1, 30)
    found = Sessions().restore("a", 1, following, count, again.uncounted["a", 1])
    assert (found.account.steps, found.records) == (18, 28)


def test_a_chunk_is_checksummed_and_looked_through_once(
    log: LogWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On its way into the log; joined ones get a checksum of their own besides."""
    from robot_rl.data import log_writer
    from robot_rl.ingest import log_committer
    from robot_rl.wire import chunk

    summed, looked = [], []

    def crc(data: bytes, value: int = 0) -> int:
        if len(data) > 1000:
            summed.append(len(data))
        return int(crc32c(data, value))

    def look(rows: Array) -> str:
        looked.append(len(rows))
        return poisoned(rows)

    monkeypatch.setattr(chunk, "crc32c", crc)
    for module in (log_committer, log_writer):
        monkeypatch.setattr(module, "poisoned", look)
    committer, book = LogCommitter(log, DTYPE, 0.0), LifeBook("a", 1)
    first = message(records(0, 1000))
    summed.clear()
    committer.take(book, *first)
    committer.commit(book)
    assert (summed, looked) == ([1000 * DTYPE.itemsize], [1000])
    assert len(logged(log)) == 1000
