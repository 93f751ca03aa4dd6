"""Disks that fill up at the worst moment: a new segment of the spool or the log has no room."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from fault_recorder import read_log

from robot_rl.data.log_writer import LogWriter
from robot_rl.errors import DataError
from robot_rl.testing.wire_harness import small_spec
from robot_rl.wire import spool as spool_module
from robot_rl.wire.chunk import ChunkHeader, ChunkKind, make_header
from robot_rl.wire.spool import Spool
from robot_rl.wire.spool_segment import Life, new_segment

SPEC = small_spec(state=3, action=2)
LIFE = Life("a", 1, 100, SPEC.to_json())


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def chunk(first: int, count: int = 20) -> tuple[ChunkHeader, bytes]:
    payload = bytes([first % 256]) * 100 * count
    header = make_header(
        ChunkKind.RECORDS,
        payload,
        actor="a",
        epoch=1,
        first_sequence=first,
        count=count,
        record_bytes=100,
    )
    return header, payload


def test_a_segments_head_that_did_not_fit_is_no_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pwrite", lambda handle, data, place: len(data) // 2)
    with pytest.raises(OSError, match=r"of \d+ bytes"):
        new_segment(tmp_path / "1.spool", LIFE, 0, None)
    assert not list(tmp_path.iterdir())


def test_acknowledged_room_is_used_again_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path / "spool", 40_000)
    spool.begin(LIFE)
    for first in range(0, 100, 20):
        spool.append(*chunk(first))
    monkeypatch.setattr(spool_module, "new_segment", full)
    spool.acknowledge(1, 100)
    assert spool.size < 2000
    assert spool.peek() is None
    for first in range(100, 180, 20):
        spool.append(*chunk(first))
    spool.close()
    monkeypatch.undo()
    again = Spool(tmp_path / "spool", 40_000)
    found = []
    while (spooled := again.peek()) is not None:
        found.append(spooled.next_sequence)
        again.advance(spooled)
    again.close()
    assert found == [120, 140, 160, 180]
    assert again.torn == ""


def test_a_write_that_failed_gives_acknowledged_room_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path / "spool", 1 << 30)
    spool.begin(LIFE)
    spool.append(*chunk(0))
    spool.acknowledge(1, 20)
    monkeypatch.setattr(os, "pwritev", full)
    with pytest.raises(OSError, match="No space"):
        spool.append(*chunk(20))
    monkeypatch.undo()
    assert spool.size < 2000
    spool.append(*chunk(20))
    assert spool.peek() is not None
    spool.close()


def test_a_log_without_room_for_a_segment_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    from robot_rl.wire.record import record_dtype

    def records(first: int) -> Any:
        rows = np.zeros(5, record_dtype(SPEC))
        rows["sequence"] = np.arange(first, first + 5)
        return rows

    log = LogWriter.create(tmp_path / "log", SPEC)
    log.segment_bytes = 100
    log.append_records(records(0), "a", 1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", full)
        for _ in range(3):
            with pytest.raises(DataError, match=r"No space left on device; nothing was appended"):
                log.append_records(records(5), "a", 1)
    for first in (5, 10, 15):
        log.append_records(records(first), "a", 1)
    log.close()
    assert [row.sequence for row in read_log(tmp_path / "log")] == list(range(20))
