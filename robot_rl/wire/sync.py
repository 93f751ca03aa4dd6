"""Writes to disk that are made durable in the background, so that no loop waits for a disk."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from robot_rl.wire.spool import Spool


class Syncer:
    """Calls `sync` in a thread of its own at most every `interval_s` while there is news.

    syncer.mark(value)            # something was appended
    durable = syncer.durable      # the newest value whose append a sync has covered
    select on syncer.descriptor   # readable after each sync
    """

    def __init__(self, sync: Callable[[], None], interval_s: float) -> None:
        self._sync, self._interval = sync, interval_s
        self._appended = 0
        self.durable = 0
        self.error: OSError | None = None
        """Why the disk could not be written; nothing is durable from then on."""
        self._wake = threading.Event()
        self._stop = threading.Event()
        self.descriptor, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="sync", daemon=True)
        self._thread.start()

    def mark(self, value: int) -> None:
        """Notes that everything up to `value` (a count that grows) has been appended."""
        self._appended = value
        self._wake.set()

    def clear(self) -> None:
        """Empties the descriptor."""
        try:
            while os.read(self.descriptor, 4096):
                pass
        except BlockingIOError:
            return

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait()
            self._wake.clear()
            self._once()
            self._stop.wait(self._interval)

    def _once(self) -> None:
        value = self._appended
        if value == self.durable or self.error is not None:
            return
        try:
            self._sync()
        except OSError as error:
            self.error = error
        else:
            self.durable = value
        try:
            os.write(self._write, b"s")
        except BlockingIOError:
            return  # the reader has a byte to see already

    def close(self) -> None:
        """A last sync, then the thread ends; look at `error` afterwards."""
        if self._thread.is_alive():
            self._stop.set()
            self._wake.set()
            self._thread.join()
            self._once()
            os.close(self.descriptor)
            os.close(self._write)


class SpoolSync:
    """Syncs a spool only where it must: what is acknowledged in time is durable in the log already.

    Twice per interval it looks whether the newest chunk of the last look has been acknowledged; if
    not, the spool is synced. So whatever is older than the interval survives a crash of the host,
    here or there, and a connected actor costs its disk nothing.
    """

    def __init__(self, spool: Spool, interval_s: float) -> None:
        self._spool, self._period = spool, interval_s / 2
        self._syncer = Syncer(spool.sync, 0.0)
        self._looked = 0.0
        self._seen = spool.newest
        self._marks = 0

    @property
    def error(self) -> OSError | None:
        """Why the disk could not be written."""
        return self._syncer.error

    def tick(self, now: float) -> None:
        """To be called often; `now` in monotonic seconds."""
        if now - self._looked < self._period:
            return
        self._looked = now
        settled = self._spool.settled
        if self._seen[0] != settled[0] or self._seen[1] > settled[1]:
            self._marks += 1
            self._syncer.mark(self._marks)
        self._seen = self._spool.newest

    def close(self) -> None:
        """A last sync of whatever is not acknowledged."""
        for _ in range(2):  # what is newest now counts as seen in the second
            self._looked = 0.0
            self.tick(self._period + 1.0)
        self._syncer.close()
