"""The spool: order over lives, acknowledgement, bounds, torn ends, one owner."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from robot_rl.errors import InUseError
from robot_rl.wire import spool as module
from robot_rl.wire.chunk import ChunkKind, make_header
from robot_rl.wire.spool import Spool
from robot_rl.wire.spool_segment import Life, Spooled


def life(epoch: int) -> Life:
    return Life("a", epoch, 8, b"{}")


def put(spool: Spool, epoch: int, first: int, count: int = 1, *, size: int = 8) -> None:
    payload = b"".join(n.to_bytes(8, "little") for n in range(first, first + count))
    payload *= size // 8
    header = make_header(
        ChunkKind.RECORDS,
        payload,
        actor="a",
        epoch=epoch,
        first_sequence=first,
        count=count,
        record_bytes=size,
    )
    spool.begin(life(epoch))
    spool.append(header, payload)


def drain(spool: Spool) -> list[Spooled]:
    chunks = []
    while (chunk := spool.peek()) is not None:
        chunks.append(chunk)
        spool.advance(chunk)
    return chunks


def places(chunks: list[Spooled]) -> list[tuple[int, int]]:
    return [(chunk.life.epoch, chunk.next_sequence) for chunk in chunks]


@pytest.mark.parametrize("fresh", [0, 200, 1 << 20])
def test_chunks_come_in_order_over_lives_from_memory_or_disk(tmp_path: Path, fresh: int) -> None:
    spool = Spool(tmp_path, 1 << 30, fresh_bytes=fresh)
    expected = []
    for epoch in (1, 2, 3):
        for first in (0, 2, 4):
            put(spool, epoch, first, 2)
            expected.append((epoch, first + 2))
    chunks = drain(spool)
    assert places(chunks) == expected
    assert chunks[1].payload == (2).to_bytes(8, "little") + (3).to_bytes(8, "little")
    spool.rewind()
    assert places(drain(spool)) == expected


def test_acknowledged_segments_go_and_sizes_follow(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "SEGMENT_BYTES", 500)
    monkeypatch.setattr(module, "SMALL_SEGMENT", 100)
    spool = Spool(tmp_path, 1 << 30)
    for first in range(50):
        put(spool, 1, first)
    assert len(spool.segments) > 5
    assert spool.size == sum(path.stat().st_size for path in tmp_path.glob("*.spool"))
    spool.acknowledge(1, 25)
    assert places(drain(spool))[0][1] <= 26
    assert spool.segments[0].first_sequence <= 25
    spool.acknowledge(1, 50)
    assert len(spool.segments) == 1
    assert spool.segments[0].empty
    assert spool.next_sequence(1) == 50, "goes on where it was, though all is forgotten"
    put(spool, 1, 50)
    assert places(drain(spool)) == [(1, 51)]


def test_reopened_spool_has_everything(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 30)
    put(spool, 1, 0, 3)
    put(spool, 2, 0, 2)
    spool.close()
    again = Spool(tmp_path, 1 << 30)
    assert again.next_sequence(1) == 3
    assert again.next_sequence(2) == 2
    assert places(drain(again)) == [(1, 3), (2, 2)]
    put(again, 2, 2)
    assert places(drain(again)) == [(2, 3)]


def test_every_torn_end_is_cut_off(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "whole", 1 << 30)
    put(spool, 1, 0)
    good = spool.segments[-1].size
    put(spool, 1, 1)
    spool.close()
    (path,) = (tmp_path / "whole").glob("*.spool")
    data = path.read_bytes()
    for end in range(good, len(data)):
        folder = tmp_path / f"torn-{end}"
        folder.mkdir()
        (folder / path.name).write_bytes(data[:end])
        torn = Spool(folder, 1 << 30)
        assert torn.next_sequence(1) == 1
        assert bool(torn.torn) == (end > good)
        put(torn, 1, 1)
        assert places(drain(torn)) == [(1, 1), (1, 2)]
        torn.close()


def test_segment_torn_in_its_head_goes(tmp_path: Path) -> None:
    (tmp_path / "00000001.spool").write_bytes(b"RRLSP")
    spool = Spool(tmp_path, 1 << 30)
    assert spool.segments == []
    put(spool, 1, 0)
    assert places(drain(spool)) == [(1, 1)]


def test_full_disk_keeps_what_was_good(tmp_path: Path, monkeypatch) -> None:
    spool = Spool(tmp_path, 1 << 30)
    put(spool, 1, 0)
    real = os.pwritev

    def half(descriptor: int, buffers, offset: int) -> int:
        return real(descriptor, [bytes(buffers[0])[:40]], offset)

    monkeypatch.setattr(os, "pwritev", half)
    with pytest.raises(OSError, match="wrote 40 of"):
        put(spool, 1, 1)
    monkeypatch.undo()
    put(spool, 1, 1)
    assert places(drain(spool)) == [(1, 1), (1, 2)]
    assert spool.size == sum(path.stat().st_size for path in tmp_path.glob("*.spool"))


def test_bound_and_owner(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 300)
    put(spool, 1, 0)
    assert not spool.full
    put(spool, 1, 1)
    put(spool, 1, 2)
    assert spool.full
    with pytest.raises(InUseError, match=rf"{tmp_path} is in use by process {os.getpid()}"):
        Spool(tmp_path, 300)


def test_everything_acknowledged_leaves_no_file_at_the_end(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 30)
    put(spool, 1, 0)
    spool.sync()
    spool.close(acknowledged=True)
    assert list(tmp_path.glob("*.spool")) == []


def test_recycled_files_never_give_old_records_again(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "SEGMENT_BYTES", 500)
    monkeypatch.setattr(module, "SMALL_SEGMENT", 100)
    spool = Spool(tmp_path, 1 << 30)
    for first in range(40):
        put(spool, 1, first)
    spool.acknowledge(1, 40)
    spare = len(list(tmp_path.glob("*.spare")))
    assert 0 < spare <= module.SPARES
    put(spool, 1, 40)
    put(spool, 2, 0)
    put(spool, 2, 1)
    copy = tmp_path / "killed"  # what a kill -9 would leave: files longer than their chunks
    copy.mkdir()
    for path in tmp_path.glob("*.sp*"):
        (copy / path.name).write_bytes(path.read_bytes())
    again = Spool(copy, 1 << 30)
    assert places(drain(again)) == [(1, 41), (2, 1), (2, 2)]
    assert again.size == sum(path.stat().st_size for path in copy.glob("*.spool"))


def test_somebodys_files_are_left_alone(tmp_path: Path) -> None:
    """Also one named like a segment, but by no number; and numbers count as numbers."""
    (tmp_path / "copy.spool").write_bytes(b"mine")
    spool = Spool(tmp_path, 1 << 30)
    put(spool, 1, 0, 3)
    spool.close()
    (segment,) = (path for path in tmp_path.glob("*.spool") if path.stem != "copy")
    segment.rename(tmp_path / "9.spool")
    again = Spool(tmp_path, 1 << 30)
    put(again, 2, 0)
    assert places(drain(again)) == [(1, 3), (2, 1)]
    assert (tmp_path / "copy.spool").read_bytes() == b"mine"
    again.close()


def test_who_holds_the_lock_next_is_known_as_the_same(tmp_path: Path) -> None:
    spools = [Spool(tmp_path / name, 1 << 30) for name in "ab"]
    first, other = (spool.identity for spool in spools)
    assert first != other
    for spool in spools:
        spool.close()
    again = Spool(tmp_path / "a", 1 << 30)
    assert again.identity == first
    again.close()
