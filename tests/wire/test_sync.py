"""Background syncs: what is reported durable is, and a spool is synced only where it must be."""

from __future__ import annotations

import time
from pathlib import Path

from robot_rl.wire.chunk import ChunkKind, make_header
from robot_rl.wire.spool import Spool
from robot_rl.wire.spool_segment import Life
from robot_rl.wire.sync import SpoolSync, Syncer


def wait(condition) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_durable_follows_what_a_sync_has_covered() -> None:
    calls: list[float] = []
    syncer = Syncer(lambda: calls.append(time.monotonic()), 0.001)
    assert syncer.durable == 0
    syncer.mark(3)
    wait(lambda: syncer.durable == 3)
    syncer.mark(9)
    syncer.close()
    assert syncer.durable == 9
    assert calls


def test_disk_error_is_kept_and_nothing_is_durable() -> None:
    def broken() -> None:
        raise OSError(5, "Input/output error")

    syncer = Syncer(broken, 0.001)
    syncer.mark(1)
    wait(lambda: syncer.error is not None)
    syncer.close()
    assert syncer.durable == 0


def put(spool: Spool, first: int) -> None:
    payload = first.to_bytes(8, "little")
    header = make_header(
        ChunkKind.RECORDS,
        payload,
        actor="a",
        epoch=1,
        first_sequence=first,
        count=1,
        record_bytes=8,
    )
    spool.begin(Life("a", 1, 8, b"{}"))
    spool.append(header, payload)


def test_spool_is_synced_only_for_what_is_not_acknowledged_in_time(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 20)
    sync = SpoolSync(spool, 2.0)
    put(spool, 0)
    sync.tick(10.0)
    spool.acknowledge(1, 1)
    sync.tick(11.5)
    time.sleep(0.05)
    assert spool.segments[0].dirty, "acknowledged: durable in the log, no sync here"
    put(spool, 1)
    sync.tick(13.0)
    sync.tick(14.5)
    wait(lambda: not spool.segments[0].dirty)
    put(spool, 2)
    sync.close()
    assert not spool.segments[0].dirty


def test_what_a_dead_process_left_is_synced(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 20)
    put(spool, 0)
    spool.close()
    again = Spool(tmp_path, 1 << 20)
    sync = SpoolSync(again, 2.0)
    sync.tick(10.0)
    wait(lambda: not again.segments[0].dirty)
    sync.close()
