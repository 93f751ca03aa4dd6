"""Datasets that are missing, of another version, torn, corrupt, or on a full disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from log_streams import SPEC, episode, rows_of, write_log

from robot_rl.data import codec, segments
from robot_rl.data.log_reader import LogReader
from robot_rl.data.log_writer import LogWriter
from robot_rl.data.segments import list_segments
from robot_rl.errors import DataError
from robot_rl.specs import ArraySpec
from robot_rl.wire.chunk import HEADER_BYTES, ChunkKind, make_header, pack_header
from robot_rl.wire.record import record_dtype

TESTS = Path(__file__).parent


def test_a_missing_dataset_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such dataset folder"):
        LogReader(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no manifest\.json"):
        LogWriter.open(tmp_path, SPEC)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("version", 3, r"format version 3; this reads \(1, 2\)"),
        ("format", "other", "format 'other'"),
        ("codec", "pgn", "did you mean 'png'"),
        ("spec_sha256", "0" * 64, "do not belong together"),
        ("spec", {"name": "x"}, "not an environment specification"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(
    tmp_path: Path, key: str, value: object, message: str
) -> None:
    write_log(tmp_path / "log", 1)
    file = tmp_path / "log" / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    with pytest.raises(DataError, match=message):
        LogReader(tmp_path / "log")


def test_an_unreadable_manifest_is_refused(tmp_path: Path) -> None:
    write_log(tmp_path / "log", 1)
    (tmp_path / "log" / "manifest.json").write_text("{")
    with pytest.raises(DataError, match=r"manifest\.json"):
        LogReader(tmp_path / "log")


@pytest.mark.parametrize("cut", [1, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 50])
def test_a_torn_tail_is_moved_aside_and_nothing_good_lost(tmp_path: Path, cut: int) -> None:
    written = write_log(tmp_path / "log", 4)
    file = list_segments(tmp_path / "log")[0]
    chunk = file.stat().st_size // 4
    torn = file.read_bytes()[3 * chunk : 3 * chunk + cut]
    os.truncate(file, 3 * chunk + cut)
    reader = LogReader(tmp_path / "log")
    assert len(rows_of(reader)) == 18, "an unfinished chunk is not there yet"
    with LogWriter.open(tmp_path / "log", SPEC) as log:
        assert "cut off" in log.torn
        assert (log.position, log.last_sequence("a", 1)) == (18, 17)
        log.append_records(written[18:], "a", 1)
    assert [f.read_bytes() for f in (tmp_path / "log").glob("*.torn")] == [torn]
    assert rows_of(reader).tobytes() == written[18:].tobytes(), "a reader goes on over the repair"
    assert rows_of(LogReader(tmp_path / "log")).tobytes() == written.tobytes()


def test_a_damaged_last_chunk_is_a_torn_tail(tmp_path: Path) -> None:
    written = write_log(tmp_path / "log", 3)
    file = list_segments(tmp_path / "log")[0]
    data = bytearray(file.read_bytes())
    data[-100:] = bytes(100)
    file.write_bytes(data)
    with pytest.raises(DataError, match=r"\.segment at byte \d+: the payload's checksum"):
        rows_of(LogReader(tmp_path / "log"))
    with LogWriter.open(tmp_path / "log", SPEC) as log:
        assert "checksum" in log.torn
        assert log.position == 12
    assert rows_of(LogReader(tmp_path / "log")).tobytes() == written[:12].tobytes()


@pytest.mark.parametrize("place", ["header", "payload"])
def test_a_corrupt_middle_is_refused_by_name_and_left_alone(tmp_path: Path, place: str) -> None:
    write_log(tmp_path / "log", 5)
    file = list_segments(tmp_path / "log")[0]
    chunk = file.stat().st_size // 5
    data = bytearray(file.read_bytes())
    data[2 * chunk + (10 if place == "header" else 200)] ^= 0x40
    file.write_bytes(data)
    with pytest.raises(DataError, match=rf"{file.name} at byte {2 * chunk}: .*checksum"):
        rows_of(LogReader(tmp_path / "log"))
    with pytest.raises(DataError, match=rf"at byte {2 * chunk}: .*corrupt, not torn"):
        LogWriter.open(tmp_path / "log", SPEC)
    assert file.read_bytes() == bytes(data)


def test_a_missing_middle_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with LogWriter.create(path, SPEC) as log:
        log.segment_bytes = 1200
        for i in range(10):
            log.append_records(episode(5, number=i, sequence=6 * i), "a", 1)
    whole = tmp_path / "whole"
    shutil.copytree(path, whole)
    list_segments(path)[1].unlink()
    with pytest.raises(DataError, match="records come before it"):
        LogWriter.open(path, SPEC)
    with pytest.raises(DataError, match=r"0000\.segment is missing|0+12\.segment is missing"):
        rows_of(LogReader(path))
    cut = list_segments(whole)[0]
    os.truncate(cut, cut.stat().st_size - 5)
    with pytest.raises(DataError, match="cut off, yet the log goes on"):
        rows_of(LogReader(whole))
    with pytest.raises(DataError, match="cut off, yet the log goes on"):
        LogWriter.open(whole, SPEC)


FULL_DISK = """
import resource, signal, sys
sys.path.insert(0, sys.argv[2])
from log_streams import SPEC, episode
from robot_rl.data.log_writer import LogWriter
from robot_rl.errors import DataError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
with LogWriter.create(sys.argv[1], SPEC) as log:
    refused = 0
    for number in range(100):
        try:
            log.append_records(episode(5, number=number, sequence=log.position), "a", 1)
        except DataError as error:
            refused += 1
            assert "nothing was appended" in str(error), error
    assert refused > 50
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    log.append_records(episode(5, number=100, sequence=log.position), "a", 1)
    print(log.position)
"""


def test_a_full_disk_leaves_the_log_whole(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "log"), str(TESTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    records = rows_of(LogReader(tmp_path / "log"))
    assert len(records) == int(done.stdout)
    assert records["sequence"].tolist() == list(range(len(records)))


def test_chunks_within_chunks_do_not_cost_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each header claims everything behind it: looked at one by one, time grows with the square."""
    count, inner = 2000, b""
    for _ in range(count):
        header = make_header(
            ChunkKind.RECORDS, inner, actor="a", epoch=1, first_sequence=0, count=1, record_bytes=1
        )
        inner = pack_header(replace(header, payload_crc=1)) + inner
    file = tmp_path / segments.segment_name(0)
    file.write_bytes(b"damage" + inner)
    read: list[int] = []
    look = segments.read_payload

    def counted(handle: int, entry: segments.Entry, path: Path) -> bytes:
        read.append(entry.header.payload_bytes)
        return look(handle, entry, path)

    monkeypatch.setattr(segments, "read_payload", counted)
    with pytest.raises(DataError, match="damaged beyond what can be told apart"):
        segments.check_segment(file)
    assert 0 < sum(read) <= segments.SEARCH_PASSES * file.stat().st_size


def test_a_chunk_that_decodes_to_more_than_a_chunk_may_have_is_refused() -> None:
    """Before anything is allocated: two megabytes would otherwise ask for sixteen gigabytes."""
    camera = ArraySpec("camera", (640, 512, 3), "uint8", 0, 255)
    spec = replace(SPEC, observation=(*SPEC.observation, camera))
    count = 1 << 14
    payload = bytes(count * (codec.lean_dtype(record_dtype(spec), spec).itemsize + 4))
    for read in (codec.decode, codec.decode_lean):
        with pytest.raises(DataError, match="decoded bytes; at most"):
            read(payload, count, spec)
