"""Replay and log speeds, medians.

Observation 40, action 7 (state), and the same with two 128 x 128 x 3 cameras. "mixed": half
demonstrations, half online, back to back; "arriving": one new record before each sample, as in
training (not timed itself, but it turns the caches over).
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from answering import median_s

from robot_rl.data.log_reader import LogReader
from robot_rl.data.log_writer import LogWriter
from robot_rl.data.replay import Replay
from robot_rl.data.sampler import Sampler
from robot_rl.sampling import Sampling, demos_and_online
from robot_rl.specs import ArraySpec, EnvSpec
from robot_rl.types import Array, Source
from robot_rl.wire.chunk import ChunkHeader, ChunkKind, make_header
from robot_rl.wire.record import record_dtype

STATE = EnvSpec(
    name="bench/state",
    observation=(ArraySpec("state", (40,)),),
    action=ArraySpec("action", (7,), low=-1.0, high=1.0),
    command_layout=(("command", 8),),
    rate_hz=10.0,
)
CAMERAS = replace(
    STATE,
    name="bench/cameras",
    observation=(
        *STATE.observation,
        ArraySpec("wrist", (128, 128, 3), "uint8", 0, 255),
        ArraySpec("external", (128, 128, 3), "uint8", 0, 255),
    ),
)
BATCH = 256
LENGTH = 100
ACTOR = "bench"


def run(
    *,
    rows: int = 200_000,
    image_rows: int = 4_000,
    repeats: int = 1_000,
    folder: Path | None = None,
) -> dict[str, Any]:
    """Medians of `repeats`: µs and ms a call, bytes a transition, records and MB a second.

    folder: where the log is written (a temporary one by default; it is removed again).
    """
    result: dict[str, Any] = {"batch": BATCH, "rows": rows, "image_rows": image_rows}
    state, images = _filled(STATE, rows), _filled(CAMERAS, image_rows)
    result["state_mixed_us"] = 1e6 * _time_sampler(state, repeats)
    result["state_mixed_arriving_us"] = 1e6 * _time_sampler(state, repeats, arriving=True)
    result["state_mixed_20_batches_us"] = 1e6 * _time_sampler(state, repeats // 5, utd=20)
    result["cameras_ms"] = 1e3 * _time_sampler(images, max(repeats // 10, 20), demo_ratio=0.0)
    result["memcpy_of_same_bytes_ms"] = 1e3 * _time_copy(max(repeats // 10, 20))
    starts = LENGTH / (LENGTH - 1)
    result["state_bytes_per_transition"] = state.bytes_per_row * starts
    result["cameras_bytes_per_transition"] = images.bytes_per_row * starts
    result |= _extends(repeats)
    with _folder(folder) as place:
        result |= _appends(place)
    return result


def stream(spec: EnvSpec, count: int, *, first: int = 0) -> Array:
    """`count` records from sequence `first` on, in episodes of 99 steps; actions and states random,
    images random noise."""
    rng = np.random.default_rng(first)
    rows = np.zeros(count, record_dtype(spec))
    place = first + np.arange(count)
    rows["sequence"], rows["episode"], rows["step"] = place, place // LENGTH, place % LENGTH
    rows["kind"], rows["human"], rows["success"] = rows["step"] > 0, np.nan, -1
    rows["terminated"] = rows["step"] == LENGTH - 1
    rows["reward"] = rows["terminated"]
    rows["action"] = rng.uniform(-1, 1, rows["action"].shape)
    rows["obs.state"] = rng.normal(size=rows["obs.state"].shape)
    for name in spec.image_keys:
        shape = rows[f"obs.{name}"].shape
        rows[f"obs.{name}"] = rng.integers(0, 256, (1, *shape[1:]), np.uint8)
        rows[f"obs.{name}"][:, 0, 0, 0] = place % 256
    return rows


def header_of(rows: Array, position: int) -> ChunkHeader:
    """What the log says of these records; the checksum is of no use to replay."""
    header = make_header(
        ChunkKind.RECORDS,
        b"",
        actor=ACTOR,
        epoch=1,
        first_sequence=int(rows["sequence"][0]),
        count=len(rows),
        record_bytes=rows.dtype.itemsize,
    )
    return replace(header, position=position)


def _filled(spec: EnvSpec, rows: int) -> Replay:
    """A full ring of `rows` and demonstrations of a twentieth of that."""
    demos = stream(spec, max(rows // 20, 2 * LENGTH))
    demos["source"] = Source.DEMO
    replay = Replay(spec, rows, datasets={"demo": len(demos)})
    replay.add("demo", demos)
    step = 1_000
    for first in range(0, rows, step):
        block = stream(spec, step, first=first)
        replay.extend(header_of(block, first), block)
    return replay


def _time_sampler(
    replay: Replay, repeats: int, *, utd: int = 1, demo_ratio: float = 0.5, arriving: bool = False
) -> float:
    pools = demos_and_online(demo_ratio)
    sampler = Sampler(replay, Sampling(BATCH, utd, pools, proposed_ratio=0.5))
    rng, first = np.random.default_rng(0), replay.position
    new = stream(replay.spec, repeats if arriving else 0, first=first)

    def arrive(number: int) -> None:
        if arriving:
            row = new[number : number + 1]
            replay.extend(header_of(row, first + number), row)

    return median_s(lambda: sampler.sample(rng, replay.position), repeats, before=arrive)


def _time_copy(repeats: int) -> float:
    """Copies as many bytes as two images of two observations of a batch have."""
    source = np.ones((BATCH * 4, 128 * 128 * 3), np.uint8)
    target = np.empty_like(source)
    return median_s(lambda: np.copyto(target, source), repeats)


def _extends(repeats: int) -> dict[str, float]:
    replay, position, result = Replay(STATE, 100_000), 0, {}
    for size in (1, 64):
        blocks = []
        for _ in range(repeats):
            rows = stream(STATE, size, first=position)
            blocks.append((header_of(rows, position), rows))
            position += size
        waiting = iter(blocks)
        median = median_s(partial(_extend_next, replay, waiting), repeats)
        result[f"extend_{size}_per_s"] = size / median
    return result


def _extend_next(replay: Replay, waiting: Iterator[tuple[ChunkHeader, Array]]) -> None:
    replay.extend(*next(waiting))


def _appends(folder: Path) -> dict[str, float]:
    """Appends to the log (checked, checksummed, written; not synced) and reads it back."""
    result = {}
    with LogWriter.create(folder / "state", STATE) as log:
        for size, count in ((1, 5_000), (64, 1_500)):
            result[f"append_{size}_per_s"] = size / _time_append(log, size, count)
    seconds = time.perf_counter()
    read = sum(chunk.header.count for chunk in LogReader(folder / "state").chunks())
    result["read_per_s"] = read / (time.perf_counter() - seconds)
    with LogWriter.create(folder / "cameras", CAMERAS) as log:
        seconds_a_record = _time_append(log, 1, 1_000)
        result["append_cameras_MB_per_s"] = record_dtype(CAMERAS).itemsize / seconds_a_record / 1e6
    return result


def _time_append(log: LogWriter, size: int, count: int) -> float:
    blocks, first = [], log.position
    rows = stream(log.spec, size * count, first=first)
    for start in range(0, len(rows), size):
        payload = rows[start : start + size].tobytes()
        header = make_header(
            ChunkKind.RECORDS,
            payload,
            actor=ACTOR,
            epoch=1,
            first_sequence=first + start,
            count=size,
            record_bytes=rows.dtype.itemsize,
        )
        blocks.append((header, payload))
    waiting = iter(blocks)
    return median_s(lambda: log.append(*next(waiting)), count)


@contextmanager
def _folder(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(dir=folder, prefix="replay-bench-"))
    try:
        yield place
    finally:
        shutil.rmtree(place)
