"""The messages: tagged msgspec structs in msgpack, always three frames [head, extra, body].

Each head ends with its CRC32C. `extra` is a chunk header (Data) and `body` a payload or a piece of
weights; both are empty in other messages. An actor is known by the id in its messages, never by its
routing id. Everything below `next_sequence` of an (actor, epoch) is in the log.

I/O process -> ingest: Hello, Data, Get, Beat, Amend
ingest -> I/O process: Welcome, Ack, News, Part, Amended
learner -> ingest: Part, Grant, SetControl, Pulse      ingest -> learner: Stats
operator -> ingest: SetControl, Ask, Amend; viewer: Ask      ingest -> them: Stats, Amended
ingest -> both: Refusal
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, TypeAlias

import msgspec
from crc32c import crc32c

from robot_rl.errors import WireError

UNLIMITED = 1 << 62
"""Steps granted where no ratio is enforced."""
MAX_FRAME = 64 << 20
"""Bytes of one frame; every socket refuses more before it allocates."""
MAX_HEAD = 1 << 20
"""Bytes of a head: the largest holds a specification, or a table of weights."""
MAX_EXTRA = 1 << 10
"""Bytes of an extra frame; a chunk's header has 92."""
PART_BYTES = 4 << 20
"""Bytes of weights in one message."""
SUM_BYTES = 4
"""CRC32C at the end of each head, in every version of the protocol: TCP's own 16 bits let damage
through, and a wrong number in an acknowledgement would cost records."""
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
"""Fits what the mailbox and the log keep it in, so that no peer can say a number that does not."""
Sequence: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=1 << 48)]
"""Of a record; sums of many of them still fit their fields."""
Epoch: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]


class ControlKind(IntEnum):
    """What the actors shall do now; the newest command holds until the next."""

    RUN = 0
    PAUSE = 1
    """Hold after the running episode, whichever process restarts, until a person's next command."""
    STOP = 2
    """End after the running step."""


class Control(msgspec.Struct, frozen=True, array_like=True):
    """A typed command; `number` counts them, so each is obeyed once."""

    number: Count = 0
    kind: ControlKind = ControlKind.RUN


class Table(msgspec.Struct, frozen=True, array_like=True):
    """Names and shapes of float32 arrays that lie one after the other in a flat buffer."""

    names: list[str]
    shapes: list[list[int]]


class News(msgspec.Struct, frozen=True, tag="news"):
    """Ingest to an actor: newest published weights, steps allowed to this life, command."""

    actor: str
    epoch: Epoch
    next_sequence: Count
    weights_version: Count
    weights_bytes: Count
    credits: Count
    control: Control
    learner_age_ms: int
    """Since the learner was last heard; -1 before."""
    credit_version: Count = 0
    """New credit counts once weights of this version are there."""


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """First message of one life of an actor on one connection."""

    magic: str
    protocol: int
    actor: str
    epoch: Epoch
    sender: int
    """Names the locked spool; one from another spool waits until this one is silent."""
    first_sequence: Sequence
    """The oldest record still kept by the sender."""
    schema: str
    """SHA-256 of `spec`."""
    spec: bytes
    """Canonical JSON of the EnvSpec."""


class Welcome(msgspec.Struct, frozen=True, tag="welcome"):
    """Hello accepted: send from `news.next_sequence` on."""

    news: News


class Data(msgspec.Struct, frozen=True, tag="data"):
    """A chunk: its header is the second frame, its payload the third."""


class Ack(msgspec.Struct, frozen=True, tag="ack"):
    """Everything below `next_sequence` is in the log."""

    actor: str
    epoch: Epoch
    next_sequence: Count


class Beat(msgspec.Struct, frozen=True, tag="beat"):
    """Sent by the I/O process's own loop, a few a second; answered with News."""

    actor: str
    epoch: Epoch
    ring_depth: int
    spool_bytes: int
    actor_age_ms: int
    """Since the actor's control loop last beat; -1 before."""
    used_version: int
    """Weights the actor has loaded."""
    sent: Count
    """Everything below was sent to this session before this message. Where ingest has less, a
    message was damaged on its way, and nothing else would tell before the next chunk comes."""
    paused: bool
    """The actor obeys a PAUSE, of this ingest or from before it."""
    resting: bool
    """For that its control loop stands, after its episode: it starts no other."""


class Get(msgspec.Struct, frozen=True, tag="get"):
    """Asks for the piece of `version` from byte `offset` on; offset -1 asks for the first piece of
    whatever follows on `version`, as soon as there is something. One such request stands at most,
    so a slow peer is never sent more than it takes."""

    version: int
    offset: int


class Part(msgspec.Struct, frozen=True, tag="part"):
    """A piece of weights in the body; the answer to Get, or a piece of a Publish."""

    version: Count
    offset: Count
    total: Count
    crc: Count
    """CRC32C of all `total` bytes."""
    table: Table


