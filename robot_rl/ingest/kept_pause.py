"""A person's pause, which outlives ingest: kept beside the log until a person's next command."""

from __future__ import annotations

from pathlib import Path

import msgspec

from robot_rl.data.whole_file import sync_path, write_whole
from robot_rl.errors import UNREADABLE, DataError
from robot_rl.wire.protocol import Control, ControlKind

FILE = "command.json"
MAX_BYTES = 4096
_PAUSE = {"command": "pause"}


class KeptPause:
    """Whether `command.json` says that a person has paused; there is no file otherwise.

    kept_pause = KeptPause(log_dir)
    learner_endpoint.control = kept_pause.control()
    kept_pause.keep(control)                  # with each command

    Only a pause is kept: a stop has ended its actors, and whoever starts others wants them to move.
    """

    def __init__(self, log_dir: Path) -> None:
        """Raises DataError naming the file where it cannot be read."""
        self.path = log_dir / FILE
        self.paused = self.path.exists()
        if self.paused:
            try:
                if self.path.stat().st_size > MAX_BYTES:
                    raise ValueError(f"more than {MAX_BYTES} bytes")
                if (found := msgspec.json.decode(self.path.read_bytes())) != _PAUSE:
                    raise ValueError(f"{found!r:.80}")
            except (OSError, ValueError, *UNREADABLE) as error:
                raise DataError(
                    f"{self.path}: {error}; valid: {msgspec.json.encode(_PAUSE).decode()}. Without "
                    "the file nobody has paused"
                ) from error

    def control(self) -> Control:
        """What holds when ingest begins: the kept pause as command 1, or none."""
        return Control(1, ControlKind.PAUSE) if self.paused else Control()

    def keep(self, control: Control) -> None:
        """On disk when it returns. Raises DataError where the disk does not take it."""
        paused = control.kind is ControlKind.PAUSE
        if paused == self.paused:
            return
        try:
            if paused:
                write_whole(self.path, msgspec.json.encode(_PAUSE) + b"\n")
            else:
                self.path.unlink(missing_ok=True)
                sync_path(self.path.parent)
        except OSError as error:
            raise DataError(f"{self.path}: {error.strerror}") from error
        self.paused = paused
