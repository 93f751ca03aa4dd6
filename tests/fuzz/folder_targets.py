"""Fuzz targets that are files of a folder: spool, log, manifest, checkpoint, policy, run."""

from __future__ import annotations

import atexit
import shutil
import struct
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np
import seal
from guard import Target
from safetensors.numpy import save
from wire_targets import DTYPE, IMAGE_SPEC, SPEC, amendment_seeds, packed, record_chunk, rows

from robot_rl.data import codec
from robot_rl.data.dataset_info import dataset_info, verify
from robot_rl.data.episodes import read_episodes
from robot_rl.data.log_reader import LogReader, read_amendments
from robot_rl.data.log_writer import LogWriter
from robot_rl.data.manifest import FILE, new_manifest, read_manifest, write_manifest
from robot_rl.data.segments import segment_name
from robot_rl.errors import RobotRLError
from robot_rl.ingest.log_counts import count_log
from robot_rl.networks.policy_mlp import SquashedGaussianPolicy
from robot_rl.runtime.checkpoint import (
    ARRAYS,
    STATE,
    SUMS,
    CheckpointState,
    newest_checkpoint,
    save_checkpoint,
)
from robot_rl.runtime.evaluator import load_policy
from robot_rl.wire.chunk import ChunkKind
from robot_rl.wire.record import record_dtype
from robot_rl.wire.spool import Spool
from robot_rl.wire.spool_segment import Life, new_segment


@lru_cache(maxsize=1)
def scratch() -> Path:
    """A folder in memory, if there is one, that goes with the process."""
    shared = Path("/dev/shm")
    root = Path(tempfile.mkdtemp(prefix="fuzz-", dir=shared if shared.is_dir() else None))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return root


def emptied(name: str) -> Path:
    """The scratch folder of this name, without a file in it."""
    folder = scratch() / name
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    return folder


def every(*operations: Callable[[], object]) -> None:
    """Each may be refused in words; none keeps the next from being tried."""
    for operation in operations:
        with suppress(RobotRLError):
            operation()


def spool(data: bytes) -> None:
    """A segment of a spool: recovered, sent, acknowledged; odd first byte: checksums true."""
    folder = emptied("spool")
    sealed = bool(data[:1] and data[0] & 1)
    raw = seal.spool(data[1:]) if sealed else data[1:]
    (folder / "00000001.spool").write_bytes(raw)
    found = Spool(folder, 1 << 20)
    try:
        sequence = found.segments[0].first_sequence if found.segments else 0
        while (chunk := found.peek()) is not None:
            assert chunk.next_sequence >= sequence, "what is sent again goes up"
            sequence = chunk.next_sequence
            found.advance(chunk)
        found.acknowledge(*found.newest)
    finally:
        found.close()


def spool_seeds() -> list[bytes]:
    path = emptied("seeds") / "s.spool"
    life = Life("a", 7, DTYPE.itemsize, SPEC.to_json())
    segment = new_segment(path, life, 0, None)
    head = path.read_bytes()[: segment.start]
    body = record_chunk(3) + record_chunk(2, first=3)
    older = packed(b"", ChunkKind.RECORDS, 0, first=90)
    return [mode + head + tail for tail in (b"", body, body + older) for mode in (b"\0", b"\1")]


def _log_folder(name: str, images: bool) -> Path:
    folder = emptied(name)
    spec = IMAGE_SPEC if images else SPEC
    write_manifest(folder, new_manifest(spec, "png" if images else "raw", None))
    return folder


