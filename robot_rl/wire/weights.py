"""Weights as one flat float32 buffer and a table of names and shapes, with a CRC32C."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from crc32c import crc32c

from robot_rl.errors import PoisonedDataError, WireError
from robot_rl.types import Array
from robot_rl.wire.protocol import Part, Table

MAX_WEIGHTS = 1 << 30
"""Bytes of one set of weights."""


@dataclass(frozen=True, slots=True)
class FlatWeights:
    """One version, packed."""

    version: int
    table: Table
    data: bytes
    """float32, little-endian, the arrays one after the other."""
    crc: int

    @classmethod
    def pack(cls, weights: Mapping[str, Array], version: int) -> FlatWeights:
        """Copies the arrays; raises PoisonedDataError naming an array that is not finite."""
        arrays = {n: np.ascontiguousarray(a, dtype="<f4") for n, a in weights.items()}
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise PoisonedDataError(f"weights version {version}: '{name}' is not finite")
        table = Table(list(arrays), [list(np.shape(a)) for a in weights.values()])
        data = b"".join(array.tobytes() for array in arrays.values())
        return cls(version, table, data, crc32c(data))

    def unpack(self) -> dict[str, Array]:
        """Read-only views of the buffer by name."""
        return unpack(self.table, self.data)

    def part(self, offset: int, size: int) -> tuple[Part, memoryview]:
        """The piece from byte `offset` on."""
        head = Part(self.version, offset, len(self.data), self.crc, self.table)
        return head, memoryview(self.data)[offset : offset + size]


def table_bytes(table: Table) -> int:
    """Size of the buffer a table describes; raises WireError on a table that cannot be."""
    if len(table.names) != len(table.shapes) or len(set(table.names)) != len(table.names):
        raise WireError("the weights' table must give each name one shape")
    if any(n < 0 for shape in table.shapes for n in shape):
        raise WireError("the weights' table has a negative length")
    return sum(4 * math.prod(shape) for shape in table.shapes)


def unpack(table: Table, data: bytes) -> dict[str, Array]:
    """Views of a flat buffer; raises WireError if the sizes differ."""
    if table_bytes(table) != len(data):
        raise WireError(f"weights of {len(data)} bytes; the table says {table_bytes(table)}")
    flat = np.frombuffer(data, "<f4")
    arrays, start = {}, 0
    for name, shape in zip(table.names, table.shapes, strict=True):
        size = math.prod(shape)
        arrays[name] = flat[start : start + size].reshape(shape)
        start += size
    return arrays


class Assembly:
    """Collects the pieces of one version; a newer version starts over.

    if (done := assembly.add(part, body)) is not None:
        use(done)
    """

    def __init__(self) -> None:
        self.version = -1
        self._buffer = bytearray()

    @property
    def offset(self) -> int:
        """The next byte wanted of `version`."""
        return len(self._buffer)

    def add(self, part: Part, body: bytes | memoryview) -> FlatWeights | None:
        """Takes a piece in order; gives the whole when it is complete and its checksum fits.

        Raises WireError on a wrong size or checksum and PoisonedDataError on NaN or infinity; what
        was collected is dropped then.
        """
        if not 0 <= part.total <= MAX_WEIGHTS or table_bytes(part.table) != part.total:
            raise WireError(f"weights version {part.version}: {part.total} bytes do not fit")
        if part.offset == 0:
            self.version, self._buffer = part.version, bytearray()
        if part.version != self.version or part.offset != len(self._buffer):
            return None  # a piece of something already given up
        self._buffer += body
        if len(self._buffer) < part.total:
            return None
        data, self._buffer, self.version = bytes(self._buffer), bytearray(), -1
        if len(data) != part.total or crc32c(data) != part.crc:
            raise WireError(f"weights version {part.version}: the checksum does not match")
        if not np.isfinite(np.frombuffer(data, "<f4")).all():
            raise PoisonedDataError(f"weights version {part.version} are not finite")
        return FlatWeights(part.version, part.table, data, part.crc)
