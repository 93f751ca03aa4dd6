"""The episode log: round trips, tailing, crashes, damage, and every refusal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from log_streams import IMAGE_SPEC, SPEC, chunk_header, episode, rows_of, write_log

from robot_rl.data import codec
from robot_rl.data.log_reader import LogReader
from robot_rl.data.log_writer import LogWriter
from robot_rl.data.segments import list_segments
from robot_rl.errors import DataError, InUseError, PoisonedDataError, SpecError
from robot_rl.specs import ArraySpec
from robot_rl.wire.chunk import HEADER_BYTES, ChunkKind, make_header

TESTS = Path(__file__).parent


def test_what_was_written_is_read_with_positions(tmp_path: Path) -> None:
    meta = {"task": "lift", "noise": 0.1}
    with LogWriter.create(tmp_path / "log", SPEC, meta=meta) as log:
        first, second = episode(4), episode(6, number=7, sequence=0)
        ours = log.append_records(first, "left", 11)
        theirs = log.append_records(second, "right", 12)
        assert (ours.position, theirs.position, log.position) == (0, 5, 12)
    reader = LogReader(tmp_path / "log", SPEC)
    chunks = reader.poll()
    assert [(c.header.actor, c.header.epoch, c.header.position) for c in chunks] == [
        ("left", 11, 0),
        ("right", 12, 5),
    ]
    assert chunks[0].records.tobytes() == first.tobytes()
    assert chunks[1].records.tobytes() == second.tobytes()
    assert reader.poll() == []
    assert reader.position == 12
    assert (reader.manifest.meta, reader.manifest.codec) == (meta, "raw")


def test_segments_roll_and_every_start_position_works(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with LogWriter.create(path, SPEC) as log:
        log.segment_bytes = 2000
        blocks = [episode(5, number=i, sequence=6 * i) for i in range(20)]
        for block in blocks:
            log.append_records(block, "a", 1)
    written = np.concatenate(blocks)
    assert len(list_segments(path)) > 3
    for position in range(len(written)):
        with LogReader(path, position=position) as reader:
            assert reader.position == position
            chunk = reader.poll(1)[0]
            assert chunk.header.position == position
            assert chunk.header.first_sequence == position
            left = np.concatenate([chunk.records, rows_of(reader)]) if position < 119 else None
        if left is not None:
            assert left.tobytes() == written[position:].tobytes()
    assert LogReader(path, position=120).poll() == []
    with pytest.raises(DataError, match="the log ends at 120"):
        LogReader(path, position=121)


def test_poll_gives_at_most_what_was_asked_for(tmp_path: Path) -> None:
    written = write_log(tmp_path / "log", 10)
    reader = LogReader(tmp_path / "log")
    parts = []
    while chunks := reader.poll(4):
        assert sum(chunk.header.count for chunk in chunks) <= 4
        assert all(len(chunk.records) == chunk.header.count for chunk in chunks)
        parts += [chunk.records for chunk in chunks]
    assert np.concatenate(parts).tobytes() == written.tobytes()


def test_an_opened_log_goes_on_with_its_sequences(tmp_path: Path) -> None:
    write_log(tmp_path / "log", 3)
    with LogWriter.open(tmp_path / "log", SPEC) as log:
        assert (log.position, log.torn) == (18, "")
        assert log.last_sequence("a", 1) == 17
        assert log.last_sequence("a", 2) == -1
        with pytest.raises(DataError, match="already has up to 17"):
            log.append_records(episode(5, sequence=12), "a", 1)
        assert log.append_records(episode(5, sequence=18), "a", 1).position == 18
        assert log.append_records(episode(5, sequence=0), "a", 2**64 - 1).position == 24
    assert LogWriter.open(tmp_path / "log", SPEC).epochs() == {("a", 1): 23, ("a", 2**64 - 1): 5}


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    written = write_log(tmp_path / "log", 2)
    with pytest.raises(DataError, match="not empty"):
        LogWriter.create(tmp_path / "log", SPEC)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("keep")
    with pytest.raises(DataError, match="not empty"):
        LogWriter.create(tmp_path / "notes", SPEC)
    assert rows_of(LogReader(tmp_path / "log")).tobytes() == written.tobytes()


def test_a_creation_that_was_cut_short_can_be_repeated(tmp_path: Path) -> None:
    write_log(tmp_path / "log", 1)
    (tmp_path / "log" / "manifest.json").rename(tmp_path / "log" / "manifest.json.draft")
    with pytest.raises(DataError, match="not empty"):
        LogWriter.create(tmp_path / "log", SPEC)  # records are there: not cut short, but broken
    list_segments(tmp_path / "log")[0].unlink()
    with LogWriter.create(tmp_path / "log", SPEC) as log:
        assert log.position == 0
    assert {file.suffix for file in (tmp_path / "log").iterdir()} == {".json", ".lock", ".segment"}


def test_a_folder_in_use_names_its_holder(tmp_path: Path) -> None:
    holder = LogWriter.create(tmp_path / "log", SPEC)
    with pytest.raises(InUseError, match=rf"log is in use by process {os.getpid()}"):
        LogWriter.open(tmp_path / "log", SPEC)
    holder.close()
    LogWriter.open(tmp_path / "log", SPEC).close()


def test_another_specification_lists_the_differences(tmp_path: Path) -> None:
    write_log(tmp_path / "log", 1)
    other = replace(SPEC, rate_hz=20.0, observation=(ArraySpec("state", (4,)),))
    for opening in (LogWriter.open, LogReader):
        with pytest.raises(SpecError) as caught:
            opening(tmp_path / "log", other)
        assert "rate_hz: 10.0 != 20.0" in str(caught.value)
        assert "observation" in str(caught.value)
    LogWriter.open(tmp_path / "log", SPEC).close()


@pytest.mark.parametrize("field", ["action", "reward", "obs.state", "proposed", "commanded"])
def test_nan_is_refused_and_nothing_is_appended(tmp_path: Path, field: str) -> None:
    with LogWriter.create(tmp_path / "log", SPEC) as log:
        block = episode(5)
        block[field][2] = np.nan
        with pytest.raises(PoisonedDataError, match=f"{field} of sequence 2"):
            log.append_records(block, "a", 1)
        assert (log.position, log.last_sequence("a", 1)) == (0, -1)
        log.append_records(episode(5), "a", 1)
    assert len(rows_of(LogReader(tmp_path / "log"))) == 6


def test_a_chunk_that_does_not_fit_its_header_is_refused(tmp_path: Path) -> None:
    block = episode(5)
    header, payload = chunk_header(block, 0), block.tobytes()
    with LogWriter.create(tmp_path / "log", SPEC) as log:
        with pytest.raises(DataError, match="checksum"):
            log.append(header, payload[:-1] + b"\x7f")
        with pytest.raises(DataError, match="bytes"):
            log.append(header, payload[:-1])
        with pytest.raises(DataError, match="header says 6 from 3"):
            log.append(replace(header, first_sequence=3), payload)
        with pytest.raises(DataError, match="another specification"):
            log.append(replace(header, record_bytes=1, count=len(payload)), payload)
        with pytest.raises(DataError, match="already has"):
            log.append_records(block[:0], "a", 1)
        assert log.position == 0


@pytest.mark.parametrize("noise", [False, True])
def test_png_gives_back_the_same_bytes(tmp_path: Path, noise: bool) -> None:
    block = episode(6, spec=IMAGE_SPEC)
    if not noise:
        block["obs.wrist"] = np.arange(12)[:, None, None] * 20
    for name in ("raw", "png"):
        with LogWriter.create(tmp_path / name, IMAGE_SPEC, codec=name) as log:
            header = log.append_records(block, "a", 1)
        assert header.kind == (ChunkKind.ENCODED if name == "png" else ChunkKind.RECORDS)
        assert rows_of(LogReader(tmp_path / name)).tobytes() == block.tobytes()
    lean = codec.decode_lean(codec.encode(block, IMAGE_SPEC), len(block), IMAGE_SPEC)
    assert "obs.wrist" not in lean.dtype.names
    np.testing.assert_array_equal(lean["obs.state"], block["obs.state"])
    sizes = {c: list_segments(tmp_path / c)[0].stat().st_size for c in ("raw", "png")}
    assert sizes["png"] < sizes["raw"] + 7 * 8 if noise else sizes["png"] < 0.7 * sizes["raw"]


def test_an_encoded_chunk_from_elsewhere_is_checked(tmp_path: Path) -> None:
    block = episode(3, spec=IMAGE_SPEC)
    with LogWriter.create(tmp_path / "one", IMAGE_SPEC, codec="png") as log:
        header = log.append_records(block, "a", 1)
    payload = list_segments(tmp_path / "one")[0].read_bytes()[HEADER_BYTES:]
    with LogWriter.create(tmp_path / "two", IMAGE_SPEC) as log:
        assert log.append(header, payload).kind == ChunkKind.ENCODED
    assert rows_of(LogReader(tmp_path / "two")).tobytes() == block.tobytes()


def test_an_encoded_chunk_that_does_not_decode_is_refused(tmp_path: Path) -> None:
    block = episode(1, spec=IMAGE_SPEC)
    block["obs.wrist"] = 7
    good = codec.encode(block, IMAGE_SPEC)
    start = good.index(b"\x89PNG")
    wide = good[: start + 16] + (1 << 30).to_bytes(4, "big") + good[start + 20 :]
    cases = {
        "image table says": good[:-1],
        "records need": good[:20],
        "not a PNG of shape": wide,
        "PNG|decode": good[: start + 30] + bytes(len(good) - start - 30),
    }
    with LogWriter.create(tmp_path / "log", IMAGE_SPEC) as log:
        for message, payload in cases.items():
            header = make_header(
                ChunkKind.ENCODED,
                payload,
                actor="a",
                epoch=1,
                first_sequence=0,
                count=2,
                record_bytes=block.dtype.itemsize,
            )
            with pytest.raises(DataError, match=message):
                log.append(header, payload)
        assert log.position == 0


def test_an_unknown_codec_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"unknown codec 'jpg'.*png, raw"):
        LogWriter.create(tmp_path / "log", SPEC, codec="jpg")
    assert not (tmp_path / "log").exists()


WRITER = """
import sys, time
sys.path.insert(0, sys.argv[2])
from log_streams import SPEC, episode
from robot_rl.data.log_writer import LogWriter
with LogWriter.create(sys.argv[1], SPEC) as log:
    log.segment_bytes = 20_000
    print("ready", flush=True)
    for number in range(int(sys.argv[3])):
        log.append_records(episode(5, number=number, sequence=6 * number), "a", 1)
