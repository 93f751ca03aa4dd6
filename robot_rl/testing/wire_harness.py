"""Real processes and sockets for tests and benchmarks of the wire: start, kill, read the log."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.data.log_reader import LogReader
from robot_rl.errors import WireError
from robot_rl.ingest import process as ingest
from robot_rl.runtime import io
from robot_rl.specs import ArraySpec, EnvSpec
from robot_rl.types import Array, LimitStage, Observation, Source, Transition
from robot_rl.wire.actor_link import ActorLink
from robot_rl.wire.addresses import runtime_directory
from robot_rl.wire.learner_link import LearnerLink
from robot_rl.wire.process import IngestConfig, IOConfig
from robot_rl.wire.protocol import UNLIMITED
from robot_rl.wire.record import record_dtype


def small_spec(state: int = 40, action: int = 7, image: int = 0) -> EnvSpec:
    """A specification of state (and one square RGB image of side `image`) observations."""
    arrays = [ArraySpec("state", (state,))]
    if image:
        arrays.append(ArraySpec("camera", (image, image, 3), "uint8", 0, 255))
    actions = ArraySpec("action", (action,), low=-1, high=1)
    return EnvSpec("wire-test", tuple(arrays), actions, (("pose", 7), ("width", 1)), 10.0)


def random_observation(spec: EnvSpec, rng: np.random.Generator) -> dict[str, Array]:
    """Arrays that fit the spec."""
    return {
        a.name: rng.integers(0, 256, a.shape, np.uint8)
        if a.is_image
        else rng.standard_normal(a.shape).astype(a.dtype)
        for a in spec.observation
    }


def random_transition(
    spec: EnvSpec, rng: np.random.Generator, obs: Observation, *, step: int, episode: int = 0
) -> Transition:
    """A transition from `obs`; identity fields are the link's business."""
    dim = spec.action_dim
    return Transition(
        obs=obs,
        action=rng.uniform(-1, 1, dim).astype(np.float32),
        proposed=rng.uniform(-1, 1, dim).astype(np.float32),
        human=np.full(dim, np.nan, np.float32),
        commanded=rng.standard_normal(spec.command_dim).astype(np.float32),
        limiting_stage=LimitStage.NONE,
        reward=float(rng.standard_normal()),
        next_obs=random_observation(spec, rng),
        terminated=False,
        truncated=False,
        success=-1,
        source=Source.POLICY,
        intervention_id=0,
        policy_version=1,
        actor="",
        epoch=0,
        sequence=0,
        episode=episode,
        step=step,
        stamp_ns=step * 100_000_000,
        action_stamp_ns=(step - 1) * 100_000_000,
        boot_id=1,
    )


def write_episode(link: ActorLink, spec: EnvSpec, rng: np.random.Generator, steps: int) -> None:
    """A start and `steps` random transitions, waiting where the link says to hold."""
    obs: Observation = random_observation(spec, rng)
    link.start(obs, 0, 0, 1)
    for step in range(1, steps + 1):
        while link.hold_reason():
            time.sleep(0.001)
        transition = random_transition(spec, rng, obs, step=step)
        link.step(transition)
        obs = transition.next_obs


HUNG_S = 60.0
"""A wait that long is taken for a hang: no measure of anything."""


def wait_for(what: str, condition: Callable[[], bool], timeout_s: float = HUNG_S) -> None:
    """Polls; raises WireError naming `what` if it does not come true in time."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise WireError(f"waited {timeout_s:g} s in vain for {what}")
        time.sleep(0.005)


@dataclass(slots=True)
class WireHarness:
    """One run's wire in a folder: ingest, I/O processes, links.

    with WireHarness(tmp_path) as wire:
        wire.start_ingest(); wire.start_io("a"); link = wire.link("a", epoch=1)
    """

    folder: Path
    spec: EnvSpec = field(default_factory=small_spec)
    granted: int = UNLIMITED
    runtime: Path = field(init=False)
    addresses: tuple[str, str] = field(init=False)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _closers: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.runtime = runtime_directory(f"t-{secrets.token_hex(4)}")
        self.addresses = (f"ipc://{self.runtime}/actors", f"ipc://{self.runtime}/learner")

    @property
    def log_dir(self) -> Path:
        return self.folder / "log"

    def start(self, command: list[str], name: str) -> subprocess.Popen[bytes]:
        """Runs a command that dies with this process; its output goes to <folder>/<name>.txt."""
        environment = os.environ | {"ROBOT_RL_PARENT": str(os.getpid()), "OMP_NUM_THREADS": "1"}
        with (self.folder / f"{name}.txt").open("ab") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        self.processes.append(process)
        return process

    def start_ingest(self, *, wait: bool = True, **changes: Any) -> subprocess.Popen[bytes]:
        """An ingest process; waits until it listens."""
        ready = self.output("ingest").count("READY")
        options: dict[str, Any] = {
            "spec": self.spec.to_json().decode(),
            "granted": self.granted,
        }
        config = IngestConfig(*self.addresses, str(self.log_dir), **(options | changes))
        process = self.start(ingest.command(config), "ingest")
        if wait:
            wait_for("ingest", lambda: self.output("ingest").count("READY") > ready)
        return process

    def start_io(self, actor: str, **changes: Any) -> subprocess.Popen[bytes]:
        """An I/O process for `actor`."""
        spool = self.folder / "spool" / actor
        config = IOConfig(actor, self.addresses[0], str(self.runtime), str(spool), **changes)
        return self.start(io.command(config), f"io-{actor}")

    def link(self, actor: str, epoch: int, **options: Any) -> ActorLink:
        """An actor's end, here."""
        link = ActorLink(self.runtime, self.spec, actor, epoch, **options)
        self._closers.append(link.close)
        return link

    def learner(self) -> LearnerLink:
        """A learner's end, here."""
        learner = LearnerLink(self.addresses[1])
        self._closers.append(learner.close)
        return learner

    def output(self, name: str) -> str:
        """What a process has printed."""
        path = self.folder / f"{name}.txt"
        return path.read_text(errors="replace") if path.exists() else ""

    def logged(self, actor: str, epoch: int) -> Array:
        """Records (n,) of one life in the log, in log order."""
        with LogReader(self.log_dir, self.spec) as reader:
            parts = [
                chunk.records
                for chunk in reader.chunks()
                if (chunk.header.actor, chunk.header.epoch) == (actor, epoch)
            ]
        return np.concatenate([np.zeros(0, record_dtype(self.spec)), *parts])

    def wait_logged(self, actor: str, epoch: int, count: int, timeout_s: float = HUNG_S) -> Array:
        """Waits until the log has `count` records of a life, then gives all it has."""
        what = f"{count} records of '{actor}' in the log"
        wait_for(what, lambda: len(self.logged(actor, epoch)) >= count, timeout_s)
        return self.logged(actor, epoch)

    @staticmethod
    def end(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
        """Sends a signal and waits; gives the exit code."""
        process.send_signal(number)
        return process.wait(HUNG_S)

    def close(self) -> None:
        """Ends what was started here and removes the runtime directory."""
        for close in self._closers:
            close()
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait(HUNG_S)
        shutil.rmtree(self.runtime, ignore_errors=True)

    def __enter__(self) -> WireHarness:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
