"""What transitions cost at least: the loads of the benchmark over bare sockets, and on disk."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_rl.specs import EnvSpec
from robot_rl.testing.wire_harness import WireHarness, small_spec, wait_for
from robot_rl.wire.record import record_dtype
from robot_rl.wire.sockets import Dealer, Waiter

IMAGE_SIDE = 181
"""181 x 181 x 3 = 98,283 bytes: one frame of 98 kB."""
BARE_SERVER = """
import sys
from robot_rl.wire.sockets import Router, Waiter
router = Router(sys.argv[1])
waiter = Waiter([router])
print("READY", flush=True)
count = 0
while True:
    waiter.wait(1000)
    peer = b""
    while (message := router.receive()) is not None:
        count += 1
        peer = message.peer
        if count % 32 == 0:
            router.send(peer, b"ack", str(count).encode())
    if peer:
        router.send(peer, b"ack", str(count).encode())
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent: `records` records in chunks of `chunk`."""

    name: str
    spec: EnvSpec
    chunk: int
    records: int


def loads(scale: float) -> list[Load]:
    """The three of the issue."""
    state, image = small_spec(), small_spec(image=IMAGE_SIDE)
    return [
        Load("state_single", state, 1, int(100_000 * scale)),
        Load("state_batch64", state, 64, int(1_500_000 * scale)),
        Load("image_single", image, 1, int(12_000 * scale)),
        Load("image_batch8", image, 8, int(12_000 * scale)),
    ]


def chunks(load: Load) -> list[bytes]:
    """A few distinct payloads with random contents; sequences are filled in per message."""
    rng = np.random.default_rng(0)
    records = np.zeros(load.chunk, record_dtype(load.spec))
    for array in load.spec.observation:
        name = f"obs.{array.name}"
        if array.is_image:
            records[name] = rng.integers(0, 256, records[name].shape, np.uint8)
        else:
            records[name] = rng.standard_normal(records[name].shape)
    records["kind"] = 1
    return [records.tobytes()]


def disk_rate(load: Load, folder: Path) -> dict[str, float]:
    """The same bytes appended to a file and synced at the end: what the disk allows."""
    payload = chunks(load)[0]
    total = max(1, load.records // load.chunk)
    descriptor = os.open(folder / "disk.bin", os.O_WRONLY | os.O_CREAT)
    start = time.perf_counter()
    for _ in range(total):
        os.write(descriptor, payload)
    os.fdatasync(descriptor)
    seconds = time.perf_counter() - start
    os.close(descriptor)
    return {"MB_per_s": total * len(payload) / seconds / 1e6}


def bare_rate(load: Load, folder: Path) -> dict[str, float]:
    """The same bytes over DEALER/ROUTER with acknowledgements: no checksum, no disk, no log."""
    with WireHarness(folder, load.spec) as wire:
        wire.start([sys.executable, "-c", BARE_SERVER, wire.addresses[0]], "bare")
        wait_for("the bare server", lambda: "READY" in wire.output("bare"))
        payload = chunks(load)[0]
        head = bytes(92)
        dealer = Dealer(wire.addresses[0])
        waiter = Waiter([dealer])
        total, sent, acked = load.records // load.chunk, 0, 0
        window = max(8, min(1024, (32 << 20) // len(payload)))
        start = time.perf_counter()
        while acked < total:
            while sent < total and sent - acked < window and dealer.send(b"data", head, payload):
                sent += 1
            message = dealer.receive()
            if message is None:
                waiter.wait(10)
            while message is not None:
                acked = int(message.extra)
                message = dealer.receive()
        seconds = time.perf_counter() - start
        dealer.close()
    return {
        "per_s": total * load.chunk / seconds,
        "MB_per_s": total * len(payload) / seconds / 1e6,
    }
