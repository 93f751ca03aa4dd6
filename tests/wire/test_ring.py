"""The ring: order, bounds, a writer that dies, a reader that dies, damaged slots."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from robot_rl.errors import DataError, WireError
from robot_rl.wire.ring import RingReader, RingWriter, ring_paths


def record(number: int, size: int = 24) -> bytes:
    return number.to_bytes(8, "little") * (size // 8)


def make(folder: Path, slots: int = 8, epoch: int = 5) -> RingWriter:
    return RingWriter(folder, "a", epoch, b'{"spec": 1}', 24, slots)


def test_reads_what_was_written_and_knows_whose_it_is(tmp_path: Path) -> None:
    writer = make(tmp_path)
    reader = RingReader(writer.path)
    assert reader.identity == writer.identity
    assert (reader.identity.actor, reader.identity.epoch) == ("a", 5)
    assert reader.identity.spec == b'{"spec": 1}'
    for number in range(5):
        assert writer.try_write(record(number))
    assert reader.depth == 5
    assert reader.read(3) == record(0) + record(1) + record(2)
    assert reader.read(99) == record(3) + record(4)
    assert reader.read(99) == b""


def test_full_ring_refuses_and_goes_on_after_release(tmp_path: Path) -> None:
    writer = make(tmp_path, slots=4)
    reader = RingReader(writer.path)
    assert [writer.try_write(record(n)) for n in range(6)] == [True] * 4 + [False] * 2
    reader.read(2)
    assert not writer.try_write(record(4)), "read is not released: the reader could still die"
    reader.release()
    assert writer.room == 2
    assert writer.try_write(record(4))
    assert reader.read(2) == record(2) + record(3)
    assert reader.read(2) == record(4)


def test_many_laps_keep_order(tmp_path: Path) -> None:
    writer = make(tmp_path, slots=7)
    reader = RingReader(writer.path)
    seen: list[int] = []
    written = 0
    while len(seen) < 1000:
        while written < 1000 and writer.try_write(record(written)):
            written += 1
        payload = reader.read(3)
        seen += [int.from_bytes(payload[i : i + 8], "little") for i in range(0, len(payload), 24)]
        reader.release()
    assert seen == list(range(1000))


def test_reader_that_died_before_release_reads_again(tmp_path: Path) -> None:
    writer = make(tmp_path)
    for number in range(3):
        writer.try_write(record(number))
    first = RingReader(writer.path)
    assert len(first.read(9)) == 72
    first.close()
    second = RingReader(writer.path)
    assert second.read(9) == record(0) + record(1) + record(2)
    second.release()
    third = RingReader(writer.path)
    assert third.depth == 0
    third.seek(2)
    assert third.position == 3, "never before what was released"


@pytest.mark.parametrize("offset", [0, 8, 16, 30])
def test_damaged_slot_is_not_given_out(tmp_path: Path, offset: int) -> None:
    writer = make(tmp_path)
    for number in range(3):
        writer.try_write(record(number))
    data = bytearray(writer.path.read_bytes())
    place = 8192 + 40 + offset  # slot 1 of 16 + 24 bytes
    with writer.path.open("r+b") as file:
        file.seek(place)
        file.write(bytes([data[place] ^ 0x5A]))
    assert RingReader(writer.path).read(9) == record(0)


def test_wrong_record_size_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WireError, match="a record of 23 bytes; valid: 24"):
        make(tmp_path).try_write(b"x" * 23)


WRITER = """
import sys
from pathlib import Path
from robot_rl.wire.ring import RingWriter
ring = RingWriter(Path(sys.argv[1]), "a", 7, b"{}", 24, 64)
for number in range(40):
    ring.try_write(number.to_bytes(8, "little") * 3)
print("UP", flush=True)
sys.stdin.read()
"""


def test_records_outlive_a_killed_writer_and_a_new_life_gets_a_ring_of_its_own(
    tmp_path: Path,
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"UP\n"
    reader = RingReader(ring_paths(tmp_path, "a")[0])
    assert reader.writer_alive()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not reader.writer_alive()
    writer = make(tmp_path, epoch=8)
    assert writer.identity.generation == 2
    assert ring_paths(tmp_path, "a") == [reader.path, writer.path]
    assert reader.read(99) == b"".join(record(number) for number in range(40))
    reader.release()
    reader.close(remove=True)
    assert ring_paths(tmp_path, "a") == [writer.path]


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    for data in (b"", b"short", b"\0" * 8192, b"RRLRING1" + b"\xff" * 9000):
        path = tmp_path / "a.00000001.ring"
        path.write_bytes(data)
        with pytest.raises(DataError, match="ring"):
            RingReader(path)
