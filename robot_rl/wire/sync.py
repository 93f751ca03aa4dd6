"""Writes to disk that are made durable in the background, so that no loop waits for a disk."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable


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
