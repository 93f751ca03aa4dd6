"""A policy in a process of its own: what goes over its socket, and the child's loop.

Length-prefixed msgpack; arrays are raw bytes, those of an observation in the spec's order.
"""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TypeAlias

import msgspec
import numpy as np

from robot_rl.errors import RobotRLError
from robot_rl.interfaces import Policy
from robot_rl.specs import EnvSpec

SERVE_POLL_S = 0.1


class Ask(msgspec.Struct, tag=True, frozen=True):
    episode: int
    step: int
    stamp_ns: int
    deterministic: bool
    obs: list[bytes]


class Reset(msgspec.Struct, tag=True, frozen=True):
    seed: int | None


class Load(msgspec.Struct, tag=True, frozen=True):
    version: int
    weights: dict[str, tuple[list[int], bytes]]


class Loaded(msgspec.Struct, tag=True, frozen=True):
    version: int
    error: str


class Answer(msgspec.Struct, tag=True, frozen=True):
    episode: int
    start_step: int
    stamp_ns: int
    version: int
    value: float
    seed: int
    valid: bytes
    actions: bytes


Question: TypeAlias = Ask | Reset | Load
Reply: TypeAlias = Loaded | Answer


def serve(
    descriptor: int,
    policy: Policy,
    spec: EnvSpec,
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """The child's loop: answers questions in order until the other side closes, or `stopping()`."""
    connection = Connection(descriptor)
    encoder, decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Question)
    try:
        while not stopping():
            if connection.poll(SERVE_POLL_S):
                reply = _reply(policy, spec, decoder.decode(connection.recv_bytes()))
                if reply is not None:
                    connection.send_bytes(encoder.encode(reply))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    finally:
        connection.close()


def _reply(policy: Policy, spec: EnvSpec, question: Question) -> Reply | None:
    if isinstance(question, Reset):
        policy.reset(question.seed)
        return None
    if isinstance(question, Load):
        try:
            policy.load(
                {
                    name: np.frombuffer(data, np.float32).reshape(shape)
                    for name, (shape, data) in question.weights.items()
                },
                question.version,
            )
        except RobotRLError as error:
            return Loaded(policy.version, str(error))
        return Loaded(policy.version, "")
    obs = {
        array.name: np.frombuffer(part, array.dtype).reshape(array.shape)
        for array, part in zip(spec.observation, question.obs, strict=True)
    }
    plan = policy.act(obs, question.step, question.stamp_ns, deterministic=question.deterministic)
    return Answer(
        question.episode,
        plan.start_step,
        plan.stamp_ns,
        plan.version,
        plan.value,
        plan.seed,
        plan.valid.tobytes(),
        np.ascontiguousarray(plan.actions, np.float32).tobytes(),
    )
