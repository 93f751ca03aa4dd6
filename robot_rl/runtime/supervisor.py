"""Starts, watches and ends the processes of a run on one machine."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from robot_rl.errors import RobotRLError

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class ProcessFailed(RobotRLError):
    """A child process ended with an error."""


@dataclass(slots=True)
class Child:
    """One running process and the file it prints to."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def last_lines(self, count: int = 12) -> str:
        """The end of what it printed."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return "\n".join(lines[-count:])


@dataclass(slots=True)
class Supervisor:
    """Children in a session of their own, so that Ctrl-C reaches only the supervisor.

    Each child also dies with its parent by the kernel's doing (see wire/parent.py), so that a
    kill -9 of the supervisor leaves none.
    """

    logs: Path
    lasting: Sequence[str] = ("ingest", "io")
    """Children that end only when they are told to: any other end of theirs is an error."""
    children: list[Child] = field(default_factory=list)

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        threads: int = 1,
        stdin: int = subprocess.DEVNULL,
    ) -> Child:
        """Runs a command, its output in logs/<name>.log; `stdin` is a descriptor to read from."""
        log = self.logs / f"{name}.log"
        environment = os.environ | {variable: str(threads) for variable in THREAD_VARIABLES}
        with log.open("ab") as output:
            process = subprocess.Popen(
                list(command),
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment | {"ROBOT_RL_PARENT": str(os.getpid())},
                start_new_session=True,
            )
        child = Child(name, process, log)
        self.children.append(child)
        return child

    def named(self, name: str) -> list[Child]:
        """The running children `name` and `name-<anything>`."""
        return [child for child in self.children if child.name.partition("-")[0] == name]

    def check(self) -> None:
        """Raises ProcessFailed with the last lines of a child that ended as it should not."""
        for child in self.children:
            code = child.process.poll()
            lasting = child.name.partition("-")[0] in self.lasting
            last = child.last_lines(1) if code == 2 else ""
            if last.startswith("ERROR "):  # it said why in one line
                raise ProcessFailed(
                    f"{child.name}: {last.removeprefix('ERROR ')}; all that it printed: {child.log}"
                )
            if code is not None and (code != 0 or lasting):
                raise ProcessFailed(
                    f"{child.name} ended with exit code {code}; the end of {child.log}:\n"
                    f"{child.last_lines()}"
                )

    def end(self, child: Child, *, grace_s: float) -> None:
        """SIGTERM, then SIGKILL after `grace_s`."""
        if child.process.poll() is None:
            child.process.send_signal(signal.SIGTERM)
            try:
                child.process.wait(grace_s)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
        if child in self.children:
            self.children.remove(child)
