"""One session of a run on this machine: starts its processes, shows it, ends them, reports."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL
from types import FrameType
from typing import Any

from robot_rl.commands.announce import announce
from robot_rl.commands.child_config import (
    ActorConfig,
    EvaluatorConfig,
    LearnerConfig,
    child_command,
)
from robot_rl.commands.common import key_setting, schedule_of, settings_of, wire_of
from robot_rl.commands.video import NoVideo, video_of_run
from robot_rl.errors import WireError
from robot_rl.ingest import process as ingest
from robot_rl.metrics.console import RunConsole
from robot_rl.metrics.reader import read_metrics
from robot_rl.metrics.view import RunWatcher
from robot_rl.metrics.writer import MetricsWriter, session_origin
from robot_rl.runtime import io
from robot_rl.runtime.rundir import RunDir
from robot_rl.runtime.supervisor import Child, Supervisor
from robot_rl.wire.addresses import (
    clear_runtime_directory,
    insecure_warning,
    parse_address,
)

READY_S = 20.0
POLL_S = 0.05


class Deserted(Exception):
    """A learner here would wait for ever: an operator has stopped its actors."""


@dataclass(slots=True)
class Session:
    """`Session(folder).run()`; what is started can be chosen for a learner or an actor alone."""

    folder: RunDir
    quiet: bool = False
    with_learner: bool = True
    with_actors: bool = True
    with_evaluator: bool = True
    actor_id: str = "actor"
    """Actors are called <actor_id>-0, <actor_id>-1 …; unique among those that feed one learner."""
    flags: str = ""
    """Options that a later command on this run needs too, such as --config-dir."""
    supervisor: Supervisor = field(init=False)
    _origin_s: float = 0.0

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(self.folder.logs)

    def run(self) -> dict[str, Any]:
        """To the end of the run, or to Ctrl-C; gives a summary with `finished`."""
        interrupted = False
        signal.signal(signal.SIGTERM, _interrupt)
        self._origin_s = session_origin(self.folder.path)
        self._announce()
        runtime = self.folder.runtime()
        try:
            with ExitStack() as stack:
                console = self._console(stack)
                acts = schedule_of(self.folder.config()).acts
                address = self._address(runtime) if acts else ""
                if self.with_learner:
                    learner = self._start_learner(runtime, address)
                with_actors = self.with_actors and acts
                actors = self._start_actors(runtime, address) if with_actors else []
                for child in [learner] if self.with_learner else actors:
                    self._watch(child, console)
                if settings_of(self.folder.config()).evaluation.where == "actor":
                    for child in actors:  # each evaluates the last weights, then ends
                        self._watch(child, console)
                self._end("actor", "io")
                for child in self.supervisor.named("evaluator"):
                    self._watch(child, console)
        except (KeyboardInterrupt, Deserted) as reason:
            interrupted = True
            if isinstance(reason, Deserted):
                self._say(str(reason))
            work = (
                "saving the learner, flushing the log" if self.with_learner else "sending the rest"
            )
            self._say(f"ending: {work} (Ctrl-C again does not help)")
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        finally:
            self._end("actor", "io", "evaluator", "learner", "ingest")
            clear_runtime_directory(runtime)
        summary = self._summary()
        if interrupted:
            self._say_how_to_go_on()
        if not interrupted and self.with_learner:
            summary |= self._page()
        return summary

    # -- processes ---------------------------------------------------------------------------

    def _address(self, runtime: Path) -> str:
        """Where actors reach ingest."""
        wire = wire_of(self.folder.config())
        address = wire.address or f"ipc://{runtime}/actors"
        keys = key_setting(wire, learner=self.with_learner, actors=self.with_actors)
        keyed = bool(keys)
        where = parse_address(address, insecure=wire.insecure, keyed=keyed)
        if warning := insecure_warning(where, keyed=keyed):
            self._say(warning)
        return address

    def _start_learner(self, runtime: Path, address: str) -> Child:
        """Ingest first where anybody acts, then learner and evaluator; gives the learner."""
        settings = settings_of(self.folder.config())
        endpoint = self._start_ingest(runtime, address) if address else ""
        place = str(self.folder.path), self._origin_s
        config = LearnerConfig(*place, address=endpoint, episodes_from_log=not self.with_actors)
        learner = self.supervisor.start(
            "learner", child_command(config), threads=settings.learner.threads
        )
        apart = settings.evaluation.where == "process" or not address
        if self.with_evaluator and apart and settings.evaluation.episodes > 0:
            self.supervisor.start("evaluator", child_command(EvaluatorConfig(*place)))
        return learner

    def _start_ingest(self, runtime: Path, address: str) -> str:
        """Gives its address for the learner."""
        cfg = self.folder.config()
        settings, wire = settings_of(cfg), wire_of(cfg)
        endpoint, first = f"ipc://{runtime}/learner", schedule_of(cfg).next(0)
        fresh = first is not None and first.random and settings.learner.warm_start.source is None
        spec = self.folder.path / "spec.json"
        config = ingest.IngestConfig(
            actor_address=address,
            learner_address=endpoint,
            log_dir=str(self.folder.log),
            spec=spec.read_text() if spec.exists() else "",
            sync_ms=wire.sync_ms,
            granted=first.granted if first is not None and fresh else 0,
            actors=settings.actors,
            insecure=wire.insecure,
            keys=key_setting(wire),
        )
        self._wait_ready(self.supervisor.start("ingest", ingest.command(config)))
        return endpoint

    def _start_actors(self, runtime: Path, address: str) -> list[Child]:
        """Each actor beside its I/O process; gives the actors."""
        cfg = self.folder.config()
        settings, wire = settings_of(cfg), wire_of(cfg)
        actors = []
        for index in range(settings.actors):
            actor = f"{self.actor_id}-{index}"
            link = io.IOConfig(
                actor=actor,
                address=address,
                runtime_dir=str(runtime),
                spool_dir=str(self.folder.path / "spool" / actor),
                sync_ms=wire.spool_sync_ms,
                spool_bytes=wire.spool_mb << 20,
                insecure=wire.insecure,
                keys=key_setting(wire),
                key=wire.key or "",
            )
            self.supervisor.start(f"io-{index}", io.command(link))
            config = ActorConfig(
                str(self.folder.path), self._origin_s, runtime_dir=str(runtime), actor=actor
            )
            # One actor may read the terminal: a keyboard is a teleoperation device.
            stdin = sys.stdin.fileno() if index == 0 and sys.stdin.isatty() else DEVNULL
            command = child_command(config)
            actors.append(self.supervisor.start(f"actor-{index}", command, stdin=stdin))
        return actors

    def _wait_ready(self, child: Child) -> None:
        """Until ingest has printed its addresses in this session."""
        deadline = time.monotonic() + READY_S
        start = child.log.stat().st_size
        while b"READY" not in child.log.read_bytes()[start:]:
            self.supervisor.check()
            if time.monotonic() > deadline:
                raise WireError(f"ingest did not listen within {READY_S:.0f} s; see {child.log}")
            time.sleep(POLL_S)

    def _watch(self, child: Child, console: RunConsole | None) -> None:
        """Until it ends; Deserted when it is a learner whose actors here have all ended."""
        while child.process.poll() is None:
            self.supervisor.check()
            actors = self.supervisor.named("actor") if child.name == "learner" else []
            gone = actors and all(actor.process.poll() is not None for actor in actors)
            if gone and not self.folder.finished.exists():
                raise Deserted(f"every actor has ended; resume={self.folder.path} goes on with it")
            if console is not None:
                console.refresh()
            time.sleep(POLL_S)
        self.supervisor.check()

    def _end(self, *names: str) -> None:
        """Ends the named processes, in this order, each with its numbered siblings."""
        for name in names:
            for child in self.supervisor.named(name):
                self.supervisor.end(child, grace_s=30.0)

    # -- what a person sees ------------------------------------------------------------------

    def _announce(self) -> None:
        with MetricsWriter(self.folder.path, "train", origin_s=self._origin_s) as metrics:
            announce(self.folder, metrics, learns=self.with_learner, acts=self.with_actors)
        self._say(f"run: {self.folder.path}")

    def _console(self, stack: ExitStack) -> RunConsole | None:
        if self.quiet or not settings_of(self.folder.config()).console:
            return None
        return stack.enter_context(RunConsole(RunWatcher(self.folder.path)))

    def _say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def _say_how_to_go_on(self) -> None:
        verb = "actor" if not self.with_learner else "train" if self.with_actors else "learner"
        path, flags = shlex.quote(str(self.folder.path)), self.flags
        self._say(f"go on:    robot-rl {verb}{flags} resume={path}")
        if self.with_learner:
            self._say(f"evaluate: robot-rl eval{flags} {path}")

    def _summary(self) -> dict[str, Any]:
        metrics = read_metrics(self.folder.path)
        last = metrics.evals[-1] if metrics.evals else None
        return {
            "run": str(self.folder.path),
            "finished": self.folder.finished.exists(),
            "env_steps": metrics.learner[-1].step if metrics.learner else 0,
            "updates": metrics.learner[-1].updates if metrics.learner else 0,
            "last_evaluation": None
            if last is None
            else {"step": last.step, "episodes": last.episodes, "successes": last.successes},
        }

    def _page(self) -> dict[str, Any]:
        from robot_rl.report.page import write_report

        try:
            video = video_of_run(self.folder)
        except NoVideo as error:
            self._say(f"no video: {error}")
            video = None
        page = write_report(self.folder.path)
        self._say(f"report: {page}")
        return {"report": str(page), "video": None if video is None else str(video)}


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