def log(data: bytes) -> None:
    """A dataset's segments. First byte: 1 checksums true, 2 images, 4 two segments; the rest of
    it chooses who reads it, so that one input costs one reader."""
    mode = data[0] if data else 0
    spec = IMAGE_SPEC if mode & 2 else SPEC
    folder = _log_folder("log", bool(mode & 2))
    raw = seal.chunks(data[1:]) if mode & 1 else data[1:]
    whole, rest = raw, b""
    if mode & 4:
        whole, rest = raw[: len(raw) // 2], raw[len(raw) // 2 :]
        (folder / segment_name(4)).write_bytes(rest)
    (folder / segment_name(0)).write_bytes(whole)
    readers: tuple[Callable[[], object], ...] = (
        lambda: LogWriter.open(folder, spec).close(),
        lambda: dataset_info(folder),
        lambda: verify(folder),
        lambda: sum(episode.steps for episode in read_episodes(folder)),
        lambda: _tail(folder),
        lambda: count_log(folder),
    )
    every(readers[(mode >> 3) % len(readers)])
    for file, before in ((segment_name(0), whole), (segment_name(4), rest)):
        after = b"".join(path.read_bytes() for path in sorted(folder.glob(f"{file}*")))
        assert after == before, "recovery loses no byte"


def _tail(folder: Path) -> None:
    with LogReader(folder, position=2) as reader:
        assert reader.position == 2
        list(reader.chunks())


def log_seeds() -> list[bytes]:
    amendments = [packed(item, ChunkKind.AMEND, 0) for item in amendment_seeds()]
    episode = record_chunk(4) + amendments[1] + record_chunk(3, first=4)
    image = codec.encode(rows(2, IMAGE_SPEC), IMAGE_SPEC)
    size = record_dtype(IMAGE_SPEC).itemsize
    seen = packed(image, ChunkKind.ENCODED, 2, size=size)
    torn = record_chunk(4) + record_chunk(2, first=4)[:-9]
    found = [(1, item) for item in (record_chunk(2), episode, b"".join(amendments), torn)]
    found += [(0, record_chunk(4)), (0, torn), (3, seen)]
    found += [(5, record_chunk(4) + record_chunk(4, first=4))]
    return [bytes([mode | reader << 3]) + item for mode, item in found for reader in range(6)]


def manifest(data: bytes) -> None:
    """A dataset's manifest before an empty and a short segment; odd first byte: SHA-256 true."""
    folder = emptied("manifest")
    sealed = bool(data[:1] and data[0] & 1)
    (folder / FILE).write_bytes(seal.manifest(data[1:]) if sealed else data[1:])
    (folder / segment_name(0)).write_bytes(record_chunk(4))
    every(
        lambda: record_dtype(read_manifest(folder).spec),
        lambda: dataset_info(folder),
        lambda: verify(folder),
        lambda: read_amendments(folder),
        lambda: LogWriter.open(folder, SPEC).close(),
        lambda: LogWriter.open(folder, read_manifest(folder).spec).close(),
    )


def manifest_seeds() -> list[bytes]:
    folder = emptied("seeds")
    found = []
    for spec, kind, meta in ((SPEC, "raw", None), (IMAGE_SPEC, "png", {"by": "a", "n": [1, 2.5]})):
        write_manifest(folder, new_manifest(spec, kind, meta))
        text = msgspec.json.format((folder / FILE).read_bytes(), indent=0)
        found += [b"\0" + text, b"\1" + text]
    return found


def checkpoint(data: bytes) -> None:
    """[mode, sizes of state.json and SHA256SUMS, these two, safetensors]; odd mode: sums true."""
    folder = scratch() / "checkpoints"
    path = folder / "block-000000001"
    path.mkdir(parents=True, exist_ok=True)
    sizes = struct.unpack("<HH", data[1:5].ljust(4, b"\0"))
    state, rest = data[5 : 5 + sizes[0]], data[5 + sizes[0] :]
    sums, arrays = rest[: sizes[1]], rest[sizes[1] :]
    if data[:1] and data[0] & 1:
        sums = seal.sums({ARRAYS: arrays, STATE: state})
    for name, content in ((ARRAYS, arrays), (STATE, state), (SUMS, sums)):
        (path / name).write_bytes(content)
    found, warnings = newest_checkpoint(folder)
    assert (found is None) == bool(warnings), "a checkpoint that is skipped is spoken of"
    if found is not None:
        assert all(array.nbytes <= len(arrays) for array in found[0].values())


def checkpoint_seeds() -> list[bytes]:
    arrays = {"actor.w0": np.zeros((2, 3), np.float32), "steps": np.int64(3), "empty": np.zeros(0)}
    state = CheckpointState(
        block=3,
        steps=5,
        position=6,
        version=2,
        agent="robot_rl.agents.sac.agent.SAC",
        spec_sha256="ab" * 32,
        sampler=dict(np.random.default_rng(0).bit_generator.state),
        config={"agent": "sac", "seed": "1"},
    )
    path = save_checkpoint(scratch() / "seed-checkpoints", arrays, state, keep=1)
    text, sums = (path / STATE).read_bytes(), (path / SUMS).read_bytes()
    head = struct.pack("<HH", len(text), len(sums)) + text + sums
    return [mode + head + (path / ARRAYS).read_bytes() for mode in (b"\0", b"\1")]


def policy(data: bytes) -> None:
    """A policy snapshot, loaded into a policy as `eval` does."""
    path = emptied("policy") / "step-1.safetensors"
    path.write_bytes(data)
    weights, version, _ = load_policy(path)
    assert sum(array.nbytes for array in weights.values()) <= 4 * len(data)
    SquashedGaussianPolicy(SPEC, hidden=(2,)).load(weights, version)


def policy_seeds() -> list[bytes]:
    shapes = {"actor.w0": (3, 2), "actor.b0": (2,), "actor.w1": (2, 4), "actor.b1": (4,)}
    arrays = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    meta = {"version": "3", "agent": "robot_rl.agents.sac.agent.SAC"}
    half = {"actor.w0": np.zeros((2, 2), np.float16), "n": np.zeros((), np.int64)}
    return [save(arrays, meta), save(half, meta), save(arrays)]


DATASET = (
    "robot_rl.data.segments",
    "robot_rl.data.log_reader",
    "robot_rl.data.recover",
    "robot_rl.data.episodes",
    "robot_rl.data.dataset_info",
    "robot_rl.data.amend",
    "robot_rl.wire.chunk",
)
TENSORS = "robot_rl.runtime.tensors"
TARGETS = (
    Target("spool", spool, spool_seeds, ("robot_rl.wire.spool_segment", "robot_rl.wire.spool")),
    Target("log", log, log_seeds, DATASET, max_len=2048),
    Target(
        "manifest",
        manifest,
        manifest_seeds,
        ("robot_rl.data.manifest", "robot_rl.specs", "robot_rl.data.log_reader"),
    ),
    Target("checkpoint", checkpoint, checkpoint_seeds, ("robot_rl.runtime.checkpoint", TENSORS)),
    Target("policy", policy, policy_seeds, (TENSORS,), max_len=2048),
)
