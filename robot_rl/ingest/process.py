"""Ingest, beside the learner: owns sockets, log, de-duplication and acknowledgements; no torch.

    python -m robot_rl.ingest.process '<IngestConfig as JSON>'

Actors' I/O processes send chunks; each record is appended to the episode log exactly once, by
(actor, epoch, sequence), and acknowledged when that is on disk. The learner tails the log's files
and sends weights, credits and commands here, which are passed on. A learner that crashes or
compiles stops nothing.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence

from robot_rl.ingest.server import IngestServer
from robot_rl.wire.process import (
    IngestConfig,
    bind_to_parent,
    module_command,
    run_main,
    stop_on_signals,
)


def run_ingest(
    config: IngestConfig,
    stop: threading.Event | None = None,
    ready: Callable[[str, str], None] | None = None,
) -> None:
    """Serves until told to end; raises a RobotRLError that says why it cannot.

    With `stop` the caller ends it; without, SIGTERM and SIGINT do (main thread only). `ready` is
    called with both bound addresses.
    """
    if stop is None:
        stop = stop_on_signals()
        bind_to_parent(config.parent_pid)
    server = IngestServer(config)
    if ready is not None:
        ready(server.router.address, server.learner_endpoint.router.address)
    try:
        while not stop.is_set():
            server.turn()
    finally:
        server.close()


def command(config: IngestConfig) -> list[str]:
    """The command line that runs this config in a process of its own."""
    return module_command("robot_rl.ingest.process", config)


def _announced(config: IngestConfig) -> None:
    run_ingest(
        config,
        ready=lambda actors, learner_endpoint: print(
            f"READY {actors} {learner_endpoint}", flush=True
        ),
    )


def main(arguments: Sequence[str]) -> int:
    """Entry of `python -m robot_rl.ingest.process`; prints both addresses once it listens."""
    return run_main("robot_rl.ingest.process", IngestConfig, _announced, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
