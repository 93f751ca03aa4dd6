"""Random mutation of seeds: what stands in for a coverage-guided fuzzer where there is none."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Sequence

NUMBERS = (0, 1, 2, 127, 128, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)
TOKENS = (
    *(b"RRLC", b"RRLSPOOL", b"null", b"true", b"NaN", b"-1", b"1e999", b"1e308", b'""', b"[]"),
    *(b"{}", b"\xff\xff", b"\xc0\x80", b"\xf0\x9f\xa4\x96", b"\\ud800", b"float64", b"uint8"),
    *(b"inf", b"99999999999999999999", b"int:", b"[" * 64, b"&a ", b"*a", b"${a}", b"!!x ", b"\n"),
)


def mutations(seeds: Sequence[bytes], max_len: int, number: int) -> Iterator[bytes]:
    """Endless inputs, the same for the same `number`."""
    rng = random.Random(number)
    while True:
        data = bytearray(rng.choice(seeds))
        for _ in range(1 << rng.randrange(5)):
            _change(data, rng, seeds)
        yield bytes(data[:max_len])


def _change(data: bytearray, rng: random.Random, seeds: Sequence[bytes]) -> None:
    at = rng.randrange(len(data) + 1)
    length = min(len(data) - at, 1 << rng.randrange(8))
    match rng.randrange(8):
        case 0 if at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        case 1 if at < len(data):
            data[at] = rng.randrange(256)
        case 2:
            del data[at : at + length]
        case 3:
            data[at:at] = rng.randbytes(length)
        case 4:
            data[at:at] = data[at : at + length]
        case 5:
            kind = rng.choice(("<B", "<H", "<I", "<Q", ">I", ">Q"))
            size = struct.calcsize(kind)
            number = rng.choice(NUMBERS) & (2 ** (8 * size) - 1)
            data[at : at + size] = struct.pack(kind, number)
        case 6:
            token = rng.choice(TOKENS)
            data[at : at + (len(token) if rng.random() < 0.5 else 0)] = token
        case _:
            other = rng.choice(seeds)
            start = rng.randrange(len(other) + 1)
            data[at : at + length] = other[start : start + length]
