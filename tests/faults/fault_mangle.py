"""A bad network inside the I/O process: its messages are lost, doubled, changed, out of order."""

from __future__ import annotations

import random
from typing import Any

from fault_guards import replace

from robot_rl.wire.protocol import DATA_HEAD

KINDS = ("lost", "doubled", "reordered", "corrupt", "corrupt header", "truncated", "garbage")
HEADS = "corrupt heads"


def mangle(kind: str, share: float, seed: int) -> None:
    """Damages a share of the Data messages that this process sends; `HEADS`: of all messages."""
    rng = random.Random(seed)
    if kind == HEADS:
        mangle_heads(share, rng)
        return
    held: list[tuple[Any, bytes, bytes, bytes]] = []
    function: Any = None

    def send(self: Any, head: bytes, extra: bytes = b"", body: Any = b"") -> bool:
        def really(*words: bytes) -> bool:
            return bool(function(self, *words))

        while held and held[0][0] is not self:
            held.pop()  # of a connection that is gone
        if head != DATA_HEAD or rng.random() >= share:
            done = really(head, extra, body)
            while held:
                really(*held.pop()[1:])
            return done
        if kind == "lost":
            return True
        if kind == "reordered":
            held.append((self, head, extra, bytes(body)))
            return True
        if kind == "doubled":
            really(head, extra, body)
        elif kind == "corrupt":
            body = flipped(body, rng)
        elif kind == "corrupt header":
            extra = flipped(extra, rng)
        elif kind == "truncated":
            body = bytes(body)[: rng.randrange(len(body))]
        elif kind == "garbage":
            head = rng.randbytes(rng.randrange(40))
        return really(head, extra, body)

    function = replace("robot_rl.wire.sockets:Dealer.send", send)


def mangle_heads(share: float, rng: random.Random) -> None:
    """One bit of a share of the heads is wrong, in whatever direction this process sends them."""

    def damaged(head: bytes) -> bytes:
        return flipped(head, rng) if rng.random() < share else head

    def send(self: Any, head: bytes, *frames: Any) -> bool:
        return bool(dealers(self, damaged(head), *frames))

    def answer(self: Any, peer: bytes, head: bytes, *frames: Any) -> bool:
        return bool(routers(self, peer, damaged(head), *frames))

    dealers: Any = replace("robot_rl.wire.sockets:Dealer.send", send)
    routers: Any = replace("robot_rl.wire.sockets:Router.send", answer)


def flipped(data: Any, rng: random.Random) -> bytes:
    """The data with one bit the other way."""
    changed = bytearray(data)
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)
