"""Small specs and random episode streams for the tests of `robot_rl.data`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.data.log_reader import LogReader
from robot_rl.data.log_writer import LogWriter
from robot_rl.specs import ArraySpec, EnvSpec
from robot_rl.types import Source
from robot_rl.wire.chunk import ChunkHeader, ChunkKind, make_header
from robot_rl.wire.record import Kind, record_dtype

SPEC = EnvSpec(
    name="Test/Arm",
    observation=(ArraySpec("state", (3,)),),
    action=ArraySpec("action", (2,), low=-1.0, high=1.0),
    command_layout=(("command", 8),),
    rate_hz=10.0,
)
IMAGE_SPEC = replace(
    SPEC,
    name="Test/Seeing",
    observation=(*SPEC.observation, ArraySpec("wrist", (12, 10, 3), "uint8", 0, 255)),
)


def episode(
    steps: int,
    *,
    number: int = 0,
    sequence: int = 0,
    end: str = "terminated",
    source: Source = Source.POLICY,
    spec: EnvSpec = SPEC,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """A START and `steps` STEPs; end: "terminated", "truncated" or "" (broken off)."""
    rng = rng or np.random.default_rng(number)
    rows = np.zeros(steps + 1, record_dtype(spec))
    rows["kind"][1:] = Kind.STEP
    rows["episode"], rows["human"], rows["success"] = number, np.nan, -1
    rows["sequence"] = sequence + np.arange(steps + 1)
    rows["step"] = np.arange(steps + 1)
    rows["source"][1:] = source
    rows["reward"][1:] = rng.normal(size=steps)
    rows["action"] = rng.uniform(-1, 1, rows["action"].shape)
    for array in spec.observation:
        values = rng.integers(0, 256, (steps + 1, *array.shape))
        rows[f"obs.{array.name}"] = values
    if end and steps:
        rows[end][-1], rows["success"][-1] = 1, int(end == "terminated")
    return rows


def chunk_header(rows: np.ndarray, position: int, actor: str = "a", epoch: int = 1) -> ChunkHeader:
    """The header that a log would give these rows."""
    header = make_header(
        ChunkKind.RECORDS,
        rows.tobytes(),
        actor=actor,
        epoch=epoch,
        first_sequence=int(rows["sequence"][0]),
        count=len(rows),
        record_bytes=rows.dtype.itemsize,
    )
    return replace(header, position=position)


def random_stream(rng: np.random.Generator, actors: int, episodes: int) -> list[dict[str, Any]]:
    """Chunks {actor, epoch, rows} in log order: actors interleaved, chunks of random length that
    cross episodes, streams that break off, restart in a new epoch, and lose records. The first
    state value of each record is its log position."""
    queues = [_actor_rows(rng, f"actor{i}", episodes) for i in range(actors)]
    chunks, position = [], 0
    while any(queues):
        queue = queues[rng.choice([i for i, q in enumerate(queues) if q])]
        epoch = queue[0][0]
        rows = []
        for _ in range(rng.integers(1, 7)):
            if queue and queue[0][0] == epoch and (not rows or _next_to(rows[-1], queue[0][2])):
                rows.append(queue.pop(0)[2])
        block = np.concatenate(rows)
        block["obs.state"][:, 0] = position + np.arange(len(block))
        name = f"actor{[q is queue for q in queues].index(True)}"
        chunks.append({"actor": name, "epoch": epoch, "rows": block, "position": position})
        position += len(block)
    return chunks


def _next_to(before: np.ndarray, after: np.ndarray) -> bool:
    return int(after["sequence"][0]) == int(before["sequence"][0]) + 1


def _actor_rows(
    rng: np.random.Generator, actor: str, episodes: int
) -> list[tuple[int, str, np.ndarray]]:
    rows, epoch, sequence, number = [], 1, 0, 0
    for _ in range(episodes):
        end = str(rng.choice(["terminated", "truncated", ""], p=[0.5, 0.3, 0.2]))
        block = episode(int(rng.integers(0, 9)), number=number, sequence=sequence, end=end, rng=rng)
        human = rng.random(len(block)) < 0.3
        block["source"][human & (block["kind"] == Kind.STEP)] = Source.HUMAN
        lost = int(rng.integers(1, len(block) + 1)) if rng.random() < 0.15 else None
        rows += [(epoch, actor, block[i : i + 1].copy()) for i in range(len(block)) if i != lost]
        sequence, number = sequence + len(block), number + 1
        if not end and rng.random() < 0.5:
            epoch, sequence = epoch + 1, 0
    return rows


def rows_of(reader: LogReader) -> np.ndarray:
    return np.concatenate([chunk.records for chunk in reader.chunks()])


def write_log(path: Path, episodes: int, **options: object) -> np.ndarray:
    """A log of `episodes` episodes of actor "a", one chunk each; gives all its records."""
    blocks, sequence = [], 0
    with LogWriter.create(path, SPEC, **options) as log:
        for number in range(episodes):
            block = episode(5, number=number, sequence=sequence)
            log.append_records(block, "a", 1)
            sequence += len(block)
            blocks.append(block)
    return np.concatenate(blocks)
