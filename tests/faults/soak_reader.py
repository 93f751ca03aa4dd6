"""The learner's half without torch: log -> feeder -> replay -> batches, for the soak.

    python tests/faults/soak_reader.py LOG STEPS

Replay is touched beforehand, row by row, so that what grows afterwards is growth.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from robot_rl.data.log_reader import LogReader
from robot_rl.data.replay import Replay
from robot_rl.runtime.feed import Feeder

CAPACITY, STREAMS = 160_000, 16
BLOCK, BATCH = 500, 256
SILENCE_S = 60.0


def main(log: Path, steps: int) -> int:
    """Until `steps` steps came; exit code 1 when none comes for a minute."""
    while not (log / "manifest.json").exists():
        time.sleep(0.01)
    reader = LogReader(log)
    replay = Replay(reader.spec, CAPACITY, streams=STREAMS)
    store = replay.store
    for array in (*store.obs.values(), store.action, store.proposed, *store.columns.values()):
        array.fill(0)
    feeder, rng = Feeder(reader, replay), np.random.default_rng(0)
    heard, said = time.monotonic(), False
    while feeder.steps < steps:
        before = feeder.steps
        feeder.advance(min(steps, before + BLOCK))
        if feeder.steps > before:
            heard = time.monotonic()
            replay.sample(BATCH, rng, upper=feeder.position)
            if not said:
                print("READY", flush=True)
                said = True
        elif time.monotonic() - heard > SILENCE_S:
            return 1
        else:
            time.sleep(0.002)
    print(f"STEPS {feeder.steps} TORCH {'torch' in sys.modules}", flush=True)
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
