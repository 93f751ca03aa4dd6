"""One run's processes under faults: started, killed, stopped, restarted, and judged at the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from fault_actor import ActorConfig
from fault_recorder import Broken, Note, Verdict, What, judge, notes, read_log

from robot_rl.errors import WireError
from robot_rl.testing.wire_harness import HUNG_S, WireHarness, wait_for
from robot_rl.wire.protocol import UNLIMITED

CHILD = Path(__file__).parent / "fault_child.py"
ACTOR = "a"
TWIN_S, STILL_S = 5.0, 1.5
"""What a twin waits for what does not come."""


@dataclass
class World(WireHarness):
    """A WireHarness whose processes take faults, and lack the guards named in `without`.

    with World(tmp_path, without=twin) as world:
        world.start_all(); world.kill("ingest"); world.start_side("ingest")
        world.finish().require()
    """

    without: tuple[str, ...] = ()
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By side: changes of its config."""
    sides: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    """For the next process only: kill, nth."""
    epochs: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    prefix: dict[str, list[str]] = field(default_factory=dict)
    """By side: a command that runs its command."""
    mounts: list[Path] = field(default_factory=list)
    judged: Verdict | None = None
    """Where a row has judged by itself."""
    host_died: bool = False
    """Then committed is not enough, only acknowledged counts."""

    @property
    def patience_s(self) -> float:
        """How long to wait for what shows that a row holds: in its twin it never comes."""
        return TWIN_S if self.without else HUNG_S

    def start(self, command: list[str], name: str) -> subprocess.Popen[bytes]:
        """As WireHarness, through fault_child where the command runs a module."""
        options = {
            "without": list(self.without),
            "acknowledged": str(self.book("io")),
            "syncs": str(self.book("syncs")),
            **self.options,
        }
        self.options = {}
        if "-m" in command:
            at = command.index("-m")
            words = command[at + 1 :]
            command = [*command[:at], str(CHILD), *words, "--", json.dumps(options)]
        command = self.prefix.get(name.partition("-")[0], []) + command
        before = {name: os.environ.get(name) for name in self.environment}
        os.environ.update(self.environment)
        try:
            return super().start(command, name)
        finally:
            for key, value in before.items():
                if value is None:
                    del os.environ[key]
                else:
                    os.environ[key] = value

    def book(self, name: str) -> Path:
        """A side's notes."""
        return self.folder / f"{name}.notes"

    def start_side(self, side: str, **options: Any) -> float:
        """Starts a side (again); gives the monotonic seconds of its start."""
        began = time.monotonic()
        self.options = options
        changes = self.settings.get(side, {})
        if side == "ingest":
            process = self.start_ingest(wait=False, **changes)
        elif side == "io":
            process = self.start_io(ACTOR, **({"chunk_records": 16} | changes))
        else:
            self.epochs += 1
            config = ActorConfig(
                str(self.runtime),
                ACTOR,
                str(self.book("actor")),
                self.spec.to_json().decode(),
                seed=self.epochs,
                **changes,
            )
            text = msgspec.json.encode(config).decode()
            process = self.start([sys.executable, "-m", "fault_actor", text], "actor")
        self.sides[side] = process
        return began

    def start_all(self) -> None:
        """All three sides, until the first acknowledgement; WireError, which no twin may take for
        its failure, where there is none."""
        for side in ("ingest", "io", "actor"):
            self.start_side(side)
        try:
            self.acknowledged_after(time.monotonic())
        except Broken as error:
            said = {side: self.said(side)[-300:] for side in self.sides}
            raise WireError(f"nothing began: {error}; {said}") from error

    def begins(self) -> None:
        """Broken unless something is ever acknowledged: processes start meanwhile."""
        self.acknowledged_after(0.0, 3 * self.patience_s)

    def goes_on(self) -> None:
        """Broken unless something is acknowledged from now on."""
        self.acknowledged_after(time.monotonic(), self.patience_s)

    def kill(self, side: str) -> None:
        self.sides[side].kill()
        self.sides[side].wait(HUNG_S)

    def stop(self, side: str, seconds: float) -> None:
        """SIGSTOP, a while, SIGCONT."""
        self.sides[side].send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.sides[side].send_signal(signal.SIGCONT)

    def wait_death(self, side: str, timeout_s: float = HUNG_S) -> None:
        """Until a process has died of SIGKILL at its named point."""
        try:
            code = self.sides[side].wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise WireError(f"{side} never came to its point") from None
        if code != -signal.SIGKILL:
            raise WireError(f"{side} ended with {code}: {self.said(side)[-600:]}")

    def wait_up(self, lives: int) -> None:
        """Until so many lives of the actor have begun."""
        wait_for("the actor", lambda: self.output("actor").count("UP") >= lives)

    def said(self, side: str) -> str:
        """What a side has printed."""
        return self.output({"io": f"io-{ACTOR}"}.get(side, side))

    def acknowledgements(self) -> list[Note]:
        return [n for n in notes(self.book("io")) if n.what is What.ACKNOWLEDGED]

    def acknowledged_after(
        self, since: float, timeout_s: float = HUNG_S, *, but: frozenset[int] = frozenset()
    ) -> float:
        """Seconds from `since` (monotonic) to the first acknowledgement after it, of another epoch
        than those in `but`."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            for note in self.acknowledgements():
                if note.at_ns > since * 1e9 and note.epoch not in but:
                    return note.at_ns / 1e9 - since
            time.sleep(0.01)
        raise Broken(f"no acknowledgement within {timeout_s:g} s")

    def restart(self, side: str) -> float:
        """Starts a side; gives the seconds to the first acknowledgement that follows, for an actor
        of its new life."""
        older = frozenset(note.epoch for note in self.acknowledgements())
        began = self.start_side(side)
        return self.acknowledged_after(began, but=older if side == "actor" else frozenset())

    def finish(self, *, twin: bool = False) -> Verdict:
        """Ends the actor, lets everything drain (restarting what is dead), and judges.

        Over when all is there, or when nothing has come for HUNG_S since the first record; in a
        twin for STILL_S.
        """
        twin = twin or bool(self.without)
        timeout_s, still_s = (2 * TWIN_S, STILL_S) if twin else (2 * HUNG_S, HUNG_S)
        self.finish_actor()
        for side in ("ingest", "io"):
            if side not in self.sides or self.sides[side].poll() is not None:
                self.start_side(side)
        end, moved, logged = time.monotonic() + timeout_s, time.monotonic(), 0
        while True:
            verdict = self.judge()
            if verdict.written and not verdict.lost and not list(self.runtime.glob("*.ring")):
                return verdict
            now = time.monotonic()
            if verdict.logged > logged:
                moved, logged = now, verdict.logged
            if now > end or (logged and now - moved > still_s):
                return verdict
            time.sleep(0.2)

    def finish_actor(self) -> None:
        """Ends the actor; it writes no more."""
        actor = self.sides.get("actor")
        if actor is not None and actor.poll() is None:
            actor.terminate()
            actor.wait(HUNG_S)

    def forget_unsynced(self, folder: Path) -> None:
        """Cuts each file to where its last sync was, as a power failure may."""
        self.host_died = True
        synced: dict[int, int] = {}
        for note in notes(self.book("syncs")):
            if note.what is What.SYNCED:
                synced[note.epoch] = max(note.sequence, synced.get(note.epoch, 0))
        for path in [*folder.glob("*.segment"), *folder.glob("*.spool")]:
            facts = path.stat()
            os.truncate(path, min(facts.st_size, synced.get(facts.st_ino, 0)))

    def require_lost_only_after(self, moment: float) -> None:
        """Broken where a record written before `moment` (monotonic s) is not in the log."""
        logged = {(row.epoch, row.sequence) for row in read_log(self.log_dir)}
        for note in notes(self.book("actor")):
            missing = (note.epoch, note.sequence) not in logged
            if note.what is What.WRITTEN and missing and note.at_ns < moment * 1e9:
                age = moment - note.at_ns / 1e9
                raise Broken(f"sequence {note.sequence} is lost, {age:.3f} s older than allowed")

    def judge(self) -> Verdict:
        """What the recorder says now."""
        return judge(self.log_dir, ACTOR, [self.book("actor"), self.book("io")])

    def close(self) -> None:
        super().close()
        for folder in self.mounts:
            subprocess.run(["umount", "-l", str(folder)], check=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        super().__post_init__()
        self.granted = UNLIMITED


__all__ = ["ACTOR", "HUNG_S", "Broken", "World", "wait_for"]
