"""Fuzz targets without a file: messages, chunks, records, images, amendments, specifications."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

import msgspec
import numpy as np
import seal
from guard import Target

from robot_rl.data import amend, codec
from robot_rl.errors import DataError, RobotRLError
from robot_rl.ingest.log_committer import LifeBook, LogCommitter
from robot_rl.specs import MAX_RECORD, ArraySpec, EnvSpec
from robot_rl.types import Array
from robot_rl.wire import amendment as amendment_bytes
from robot_rl.wire import handshake
from robot_rl.wire import protocol as p
from robot_rl.wire.chunk import (
    HEADER_BYTES,
    ChunkHeader,
    ChunkKind,
    check_payload,
    make_header,
    pack_header,
    parse_header,
)
from robot_rl.wire.record import Kind, poisoned, record_dtype, to_transition
from robot_rl.wire.weights import Assembly, FlatWeights

SPEC = EnvSpec(
    name="Fuzz/Arm",
    observation=(ArraySpec("state", (3,)),),
    action=ArraySpec("action", (2,), low=-1.0, high=1.0),
    command_layout=(("command", 2),),
    rate_hz=10.0,
)
IMAGE_SPEC = replace(
    SPEC, observation=(*SPEC.observation, ArraySpec("wrist", (6, 5, 3), "uint8", 0, 255))
)
DTYPE = record_dtype(SPEC)


def rows(count: int = 4, spec: EnvSpec = SPEC, first: int = 0) -> Array:
    """An episode of `count` records."""
    records = np.zeros(count, record_dtype(spec))
    records["kind"][1:] = Kind.STEP
    records["sequence"] = first + np.arange(count)
    records["step"] = np.arange(count)
    records["human"] = np.nan
    records["terminated"][-1] = 1
    for array in spec.observation:
        records[f"obs.{array.name}"] = np.arange(array.size).reshape(array.shape) % 251
    return records


def packed(payload: bytes, kind: ChunkKind, count: int, *, first: int = 0, size: int = 0) -> bytes:
    """A chunk as it is sent."""
    header = make_header(
        kind, payload, actor="a", epoch=7, first_sequence=first, count=count, record_bytes=size
    )
    return pack_header(header) + payload


def record_chunk(count: int = 4, first: int = 0) -> bytes:
    records = rows(count, first=first).tobytes()
    return packed(records, ChunkKind.RECORDS, count, first=first, size=DTYPE.itemsize)


def message(data: bytes) -> None:
    """A head frame, its CRC32C made true too; a Hello is checked as ingest does it, its SHA-256
    made true too."""
    with suppress(RobotRLError):
        p.decode(data)
    parsed = p.decode(p.sealed(data))
    assert p.decode(p.encode(parsed)) == parsed, "a message survives being sent again"
    if isinstance(parsed, p.Part):
        with suppress(RobotRLError):
            Assembly().add(parsed, b"\0" * 64)
    if not isinstance(parsed, p.Hello):
        return
    with suppress(RobotRLError):
        handshake.check_hello(parsed, SPEC)
    greeting = replace_schema(parsed)
    with suppress(RobotRLError):
        handshake.check_hello(greeting, SPEC)
    accepted = handshake.check_hello(greeting, None)
    assert record_dtype(accepted).itemsize <= MAX_RECORD, "what is accepted can be stored"


def replace_schema(hello: p.Hello) -> p.Hello:
    return msgspec.structs.replace(hello, schema=EnvSpec.from_json(hello.spec).sha256())


def message_seeds() -> list[bytes]:
    news = p.News("a", 2**63, 5, 6, 7, p.UNLIMITED, p.Control(1, p.ControlKind.STOP), -1)
    weights = FlatWeights.pack({"w": np.zeros((4, 3)), "b": np.zeros(4)}, 3)
    actor = p.ActorStats("a", 1, True, 1, 1, 1, 1, 1, 1, 1, 1, 0, True, False)
    messages: list[p.Message] = [
        handshake.hello("a", 7, 1, 0, SPEC.to_json(), SPEC.sha256()),
        handshake.hello("a", 7, 1, 0, IMAGE_SPEC.to_json(), IMAGE_SPEC.sha256()),
        p.Welcome(news),
        p.Data(),
        p.Ack("a", 7, 3),
        news,
        p.Beat("a", 7, 1, 2, 3, 4, 5, True, False),
        p.Get(3, -1),
        weights.part(0, 64)[0],
        p.Grant(100),
        p.SetControl(p.ControlKind.PAUSE),
        p.Pulse(1, 2),
        p.Ask(7),
        p.Amend(4),
        p.Amended(2**64 - 1, "no such episode"),
        p.SetControl(p.ControlKind.STOP, "arm-left"),
        p.Grant(100, 3),
        p.Stats(1, 1, 1, 1, 1, 1, 1, 1, 1, 20.0, 1, -1, [actor], controls={"a": p.Control(1)}),
        p.Refusal("no", True),
    ]
    return [p.encode(item)[: -p.SUM_BYTES] for item in messages]


class _Memory:
    """A log that checks what the real one would, and keeps nothing."""

    def append(self, header: ChunkHeader, payload: bytes | memoryview, *, checked: bool) -> object:
        check_payload(header, payload)
        records = np.frombuffer(payload, DTYPE)
        assert checked
        assert len(records) == header.count > 0
        assert not poisoned(records), "whoever says that it has checked has"
        return header

    def amend(self, amendment: amendment_bytes.Amendment) -> object:
        return amendment

    def sync(self) -> None: ...

    def close(self) -> None: ...


def chunk(data: bytes) -> None:
    """Chunks as ingest takes them, one after the other; odd first byte: checksums made true."""
    mode, data = data[:1], data[1:]
    sealed = bool(mode and mode[0] & 1)
    committer, book = LogCommitter(_Memory(), DTYPE, 0.0), LifeBook("a", 7)
    data = seal.chunks(data, positions=False) if sealed else data
    while data:
        before = book.next_sequence
        head, data = data[:HEADER_BYTES], data[HEADER_BYTES:]
        header = parse_header(head)
        assert parse_header(pack_header(header)) == header
        payload, data = data[: header.payload_bytes], data[header.payload_bytes :]
        try:
            committer.take(book, head, payload)
        except DataError:
            break
        committer.commit(book)
        assert before <= book.next_sequence == book.acknowledged == book.expected
        assert book.records + book.quarantined == book.next_sequence


def chunk_seeds() -> list[bytes]:
    two = record_chunk(3) + record_chunk(2, first=3)
    again = record_chunk(3) + record_chunk(5)
    poison = rows(4)
    poison["reward"][2] = np.nan
    poison["sequence"][3] = 9
    bad = packed(poison.tobytes(), ChunkKind.RECORDS, 4, size=DTYPE.itemsize)
    image = codec.encode(rows(2, IMAGE_SPEC), IMAGE_SPEC)
    other = packed(image, ChunkKind.ENCODED, 2, size=record_dtype(IMAGE_SPEC).itemsize)
    return [mode + item for item in (two, again, bad, other) for mode in (b"\0", b"\1")]


def record(data: bytes) -> None:
    """Records as they lie in a chunk: poisoned ones are seen, the others are transitions."""
    records = np.frombuffer(data[: len(data) // DTYPE.itemsize * DTYPE.itemsize], DTYPE)
    if not len(records):
        return
    clean = [row for row in records if not poisoned(np.array([row], DTYPE))]
    assert poisoned(np.array(clean, DTYPE)) == ""
    for previous, row in pairwise(clean):
        with suppress(RobotRLError):
            step = to_transition(previous, row, actor="a", epoch=7)
            assert np.isfinite([step.reward, *step.action, *step.next_obs["state"]]).all()


def record_seeds() -> list[bytes]:
    return [rows(1).tobytes(), rows(4).tobytes()]


def image(data: bytes) -> None:
    """An ENCODED payload; the first two bytes are the header's count."""
    count = struct.unpack("<H", data[:2].ljust(2, b"\0"))[0]
    payload = data[2:]
    with suppress(RobotRLError):
        codec.decode_lean(payload, count, IMAGE_SPEC)
    records = codec.decode(payload, count, IMAGE_SPEC)
    assert len(records) == count
    again = codec.decode(codec.encode(records, IMAGE_SPEC), count, IMAGE_SPEC)
    assert again.tobytes() == records.tobytes()


