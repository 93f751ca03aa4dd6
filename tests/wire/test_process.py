"""How a process of the wire is told to end."""

from __future__ import annotations

import subprocess
import sys

TWICE = """
import signal
from robot_rl.wire.process import stop_on_signals
stop = stop_on_signals()
inner = stop._cond

class Interrupted:
    def __enter__(self):
        inner.acquire()
        signal.raise_signal(signal.SIGTERM)  # while the first is being noted
    def __exit__(self, *_):
        inner.release()
    def notify_all(self):
        inner.notify_all()

stop._cond = Interrupted()
signal.raise_signal(signal.SIGTERM)
print("ended", stop.is_set())
"""


def test_a_second_signal_during_the_first_does_not_hang_the_process() -> None:
    """Seen in an ingest that its parent's death and a person told to end at once."""
    done = subprocess.run(
        [sys.executable, "-c", TWICE], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("ended True", 0), done.stderr
