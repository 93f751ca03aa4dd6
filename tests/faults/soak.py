"""The soak: many transitions through sixteen torch-free senders in one process; none may be lost.

    python tests/faults/soak.py --transitions 1000000

Every record's CRC-32 is kept beside the wire and compared with the log read by the independent
recorder. The learner's half (feeder and replay, touched beforehand, a batch now and then) reads the
log as it grows. Memory and file handles of both are read from /proc, from a fifth of the way on.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import subprocess
import sys
import tempfile
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from campaign import upper_bound
from fault_recorder import read_log
from fault_world import World, wait_for

from robot_rl.runtime.rundir import cpu_model
from robot_rl.specs import EnvSpec
from robot_rl.wire.addresses import private_directory
from robot_rl.wire.chunk import ChunkKind, make_header
from robot_rl.wire.mailbox import MailboxWriter
from robot_rl.wire.outbox import Outbox
from robot_rl.wire.record import record_dtype
from robot_rl.wire.session import IngestSession
from robot_rl.wire.spool import Spool
from robot_rl.wire.spool_segment import Life
from robot_rl.wire.sync import SpoolSync

SENDERS, CHUNK = 16, 16
START_EVERY = 50
"""Records: every so manieth is the start of an episode."""
READER = Path(__file__).parent / "soak_reader.py"
BACKLOG = 4 << 20
WARM = 0.2
RESULTS = Path(__file__).parents[2] / "docs" / "results" / "fault_soak.json"


@dataclass
class Sender:
    """One actor's spool and connection, with a note of all that it has committed."""

    name: str
    spec: EnvSpec
    session: IngestSession
    spool: Spool
    syncer: SpoolSync
    wanted: int
    crcs: list[int] = field(default_factory=list)

    def turn(self, records: np.ndarray) -> bool:
        """Commits a chunk where there is room, talks; True while there is more to do."""
        sent = len(self.crcs)
        if sent < self.wanted and self.session.flight.size < BACKLOG:
            count = min(CHUNK, self.wanted - sent)
            rows = records[:count]
            rows["sequence"] = np.arange(sent, sent + count)
            rows["stamp_ns"] = rows["sequence"]
            rows["kind"] = rows["sequence"] % START_EVERY != 0
            payload = rows.tobytes()
            size = rows.dtype.itemsize
            header = make_header(
                ChunkKind.RECORDS,
                payload,
                actor=self.name,
                epoch=1,
                first_sequence=sent,
                count=count,
                record_bytes=size,
            )
            self.spool.append(header, payload)
            self.crcs += [zlib.crc32(payload[n * size : (n + 1) * size]) for n in range(count)]
        self.syncer.tick(time.monotonic())
        self.session.pump()
        return len(self.crcs) < self.wanted or not self.session.idle

    def close(self) -> None:
        self.session.close()
        self.syncer.close()
        self.spool.close(acknowledged=True)


def make_sender(world: World, number: int, wanted: int) -> Sender:
    name = f"sender-{number}"
    private_directory(world.runtime)
    spool = Spool(world.folder / "spool" / name, 1 << 30)
    mailbox, outbox = (
        MailboxWriter(world.runtime, name),
        Outbox(spool.directory, world.runtime, name),
    )
    session = IngestSession(world.addresses[0], name, spool, mailbox, outbox)
    life = Life(name, 1, record_dtype(world.spec).itemsize, world.spec.to_json())
    spool.begin(life)
    session.attach(life, 0)
    return Sender(name, world.spec, session, spool, SpoolSync(spool, 0.05), wanted)


def process_facts(pid: int) -> tuple[float, int]:
    """Resident memory in MB and open file handles of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kib = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    return kib * 1024 / 1e6, len(os.listdir(f"/proc/{pid}/fd"))


Sample = tuple[int, float, int, float, int]
"""Records sent; MB and handles of ingest, MB and handles of the reader."""


def start_reader(log: Path, steps: int) -> subprocess.Popen[str]:
    """The learner's half, in a process of its own; it begins when there is a log."""
    words = [sys.executable, str(READER), str(log), str(steps)]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def end_reader(reader: subprocess.Popen[str]) -> dict[str, Any]:
    """What it took from the log; it must have ended by itself."""
    said = reader.communicate(timeout=120)[0].split()
    if reader.returncode or "STEPS" not in said:
        raise RuntimeError(f"the reader ended with {reader.returncode}: {' '.join(said)}")
    at = said.index("STEPS")
    return {"steps_in_replay": int(said[at + 1]), "reader_has_torch": said[at + 3] == "True"}