def image_seeds() -> list[bytes]:
    noise = rows(3, IMAGE_SPEC)
    noise["obs.wrist"] = np.random.default_rng(0).integers(0, 256, noise["obs.wrist"].shape)
    flat = rows(3, IMAGE_SPEC)
    flat["obs.wrist"] = 7
    return [
        struct.pack("<H", len(items)) + codec.encode(items, IMAGE_SPEC)
        for items in (rows(1, IMAGE_SPEC), noise, flat)
    ]


def amendment(data: bytes) -> None:
    """An AMEND payload, applied to an episode: rewards stay finite, flags stay flags."""
    found = amendment_bytes.decode(data)
    assert amendment_bytes.decode(amendment_bytes.encode(found)) == found
    records = rows(6)
    columns = amend.EpisodeColumns(
        position=np.arange(6),
        step=records["step"],
        keep=records["kind"] == Kind.STEP,
        reward=records["reward"],
        terminated=records["terminated"],
        success=records["success"],
    )
    amend.apply(found, columns)
    assert np.isfinite(columns.reward).all(), "an amendment cannot poison a reward"
    assert set(columns.success.tolist()) <= {-1, 0, 1}
    assert set(columns.terminated.tolist()) <= {0, 1}


def amendment_seeds() -> list[bytes]:
    found = [
        amend.Amendment("discard", "a", 7, 0, reason="fell", stamp_ns=1, position=3),
        amend.Amendment("relabel", "a", 7, 0, step=2, success=1, reward=0.5, terminated=True),
        amend.Amendment("relabel", "a", 7, 0, reward=-1.0, position=4),
        amend.Amendment("trim", "a", 7, 0, first_step=2, last_step=3),
    ]
    found.append(amendment_bytes.with_token(found[0]))
    return [amendment_bytes.encode(item) for item in found]