"""


def start_writer(path: Path, episodes: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), str(TESTS), str(episodes)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_reader_follows_another_process(tmp_path: Path) -> None:
    with start_writer(tmp_path / "log", 400) as process:
        reader, parts = LogReader(tmp_path / "log", SPEC), []
        while process.poll() is None or not parts or reader.position < 2400:
            parts += [chunk.records for chunk in reader.poll(50)]
            assert process.returncode in (None, 0)
    records = np.concatenate(parts)
    assert records["sequence"].tolist() == list(range(2400))
    assert len(list_segments(tmp_path / "log")) > 2


def test_kill_9_costs_no_whole_chunk_and_frees_the_folder(tmp_path: Path) -> None:
    with start_writer(tmp_path / "log", 1_000_000) as process:
        reader = LogReader(tmp_path / "log", SPEC)
        while reader.position < 600:
            reader.poll()
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    seen = reader.position + sum(chunk.header.count for chunk in reader.chunks())
    with LogWriter.open(tmp_path / "log", SPEC) as log:
        assert log.position >= 600
        assert log.position == reader.position == max(seen, reader.position)
        assert log.last_sequence("a", 1) == log.position - 1
        log.append_records(episode(5, sequence=log.position), "a", 1)
    assert rows_of(LogReader(tmp_path / "log"))["sequence"].tolist() == list(range(log.position))
