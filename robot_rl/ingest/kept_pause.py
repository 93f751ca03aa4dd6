"""A person's pause, which outlives ingest: kept beside the log until a person's next command."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from robot_rl.data.whole_file import sync_path, write_whole
from robot_rl.errors import UNREADABLE, DataError
from robot_rl.ingest.controls import Controls
from robot_rl.wire.protocol import Control, ControlKind, SetControl

FILE = "command.json"
MAX_BYTES = 1 << 16
Word = Literal["run", "pause"]
KINDS: dict[str, ControlKind] = {"run": ControlKind.RUN, "pause": ControlKind.PAUSE}
VALID = '{"command":"pause"}, or "run", and "actors":{"<id>":"pause"} for single ones'


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Contents of `command.json`."""

    command: Word
    actors: dict[str, Word] = {}


class KeptPause:
    """Whom `command.json` says a person has paused; there is no file where nobody is.

    kept_pause = KeptPause(log_dir)
    learner_endpoint.controls = kept_pause.controls()
    kept_pause.keep(controls)                  # with each command

    Only pauses are kept, and who goes on in spite of one: a stop has ended its actors, and whoever
    starts others wants them to move.
    """

    def __init__(self, log_dir: Path) -> None:
        """Raises DataError naming the file where it cannot be read."""
        self.path = log_dir / FILE
        self._kept: _Kept | None = None
        if self.path.exists():
            try:
                if self.path.stat().st_size > MAX_BYTES:
                    raise ValueError(f"more than {MAX_BYTES} bytes")
                found = msgspec.json.decode(self.path.read_bytes(), type=_Kept)
                if "pause" not in (found.command, *found.actors.values()):
                    raise ValueError("nobody is paused in it")
            except (OSError, ValueError, *UNREADABLE) as error:
                raise DataError(
                    f"{self.path}: {error}; valid: {VALID}. Without the file nobody has paused"
                ) from error
            self._kept = found

    def controls(self) -> Controls:
        """What holds when ingest begins."""
        controls = Controls()
        if self._kept is not None:
            if self._kept.command == "pause":
                controls.set(SetControl(ControlKind.PAUSE))
            for actor, word in self._kept.actors.items():
                controls.set(SetControl(KINDS[word], actor))
        return controls

    def keep(self, controls: Controls) -> None:
        """On disk when it returns. Raises DataError where the disk does not take it."""
        kept = _kept_of(controls)
        if kept == self._kept:
            return
        try:
            if kept is not None:
                write_whole(self.path, msgspec.json.encode(kept) + b"\n")
            else:
                self.path.unlink(missing_ok=True)
                sync_path(self.path.parent)
        except OSError as error:
            raise DataError(f"{self.path}: {error.strerror}") from error
        self._kept = kept


def _kept_of(controls: Controls) -> _Kept | None:
    everyone = _word(controls.everyone)
    words = {actor: _word(control) for actor, control in controls.named.items()}
    actors: dict[str, Word] = {actor: word for actor, word in words.items() if word is not None}
    if not controls.paused:
        return None
    return _Kept(everyone or "run", actors)


def _word(control: Control) -> Word | None:
    """As it is kept; a stop is not."""
    if control.kind is ControlKind.STOP:
        return None
    return "pause" if control.kind is ControlKind.PAUSE else "run"