def spec(data: bytes) -> None:
    """An EnvSpec as JSON: what is accepted agrees with itself and has records of bounded size."""
    found = EnvSpec.from_json(data)
    again = EnvSpec.from_json(found.to_json())
    assert again == found
    assert found.differences(again) == []
    assert again.sha256() == found.sha256()
    assert found.action_dim > 0
    assert record_dtype(found).itemsize <= MAX_RECORD
    assert set(found.image_keys).isdisjoint(found.vector_keys)


def spec_seeds() -> list[bytes]:
    whole = replace(
        IMAGE_SPEC,
        action_frame="ee",
        action_scale=(0.02, 0.1),
        gripper_mode="binary",
        gains=(("translation", 2000.0),),
        state_layout=(("tcp", 3),),
        plant=(("limits", "collaborative"),),
    )
    return [SPEC.to_json(), whole.to_json()]


WIRE = ("robot_rl.wire.chunk", "robot_rl.wire.record", "robot_rl.specs")
HELLO = (
    "robot_rl.wire.protocol",
    "robot_rl.wire.handshake",
    "robot_rl.wire.weights",
    "robot_rl.specs",
)
TARGETS = (
    Target("message", message, message_seeds, HELLO),
    Target("chunk", chunk, chunk_seeds, (*WIRE, "robot_rl.ingest.log_committer")),
    Target("record", record, record_seeds, ("robot_rl.wire.record",), max_len=1024),
    Target("image", image, image_seeds, ("robot_rl.data.codec",), max_len=2048),
    Target("amendment", amendment, amendment_seeds, ("robot_rl.data.amend",), max_len=512),
    Target("spec", spec, spec_seeds, ("robot_rl.specs",)),
)
