"""What console=web adds to a verb: a page's process, its operator, and where moments are left."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from robot_rl.commands.child_config import ConsoleConfig, child_command
from robot_rl.commands.console_process import url_path
from robot_rl.config import build
from robot_rl.console.page import MISSING
from robot_rl.errors import ConfigError, WireError
from robot_rl.interfaces import Operator, RobotEnvironment
from robot_rl.rollout.moments import Moments
from robot_rl.rollout.operators import Several
from robot_rl.wire.addresses import clear_runtime_directory, runtime_directory

BROWSER = "robot_rl.drivers.operators.browser.BrowserOperator"
READY_S = 60.0
POLL_S = 0.05


def check_console(console: bool | str) -> None:
    """ConfigError, before anything is started, where the page's library is missing."""
    if console == "web" and importlib.util.find_spec("viser") is None:
        raise ConfigError(MISSING)


def console_command(runtime: Path, actor: str, port: int, *, acts: bool = True) -> list[str]:
    """The command line of a page's process."""
    url_path(runtime, actor).unlink(missing_ok=True)
    return child_command(ConsoleConfig(str(runtime), actor, port, acts))


def page_address(process: subprocess.Popen[bytes], log: Path, runtime: Path, actor: str) -> str:
    """The page's address, token included, once it is served; WireError if it is not."""
    path, deadline = url_path(runtime, actor), time.monotonic() + READY_S
    while not path.exists():
        if process.poll() is not None:
            lines = log.read_text(errors="replace").strip().splitlines()[-1:]
            raise WireError(f"the console ended: {' '.join(lines).removeprefix('ERROR ')}")
        if time.monotonic() > deadline:
            raise WireError(f"the console was not there within {READY_S:.0f} s; see {log}")
        time.sleep(POLL_S)
    return path.read_text()


def with_page(
    operator: Operator, environment: RobotEnvironment, runtime: Path, actor: str
) -> Operator:
    """The configured operator and the page's: the first with hands on moves."""
    node = {"_target_": BROWSER}
    dim = environment.spec.action_dim
    page = build(node, "console=web", directory=runtime, actor=actor, action_dim=dim)
    return Several([operator, page])


@dataclass(frozen=True, slots=True)
class Console:
    """A page beside a loop in this process."""

    operator: Operator
    moments: Moments


@contextmanager
def console_of(
    environment: RobotEnvironment,
    operator: Operator,
    actor: str,
    port: int,
    *,
    acts: bool = True,
) -> Iterator[Console]:
    """Starts a page's process for a loop without a run's folder, and ends it; says its address."""
    runtime = runtime_directory(f"{actor}-{os.getpid()}")
    log = runtime / "console.log"
    with ExitStack() as stack:
        stack.callback(clear_runtime_directory, runtime)
        with log.open("wb") as output:
            process = subprocess.Popen(
                console_command(runtime, actor, port, acts=acts),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"ROBOT_RL_PARENT": str(os.getpid())},
                start_new_session=True,
            )
        stack.callback(process.wait)
        stack.callback(process.terminate)
        address = page_address(process, log, runtime, actor)
        print(f"console: {address}", file=sys.stderr, flush=True)
        moments = Moments(runtime, actor, environment.spec)
        stack.callback(moments.close)
        joined = with_page(operator, environment, runtime, actor)
        stack.callback(joined.close)
        yield Console(joined, moments)
