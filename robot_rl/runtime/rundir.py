"""A run's folder: config, specification, log, checkpoints, metrics; held by one owner at a time."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec
from omegaconf import DictConfig, OmegaConf

from robot_rl.data.manifest import VERSION, read_manifest
from robot_rl.data.old_format import require_current
from robot_rl.errors import ConfigError, DataError, InUseError, SpecError
from robot_rl.specs import EnvSpec
from robot_rl.stored_config import read_config, save_config
from robot_rl.wire.addresses import runtime_directory

LOG_POLL_S = 0.02
ID = re.compile(r"[A-Za-z0-9_-]{1,24}-[0-9a-f]{8}")
PACKAGES = ("robot-rl", "torch", "mujoco", "gymnasium", "pyzmq", "numpy", "hydra-core")


@dataclass(frozen=True, slots=True)
class RunDir:
    """Paths of a run."""

    path: Path

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def logs(self) -> Path:
        """What each process printed."""
        return self.path / "logs"

    @property
    def spools(self) -> list[Path]:
        """One folder for each actor that acted here."""
        return [path for path in (self.path / "spool").glob("*") if path.is_dir()]

    @property
    def finished(self) -> Path:
        """Exists once the learner has done its last block."""
        return self.path / "finished"

    def require_new(self) -> None:
        """InUseError when the folder holds a run already."""
        if (self.path / "config.yaml").exists():
            raise InUseError(
                f"'{self.path}' holds a run already; valid: another run=<folder>, "
                f"or resume={self.path} to go on with it"
            )

    def create(self, cfg: DictConfig, spec: EnvSpec | None = None) -> None:
        """Makes the folder; refuses one that holds a run already. `spec` None: not known yet."""
        self.require_new()
        self.logs.mkdir(parents=True, exist_ok=True)
        self._draw_id()
        self.write_config(cfg)
        if spec is not None:
            (self.path / "spec.json").write_bytes(spec.to_json())
        (self.path / "run.json").write_bytes(msgspec.json.encode(machine()))

    def write_config(self, cfg: DictConfig) -> None:
        """Replaces config.yaml as a whole."""
        aside = self.path / ".config.yaml"
        save_config(cfg, aside)
        aside.rename(self.path / "config.yaml")

    def runtime(self) -> Path:
        """A short private directory of this run's own, in memory; the same for every process.

        It hangs on the run's id and on the folder itself, not on its path: what a killed run left
        there stays its own when the folder is moved, and is never another's, be it one that was
        made at the same path later or a copy.
        """
        path = self.path / "id"
        try:
            text, facts = path.read_text().strip(), self.path.stat()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"'{path}': {error}; valid: a folder of a run") from error
        if not ID.fullmatch(text):
            raise DataError(f"'{path}' is damaged: {text[:80]!r}; valid: <name>-<8 hex digits>")
        whole = f"{text} {facts.st_dev} {facts.st_ino}"
        digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
        return runtime_directory(f"{text[:-9]}-{digest}")

    def config(self) -> DictConfig:
        """The run's composed config; ConfigError if this is no run."""
        cfg, _ = read_config(self.path / "config.yaml")
        OmegaConf.set_struct(cfg, True)
        return cfg

    def spec(self) -> EnvSpec:
        """The specification the run was made with; of a learner alone, its first actor's."""
        try:
            return EnvSpec.from_json((self.path / "spec.json").read_bytes())
        except FileNotFoundError:
            if self.logged:
                return read_manifest(self.log).spec
        raise SpecError(f"'{self.path}' has no specification yet: no actor has come")

    @property
    def specified(self) -> bool:
        """Whether the specification was known when the run was made."""
        return (self.path / "spec.json").exists()

    @property
    def logged(self) -> bool:
        """Whether there is a log: ingest makes it when it knows the specification."""
        return (self.log / "manifest.json").exists()

    def check_log(self) -> None:
        """DataError for a log of an older format: it is read, and not gone on with."""
        if self.logged:
            require_current(self.log, read_manifest(self.log).version, VERSION)

    def wait_for_log(self, stopping: Callable[[], bool]) -> bool:
        """Until there is a log; False when asked to stop before."""
        while not self.logged:
            if stopping():
                return False
            time.sleep(LOG_POLL_S)
        return True

    def _draw_id(self) -> None:
        name = re.sub(r"[^A-Za-z0-9_-]", "_", self.path.resolve().name)[:24]
        (self.path / "id").write_text(f"{name}-{secrets.token_hex(4)}\n")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the run; InUseError names the holder. A folder in which nothing came to be goes."""
        made = [folder for folder in [self.path, *self.path.parents] if not folder.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"run={self.path} cannot be made: {error.strerror}") from error
        path = self.path / ".lock"
        with path.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                holder = file.read().strip() or "another process"
                raise InUseError(f"run '{self.path}' is in use by process {holder}") from error
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            if (self.path / "config.yaml").exists() and not (self.path / "id").exists():
                self._draw_id()  # of a run made before runs had one
            try:
                yield
            finally:
                if [entry.name for entry in self.path.iterdir()] == [path.name]:
                    path.unlink()
                    with suppress(OSError):  # somebody else's run came to be beside it
                        for folder in [self.path, *made[1:]]:
                            folder.rmdir()


def machine() -> dict[str, Any]:
    """Versions and machine, as the report shows them."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "started": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "versions": versions,
    }


def cpu_model() -> str:
    """The processor's name as the kernel gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
