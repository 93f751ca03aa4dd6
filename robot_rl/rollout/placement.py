"""Where a policy lives: in the loop, or in a process of its own that answers with plans.

A process of its own may load torch, take longer than a period, and die without the loop.
"""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Protocol

import msgspec
import numpy as np

from robot_rl.errors import PoisonedDataError, WireError
from robot_rl.interfaces import Policy
from robot_rl.rollout.policy_child import Answer, Ask, Load, Question, Reply, Reset
from robot_rl.specs import EnvSpec
from robot_rl.types import Array, Observation, Plan

END_S = 5.0


class Planner(Protocol):
    """A policy as the loop sees it.

    planner.reset(seed)
    plan = planner.plan(obs, step, stamp_ns)      # None: no answer yet
    """

    @property
    def version(self) -> int:
        """Of the weights in use; 0 before any."""
        ...

    def load(self, weights: Mapping[str, Array], version: int) -> None: ...

    def reset(self, seed: int | None = None) -> None: ...

    def plan(
        self, obs: Observation, step: int, stamp_ns: int, *, deterministic: bool = False
    ) -> Plan | None:
        """The newest answer, perhaps to an earlier question; never waits."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Inline:
    """Implements `Planner` by a policy in this process."""

    policy: Policy

    @property
    def version(self) -> int:
        return self.policy.version

    def load(self, weights: Mapping[str, Array], version: int) -> None:
        self.policy.load(weights, version)

    def reset(self, seed: int | None = None) -> None:
        self.policy.reset(seed)

    def plan(
        self, obs: Observation, step: int, stamp_ns: int, *, deterministic: bool = False
    ) -> Plan | None:
        return self.policy.act(obs, step, stamp_ns, deterministic=deterministic)

    def close(self) -> None:
        """Nothing to end."""


class PolicyProcess:
    """Implements `Planner` by a child process; at most one question is under way.

    The control loop never waits for it: a thread writes, and what has not come is not there. What
    answers an earlier episode is dropped. A child that has ended is a WireError at the next look.
    """

    def __init__(self, command: Callable[[int], Sequence[str]], spec: EnvSpec) -> None:
        """command: the child's command line for the number of its socket (see `serve`)."""
        self._spec = spec
        self._episode = self._version = self._loading = 0
        self._asked = False
        self._waiting: Load | None = None
        self._decoder = msgspec.msgpack.Decoder(Reply)
        ours, theirs = socket.socketpair()
        with theirs:
            descriptor = theirs.fileno()
            self._child = subprocess.Popen(
                list(command(descriptor)),
                pass_fds=[descriptor],
                env=os.environ | {"ROBOT_RL_PARENT": str(os.getpid())},
            )
        self._connection = Connection(ours.detach())
        self._outgoing: queue.SimpleQueue[Question | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="policy writer", daemon=True)
        self._writer.start()

    @property
    def version(self) -> int:
        return self._version

    def load(self, weights: Mapping[str, Array], version: int) -> None:
        """Sends weights; `version` follows once the child has taken them. Newer ones wait until
        then, and replace what waits. Refused weights raise from the next `plan`."""
        arrays = {
            name: (list(array.shape), np.ascontiguousarray(array, np.float32).tobytes())
            for name, array in weights.items()
        }
        self._waiting = Load(version, arrays)
        self._receive()
        self._send_weights()

    def reset(self, seed: int | None = None) -> None:
        self._episode += 1
        self._outgoing.put(Reset(seed))

    def plan(
        self, obs: Observation, step: int, stamp_ns: int, *, deterministic: bool = False
    ) -> Plan | None:
        plan = self._receive()
        if not self._asked:
            parts = [np.ascontiguousarray(obs[a.name]).tobytes() for a in self._spec.observation]
            self._outgoing.put(Ask(self._episode, step, stamp_ns, deterministic, parts))
            self._asked = True
        return plan

    def close(self) -> None:
        """Ends the child; may be called twice."""
        self._outgoing.put(None)
        if self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(END_S)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        self._writer.join()
        self._connection.close()

    def _receive(self) -> Plan | None:
        """Takes everything that has come; the newest plan of this episode."""
        newest: Plan | None = None
        try:
            while self._connection.poll(0):
                reply = self._decoder.decode(self._connection.recv_bytes())
                if isinstance(reply, Answer):
                    self._asked = False
                    if reply.episode == self._episode:
                        newest = self._plan_of(reply)
                    continue
                self._loading = 0
                if reply.error:
                    raise PoisonedDataError(f"the policy's process: {reply.error}")
                self._version = reply.version
                self._send_weights()
        except (EOFError, OSError) as error:
            code = self._child.poll()
            raise WireError(f"the policy's process has ended (exit code {code})") from error
        return newest

    def _plan_of(self, answer: Answer) -> Plan:
        return Plan(
            np.frombuffer(answer.actions, np.float32).reshape(-1, self._spec.action_dim),
            np.frombuffer(answer.valid, bool),
            answer.start_step,
            answer.stamp_ns,
            answer.version,
            answer.value,
            answer.seed,
        )

    def _send_weights(self) -> None:
        if self._waiting is not None and not self._loading:
            self._loading = self._waiting.version
            self._outgoing.put(self._waiting)
            self._waiting = None

    def _write(self) -> None:
        encoder = msgspec.msgpack.Encoder()
        while (question := self._outgoing.get()) is not None:
            try:
                self._connection.send_bytes(encoder.encode(question))
            except OSError:  # the child has ended: `_receive` tells
                return