def soak(folder: Path, transitions: int, report_s: float = 10.0) -> dict[str, Any]:
    """Runs it; gives the figures."""
    each = transitions // SENDERS
    steps = SENDERS * (each - -(-each // START_EVERY))
    with World(folder) as world:
        world.start_side("ingest")
        wait_for("ingest", lambda: "READY" in world.output("ingest"))
        reader = start_reader(world.log_dir, steps)
        pids = (world.sides["ingest"].pid, reader.pid)
        senders = [make_sender(world, n, each) for n in range(SENDERS)]
        records = np.zeros(CHUNK, record_dtype(world.spec))
        records["obs.state"] = np.random.default_rng(0).standard_normal(records["obs.state"].shape)
        samples: list[Sample] = []
        began = said = sampled = time.monotonic()
        busy, ready = senders, False
        while busy:
            busy = [sender for sender in busy if sender.turn(records)]
            now = time.monotonic()
            ready = ready or bool(select.select([reader.stdout], [], [], 0)[0])
            if ready and now - sampled > 0.25:
                sampled = now
                done = sum(len(sender.crcs) for sender in senders)
                samples.append((done, *process_facts(pids[0]), *process_facts(pids[1])))
            if samples and now - said > report_s:
                said = now
                _, ours, _, theirs, _ = samples[-1]
                print(f"{done} sent, ingest {ours:.1f} MB, reader {theirs:.1f} MB", flush=True)
        seconds = time.monotonic() - began
        samples.append((transitions, *process_facts(pids[0]), *process_facts(pids[1])))
        found = end_reader(reader)
        for sender in senders:
            sender.close()
        found |= compare(world.log_dir, senders)
    for who, column in (("ingest", 1), ("reader", 3)):
        found |= growth(who, [(s[0], *s[column : column + 2]) for s in samples], transitions)
    return found | {"steps": steps, "seconds": round(seconds, 1)}


def compare(log: Path, senders: list[Sender]) -> dict[str, Any]:
    """The log against what each sender noted."""
    expected = {sender.name: sender.crcs for sender in senders}
    seen = {name: np.zeros(len(crcs), np.uint16) for name, crcs in expected.items()}
    different = 0
    for row in read_log(log):
        seen[row.actor][row.sequence] += 1
        different += expected[row.actor][row.sequence] != row.crc
    counts = np.concatenate(list(seen.values()))
    return {
        "transitions": len(counts),
        "senders": len(senders),
        "lost": int((counts == 0).sum()),
        "doubled": int((counts > 1).sum()),
        "not_byte_equal": different,
    }


def growth(who: str, samples: list[tuple[Any, ...]], transitions: int) -> dict[str, Any]:
    """Memory and handles of one process from the warm part on; the slope by least squares."""
    warm = np.array([s for s in samples if s[0] >= WARM * transitions])
    slope = float(np.polyfit(warm[:, 0], warm[:, 1], 1)[0]) * 1e6 if len(warm) > 2 else float("nan")
    return {
        f"{who}_MB_warm": round(float(warm[0, 1]), 2),
        f"{who}_MB_end": round(float(warm[-1, 1]), 2),
        f"{who}_MB_per_million": round(slope, 2),
        f"{who}_handles_warm": int(warm[0, 2]),
        f"{who}_handles_end": int(warm[-1, 2]),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--transitions", type=int, default=1_000_000)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        found = soak(Path(folder), options.transitions)
    found |= {
        "upper_bound_95": upper_bound(found["transitions"]) if not found["lost"] else None,
        "date": time.strftime("%Y-%m-%d"),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
    }
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    return int(bool(found["lost"] or found["doubled"] or found["not_byte_equal"]))


if __name__ == "__main__":
    sys.exit(main())
