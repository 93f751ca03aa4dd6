"""The first message of a life: who it is, and which environment it has."""

from __future__ import annotations

from robot_rl.errors import HandshakeError, SpecError, WireError
from robot_rl.specs import EnvSpec
from robot_rl.wire import protocol as p
from robot_rl.wire.record import record_dtype
from robot_rl.wire.spool_segment import Life

MAGIC = "robot-rl"
PROTOCOL = 3


def hello(
    actor: str, epoch: int, sender: int, first_sequence: int, spec: bytes, schema: str
) -> p.Hello:
    """A Hello of this protocol version."""
    return p.Hello(MAGIC, PROTOCOL, actor, epoch, sender, first_sequence, schema, spec)


def schema_of(life: Life) -> str:
    """SHA-256 of the interface of a life that was kept; HandshakeError for one whose records have
    the layout of another version."""
    spec = EnvSpec.from_json(life.spec)
    size = record_dtype(spec).itemsize
    if size != life.record_bytes:
        raise HandshakeError(
            f"the spool of actor '{life.actor}' holds records of {life.record_bytes} bytes, this "
            f"version's have {size}; valid: the version that wrote them, on both sides"
        )
    return spec.sha256()


def check_actor(actor: str) -> str:
    """The id, which also names files; raises WireError on what cannot be one."""
    if not 0 < len(actor) <= 32 or not all(
        c.isascii() and (c.isalnum() or c in "-_") for c in actor
    ):
        raise WireError(f"actor id '{actor}'; valid: 1 to 32 of a-z A-Z 0-9 - _")
    return actor


def check_hello(message: p.Hello, spec: EnvSpec | None) -> EnvSpec:
    """The sender's spec; raises HandshakeError listing how its interface differs from `spec`'s.

    The plant may differ (`EnvSpec.plant_differences`).
    """
    if message.magic != MAGIC:
        raise HandshakeError(f"handshake magic '{message.magic}'; valid: '{MAGIC}'")
    if message.protocol != PROTOCOL:
        raise HandshakeError(
            f"actor '{message.actor}' speaks wire protocol {message.protocol}, this side "
            f"{PROTOCOL}: install the same robot-rl version on both"
        )
    check_actor(message.actor)
    try:
        theirs = EnvSpec.from_json(message.spec)
    except SpecError as error:
        raise HandshakeError(f"actor '{message.actor}': {error}") from error
    if theirs.sha256() != message.schema:
        raise HandshakeError(f"actor '{message.actor}': the spec does not match its SHA-256")
    if spec is not None and (lines := spec.differences(theirs)):
        raise HandshakeError(
            f"actor '{message.actor}' has another environment specification "
            f"(this run != the actor): {'; '.join(lines)}"
        )
    return theirs
