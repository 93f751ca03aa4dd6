"""The asking end of `answering`: a measured process beside this one."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, cast

import robot_rl
from robot_rl.errors import ConfigError

ROOT = Path(robot_rl.__file__).resolve().parents[1]
"""Where robot_rl is imported from."""
HERE = Path(__file__).resolve().parent
PATH = os.pathsep.join((str(HERE), str(ROOT)))
"""Of a companion: peers import `answering` alone; they may lack what robot_rl needs."""
GRACE_S = 10.0


class Companion:
    """A process that answers; it ends when its standard input does, so it outlives nobody.

    with Companion("jax", [python, "jax_rlpd.py"]) as jax:
        jax.measure(critics=10)["critic_updates_per_s"]
    """

    def __init__(self, name: str, command: Sequence[str]) -> None:
        """Starts it and waits for its versions; ConfigError with its last words if it fails."""
        self.name = name
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the companion)
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=os.environ | {"PYTHONPATH": PATH, "ROBOT_RL_PARENT": str(os.getpid())},
        )
        self._input = cast(IO[str], self._process.stdin)
        self._output = cast(IO[str], self._process.stdout)
        self.versions: dict[str, str] = self.answer()

    def measure(self, **request: Any) -> dict[str, Any]:
        """Asks and waits for the answer."""
        self.ask(**request)
        return self.answer()

    def ask(self, **request: Any) -> None:
        """Asks; the answer is to be fetched before the next request."""
        try:
            print(json.dumps(request), file=self._input, flush=True)
        except BrokenPipeError:
            raise self._failure() from None

    def answer(self) -> dict[str, Any]:
        """Waits for the answer to the last request; ConfigError if the process ended instead."""
        line = self._output.readline()
        if not line:
            raise self._failure()
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        """Ends it; may be called twice."""
        try:
            self._input.close()
        except BrokenPipeError:
            self._process.kill()
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()
        self._errors.close()

    def _failure(self) -> ConfigError:
        code = self._process.wait()
        self._errors.seek(0)
        words = " | ".join(self._errors.read().strip().splitlines()[-3:])
        return ConfigError(f"the benchmark process '{self.name}' ended with code {code}: {words}")

    def __enter__(self) -> Companion:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
