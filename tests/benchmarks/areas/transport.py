"""How fast transitions and weights cross two processes on loopback, beside bare sockets.

Every transition is checksummed, committed to the spool on disk, sent, appended to the episode log,
and acknowledged after a disk sync; "one at a time" is one record a message, with a bounded window
of messages in flight. The bare figures move the same bytes over the same kind of socket, with
acknowledgements and nothing else: they are the bound, with the disk's own rate for those bytes.
"curve" is the same as ours with keys: authenticated and encrypted.

    python tests/benchmarks/speeds.py transport
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from areas.fleet import bench_keys
from areas.transport_bounds import Load, bare_rate, chunks, disk_rate, loads
from robot_rl.errors import WireError
from robot_rl.memory import keep_heap
from robot_rl.testing.wire_harness import (
    WireHarness,
    random_observation,
    random_transition,
    wait_for,
)
from robot_rl.wire.chunk import ChunkHeader, ChunkKind, make_header
from robot_rl.wire.key_files import Role
from robot_rl.wire.keys import KeyFolder
from robot_rl.wire.mailbox import LinkStatus, MailboxWriter
from robot_rl.wire.outbox import Outbox
from robot_rl.wire.record import record_dtype
from robot_rl.wire.session import IngestSession
from robot_rl.wire.spool import Spool
from robot_rl.wire.spool_segment import Life
from robot_rl.wire.sync import SpoolSync

BACKLOG = 64 << 20
"""Bytes spooled ahead of the acknowledgements, at most."""


def curve_rate(load: Load, folder: Path) -> dict[str, float]:
    """`wire_rate` with keys."""
    return wire_rate(load, folder, bench_keys(folder))


def wire_rate(load: Load, folder: Path, keys: KeyFolder | None = None) -> dict[str, float]:
    """Records per second from spool to acknowledged log, and the share of a core on this side."""
    with WireHarness(folder, load.spec) as wire:
        wire.start_ingest(keys=str(keys.path) if keys else "")
        dtype = record_dtype(load.spec)
        records = np.frombuffer(bytearray(chunks(load)[0]), dtype)
        spool = Spool(folder / "spool", 8 << 30)
        mailbox = MailboxWriter(wire.runtime, "bench")
        outbox = Outbox(spool.directory, wire.runtime, "bench")
        own = keys.client(Role.ACTOR) if keys else None
        session = IngestSession(wire.addresses[0], "bench", spool, mailbox, outbox, keys=own)
        syncer = SpoolSync(spool, 0.05)
        life = Life("bench", 1, dtype.itemsize, load.spec.to_json())
        spool.begin(life)
        session.attach(life, 0)
        wait_for("the handshake", lambda: session.pump() or session.welcomed)
        start, cpu = time.perf_counter(), time.process_time()
        sent = 0
        while sent < load.records or not session.idle:
            for _ in range(16):
                if sent >= load.records or session.flight.size > BACKLOG:
                    break
                records["sequence"] = np.arange(sent, sent + load.chunk)
                payload = records.tobytes()
                spool.append(_header(payload, sent, load.chunk, dtype.itemsize), payload)
                sent += load.chunk
            syncer.tick(time.monotonic())
            if not session.pump():
                session.wait(1)
        seconds = time.perf_counter() - start
        busy = time.process_time() - cpu
        session.close()
        syncer.close()
        spool.close(acknowledged=True)
        logged = len(wire.logged("bench", 1)) if dtype.itemsize < 4096 else sent
        if logged != sent:
            raise WireError(f"{logged} of {sent} records in the log")
    return {
        "per_s": sent / seconds,
        "MB_per_s": sent * dtype.itemsize / seconds / 1e6,
        "sender_core": busy / seconds,
    }


def _header(payload: bytes, first: int, count: int, size: int) -> ChunkHeader:
    return make_header(
        ChunkKind.RECORDS,
        payload,
        actor="bench",
        epoch=1,
        first_sequence=first,
        count=count,
        record_bytes=size,
    )


def step_cost(folder: Path, *, rounds: int) -> dict[str, float]:
    """What the control loop pays: `step` and the reads of a period, microseconds."""
    with WireHarness(folder) as wire:
        wire.start_ingest()
        wire.start_io("bench")
        link = wire.link("bench", 1)
        wait_for("the connection", lambda: link.status is LinkStatus.CONNECTED)
        rng = np.random.default_rng(0)
        obs = random_observation(wire.spec, rng)
        transition = random_transition(wire.spec, rng, obs, step=1)
        link.start(obs, 0, 0, 1)
        write, read = [], []
        for _ in range(rounds):
            time.sleep(0.001)
            start = time.perf_counter()
            link.step(transition)
            middle = time.perf_counter()
            link.newest(), link.credits, link.hold_reason()
            read.append(time.perf_counter() - middle)
            write.append(middle - start)
    result: dict[str, float] = {}
    for name, times in (("step", write), ("read", read)):
        p50, p99 = np.percentile(times, [50, 99])
        result |= {f"{name}_p50_us": 1e6 * float(p50), f"{name}_p99_us": 1e6 * float(p99)}
    return result


def weights_latency(
    folder: Path, *, megabytes: float, rounds: int, curve: bool = False
) -> dict[str, float]:
    """From `publish` in this process to the weights in the actor's hands (same host, one clock)."""
    keys = str(bench_keys(folder).path) if curve else ""
    rng = np.random.default_rng(0)
    size = int(megabytes * 1e6 / 4)
    weights = {f"layer{i}": rng.standard_normal(size // 4).astype("f4") for i in range(4)}
    times = []
    with WireHarness(folder) as wire:
        wire.start_ingest(keys=keys)
        wire.start_io("bench", keys=keys)
        learner, link = wire.learner(), wire.link("bench", 1)
        wait_for("the connection", lambda: link.status is LinkStatus.CONNECTED)
        for version in range(1, rounds + 1):
            time.sleep(0.005)
            start = time.perf_counter()
            learner.publish(weights, version)
            while (new := link.newest()) is None or new[1] != version:
                time.sleep(0.0001)
            times.append(time.perf_counter() - start)
    p50, p99 = np.percentile(times, [50, 99])
    return {"p50_ms": 1e3 * float(p50), "p99_ms": 1e3 * float(p99)}


def median(results: list[dict[str, float]]) -> dict[str, float]:
    """Key by key."""
    return {key: statistics.median(r[key] for r in results) for key in results[0]}


def run(*, repeats: int = 3, scale: float = 1.0) -> dict[str, Any]:
    """Medians of `repeats` interleaved runs; rates in records/s, weights in ms."""
    keep_heap()  # as the I/O process does
    root = Path(tempfile.mkdtemp(prefix="bench-transport-"))
    rates: dict[str, dict[str, list[dict[str, float]]]] = {}
    try:
        for repeat in range(repeats):
            for load in loads(scale):
                for kind, measure in (
                    ("wire", wire_rate),
                    ("curve", curve_rate),
                    ("bare", bare_rate),
                    ("disk", disk_rate),
                ):
                    folder = root / f"{load.name}-{kind}-{repeat}"
                    folder.mkdir()
                    rates.setdefault(load.name, {}).setdefault(kind, []).append(
                        measure(load, folder)
                    )
                    shutil.rmtree(folder)
        folder = root / "weights"
        folder.mkdir()
        rounds = int(200 * scale) + 20
        latency = weights_latency(folder, megabytes=1.0, rounds=rounds)
        folder = root / "weights-curve"
        folder.mkdir()
        secure = weights_latency(folder, megabytes=1.0, rounds=rounds, curve=True)
        folder = root / "step"
        folder.mkdir()
        cost = step_cost(folder, rounds=int(3000 * scale) + 100)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    result: dict[str, Any] = {
        "weights_1MB": latency,
        "weights_1MB_curve": secure,
        "control_loop": cost,
    }
    for name, kinds in rates.items():
        wire, bare = median(kinds["wire"]), median(kinds["bare"])
        disk = median(kinds["disk"])["MB_per_s"]
        result[name] = {**wire, "bare_per_s": bare["per_s"], "bare_MB_per_s": bare["MB_per_s"]}
        curve = median(kinds["curve"])["per_s"]
        result[name] |= {"curve_per_s": curve, "curve_of_plain": curve / wire["per_s"]}
        result[name] |= {"of_bare": wire["per_s"] / bare["per_s"], "disk_MB_per_s": disk}
    return result