class Grant(msgspec.Struct, frozen=True, tag="grant"):
    """The learner allows the log to grow to `total_steps` STEP records of training episodes."""

    total_steps: Count
    version: Count = 0
    """Ingest holds the grant back until it has weights of this version or a newer one: who is told
    of the credit is told of the version too (see News)."""


class SetControl(msgspec.Struct, frozen=True, tag="control"):
    """The learner or a console commands the actors."""

    kind: ControlKind
    actor: str = ""
    """Whom; "" is everyone, also whoever was commanded by name before."""


class Amend(msgspec.Struct, frozen=True, tag="amend"):
    """An amendment of the log (see data/amend.py), encoded in the body; answered with Amended once
    it is durable. Sent again until then: its own token makes it taken once."""

    after: Sequence = 0
    """Ingest does nothing while its log has fewer records of the amended life: what an actor says
    of an episode comes behind the episode."""


class Amended(msgspec.Struct, frozen=True, tag="amended"):
    """The amendment of this token is in the log; or why it never will be."""

    token: Epoch
    refusal: str = ""


class Pulse(msgspec.Struct, frozen=True, tag="pulse"):
    """The learner's heartbeat; answered with Stats."""

    updates: Count = 0
    loop_age_ms: int = -1
    """Since its loop last called `heartbeat`, whatever thread sends this; -1 before it began."""


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """A console's look; answered with Stats."""

    number: Count = 0
    """Given back in `Stats.answers`."""


class ActorStats(msgspec.Struct, frozen=True):
    """One actor as ingest sees it."""

    actor: str
    epoch: int
    connected: bool
    records: int
    """Of this life, in the log."""
    steps: int
    """STEP records of this life's training episodes, in the log."""
    allowed: int
    """Steps granted to this life."""
    heard_ms: int
    """Since its I/O process was last heard."""
    actor_age_ms: int
    """Since its control loop last beat, as its I/O process said."""
    ring_depth: int
    spool_bytes: int
    used_version: int
    quarantined: int
    paused: bool
    """It obeys a PAUSE, perhaps of another ingest; its running episode goes on to its end."""
    resting: bool
    """Paused, and its control loop stands between episodes."""
    plant: list[str] = []
    """How its robot differs from the one that the log was begun with, where it may."""


class Stats(msgspec.Struct, frozen=True, tag="stats"):
    """What ingest knows; for the console and the learner."""

    records: int
    """In the log."""
    steps: int
    """STEP records of training episodes in the log."""
    granted: int
    weights_version: int
    quarantined: int
    """Poisoned records kept out of the log."""
    garbage: int
    """Messages that were no messages."""
    refused: int
    """Handshakes refused, and messages that a role may not send."""
    gaps: int
    """Records that a restarted sender no longer had."""
    queue: int
    """Received and not yet acknowledged chunks."""
    sync_ms: Annotated[float, msgspec.Meta(ge=0)]
    """What a crash of the whole host may cost, at most (plus one disk sync)."""
    updates: int
    learner_age_ms: int
    """Since the learner's loop last beat; -1 before a learner was heard."""
    actors: list[ActorStats]
    denied: int = 0
    """Connections that were refused: no key, an unknown or revoked one, another server's."""
    control: Control = Control()
    """The newest command to everyone."""
    controls: dict[str, Control] = {}
    """Newer ones to single actors, by id."""

    answers: Count = 0
    """`Ask.number` of the question; 0 for a Pulse."""

    def control_of(self, actor: str) -> Control:
        """What an actor is told to do."""
        return self.controls.get(actor, self.control)


class Refusal(msgspec.Struct, frozen=True, tag="refusal"):
    """Why a message was not taken; `retry` tells a peer to shake hands again, else to give up."""

    reason: str
    retry: bool = False


Message: TypeAlias = (
    Hello
    | Welcome
    | Data
    | Ack
    | News
    | Beat
    | Get
    | Part
    | Grant
    | SetControl
    | Amend
    | Amended
    | Pulse
    | Ask
    | Stats
    | Refusal
)
_DECODER = msgspec.msgpack.Decoder(Message)
_ENCODER = msgspec.msgpack.Encoder()


def encode(message: Message) -> bytes:
    """The head frame of a message: msgpack, then its CRC32C."""
    return sealed(_ENCODER.encode(message))


def sealed(text: bytes) -> bytes:
    """`text` followed by its CRC32C (little-endian u32)."""
    return text + crc32c(text).to_bytes(SUM_BYTES, "little")


def unsealed(data: bytes) -> memoryview:
    """What `sealed` was given; raises WireError where its CRC32C does not match."""
    text = memoryview(data)[:-SUM_BYTES]
    if crc32c(text) != int.from_bytes(data[-SUM_BYTES:], "little") or not text:
        raise WireError("not a message: its CRC32C does not match, it was damaged on its way")
    return text


def decode(head: bytes) -> Message:
    """Reads a head frame; raises WireError on anything else."""
    text = unsealed(head)
    try:
        return _DECODER.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not a message that this version knows: {error}") from error


DATA_HEAD = encode(Data())
