"""Writes an episode log: a folder with a manifest and append-only segments of checksummed chunks.

Only whole chunks count. Nothing that was once good is ever rewritten, cut off or overwritten.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.data import codec
from robot_rl.data.manifest import (
    FILE,
    VERSION,
    Manifest,
    new_manifest,
    read_manifest,
    require_spec,
    write_manifest,
)
from robot_rl.data.old_format import require_current
from robot_rl.data.recover import LogState, recover
from robot_rl.data.segments import first_position, list_segments, segment_name
from robot_rl.data.whole_file import sync_path
from robot_rl.errors import DataError, PoisonedDataError, RobotRLError
from robot_rl.specs import EnvSpec
from robot_rl.types import Array
from robot_rl.wire.amendment import Amendment, decode, encode
from robot_rl.wire.chunk import ChunkHeader, ChunkKind, check_payload, make_header, pack_header
from robot_rl.wire.locks import FileLock
from robot_rl.wire.record import poisoned, record_dtype

SEGMENT_BYTES = 256 << 20
LOCK = "writer.lock"


class LogWriter:
    """The one writer of a log.

    with LogWriter.create(path, spec) as log:        # or LogWriter.open(path, spec)
        header = log.append(header, payload)         # header.position: place of the first record
        log.sync()
    """

    def __init__(
        self, path: Path, manifest: Manifest, lock: FileLock, state: LogState, segment: Path
    ) -> None:
        """Use `create` or `open`."""
        self.path, self.manifest = path, manifest
        self.segment_bytes = SEGMENT_BYTES
        self.torn: str = ""
        """What `open` found behind the last good chunk and moved aside; empty where nothing."""
        self._dtype = record_dtype(manifest.spec)
        self._lock, self._state = lock, state
        self._segment = segment
        self._file = os.open(segment, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._size = os.fstat(self._file).st_size
        self._first = first_position(segment)
        sync_path(path)

    @classmethod
    def create(
        cls,
        path: Path | str,
        spec: EnvSpec,
        *,
        codec: str = "raw",
        meta: dict[str, Any] | None = None,
    ) -> LogWriter:
        """A new log; raises DataError where the folder exists and is not empty."""
        path = Path(path)
        manifest = new_manifest(spec, codec, meta)
        _require_new(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"'{path}' cannot be made: {error.strerror}") from error
        lock = FileLock(path / LOCK, f"dataset {path}")
        try:
            _require_new(path)  # another writer may have made a log here and gone
        except DataError:
            lock.release()
            raise
        write_manifest(path, manifest)
        return cls(path, manifest, lock, LogState(0, {}), path / segment_name(0))

    @classmethod
    def open(cls, path: Path | str, spec: EnvSpec) -> LogWriter:
        """Goes on with a log; a torn tail is moved aside into a file of its own (see `torn`).

        Raises SpecError listing how the specs' interfaces differ, InUseError naming the holder,
        DataError on a corrupt middle or an older format; nothing is changed in any of these cases.
        Where the plant differs, the manifest keeps that of the log's first writer.
        """
        path = Path(path)
        manifest = read_manifest(path)
        require_current(path, manifest.version, VERSION)
        require_spec(path, manifest, spec)
        lock = FileLock(path / LOCK, f"dataset {path}")
        try:
            segments = list_segments(path)
            state, torn = recover(segments)
            last = segments[-1] if segments else path / segment_name(0)
            writer = cls(path, manifest, lock, state, last)
        except (RobotRLError, OSError):
            lock.release()
            raise
        writer.torn = torn
        return writer

    @property
    def spec(self) -> EnvSpec:
        return self.manifest.spec

    @property
    def position(self) -> int:
        """Records in the log: the position that the next one gets."""
        return self._state.position

    def last_sequence(self, actor: str, epoch: int) -> int:
        """Sequence of the last record of (actor, epoch) in the log, -1 before the first."""
        return self._state.sequences.get((actor, epoch), -1)

    def epochs(self) -> dict[tuple[str, int], int]:
        """Last sequence of every (actor, epoch) in the log."""
        return dict(self._state.sequences)

    def append(
        self, header: ChunkHeader, payload: bytes | memoryview, *, checked: bool = False
    ) -> ChunkHeader:
        """Appends a chunk as it came; gives its header with the log position filled in.

        Raises DataError on a checksum, size or sequence that does not fit, PoisonedDataError on NaN
        or infinity. Then, and when the disk is full, the log is as it was before the call.
        checked: the caller has checked checksum, sequences and values of these RECORDS itself.
        """
        if not checked:
            check_payload(header, payload)
        if header.kind == ChunkKind.AMEND:
            return self.amend(decode(payload))
        if header.record_bytes != self._dtype.itemsize:
            raise DataError(
                f"{self.path}: records of {header.record_bytes} bytes; this log's have "
                f"{self._dtype.itemsize}: another specification"
            )
        last = self.last_sequence(header.actor, header.epoch)
        if header.first_sequence <= last or not header.count:
            raise DataError(
                f"{self.path}: {header.count} records from sequence {header.first_sequence} of "
                f"'{header.actor}'; the log already has up to {last}"
            )
        if header.kind == ChunkKind.ENCODED:
            _check_records(codec.decode(payload, header.count, self.spec), header)
        else:
            records = np.frombuffer(payload, self._dtype)
            if not checked:
                _check_records(records, header)
            if self.manifest.codec != "raw" and self.spec.image_keys:
                payload = codec.encode(records, self.spec)
                header = _describe(ChunkKind.ENCODED, header, payload)
        header = replace(header, position=self._state.position)
        self._write(header, payload)
        self._state.position += header.count
        self._state.sequences[header.actor, header.epoch] = header.first_sequence + header.count - 1
        return header

    def append_records(self, records: Array, actor: str, epoch: int) -> ChunkHeader:
        """Appends records (n,) of the log's dtype, in sequence."""
        if records.dtype != self._dtype:
            raise DataError(f"{self.path}: records of another dtype than the log's specification")
        payload = records.tobytes()
        header = make_header(
            ChunkKind.RECORDS,
            payload,
            actor=actor,
            epoch=epoch,
            first_sequence=int(records["sequence"][0]) if len(records) else 0,
            count=len(records),
            record_bytes=self._dtype.itemsize,
        )
        return self.append(header, payload)

    def amend(self, amendment: Amendment) -> ChunkHeader:
        """Appends an amendment; readers apply it from this position on."""
        payload = encode(replace(amendment, position=self._state.position))
        header = make_header(
            ChunkKind.AMEND,
            payload,
            actor=amendment.actor,
            epoch=amendment.epoch,
            first_sequence=0,
            count=0,
            record_bytes=0,
        )
        header = replace(header, position=self._state.position)
        self._write(header, payload)
        return header

    def sync(self) -> None:
        """Returns when all that was appended would survive a crash of the host."""
        os.fdatasync(self._file)

    def close(self) -> None:
        """Syncs and frees the folder; may be called twice."""
        if self._file >= 0:
            self.sync()
            os.close(self._file)
            self._file = -1
            self._lock.release()

    def __enter__(self) -> LogWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, header: ChunkHeader, payload: bytes | memoryview) -> None:
        if self._file < 0:
            raise DataError(f"{self.path}: this writer is closed")
        if self._size >= self.segment_bytes and self._state.position > self._first:
            self._roll()
        head = pack_header(header)
        length = len(head) + header.payload_bytes
        try:
            written = os.writev(self._file, (head, payload))
        except OSError as error:
            raise DataError(f"{self._segment}: {error.strerror}; nothing was appended") from error
        if written != length:
            os.ftruncate(self._file, self._size)
            raise DataError(
                f"{self._segment}: the disk took {written} of {length} bytes; nothing was appended"
            )
        self._size += length

    def _roll(self) -> None:
        """A new segment; the old one stays in use where the disk has no room for it."""
        segment = self.path / segment_name(self._state.position)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            os.fdatasync(self._file)
            fresh = os.open(segment, flags, 0o644)
        except OSError as error:
            raise DataError(f"{segment}: {error.strerror}; nothing was appended") from error
        os.close(self._file)
        self._file, self._segment, self._size = fresh, segment, 0
        self._first = self._state.position
        sync_path(self.path)


def _require_new(path: Path) -> None:
    """What a creation that was killed half-way leaves behind counts as empty."""
    leftovers = {LOCK, f"{FILE}.draft"}
    if path.exists() and (
        not path.is_dir() or any(file.name not in leftovers for file in path.iterdir())
    ):
        raise DataError(f"{path} exists and is not empty; valid: a new or empty folder")


def _describe(kind: ChunkKind, header: ChunkHeader, payload: bytes) -> ChunkHeader:
    return make_header(
        kind,
        payload,
        actor=header.actor,
        epoch=header.epoch,
        first_sequence=header.first_sequence,
        count=header.count,
        record_bytes=header.record_bytes,
    )


def _check_records(records: Array, header: ChunkHeader) -> None:
    if why := poisoned(records):
        raise PoisonedDataError(f"records of '{header.actor}' refused: {why}; valid: finite")
    first, last = int(records["sequence"][0]), int(records["sequence"][-1])
    if first != header.first_sequence or last - first != header.count - 1:
        raise DataError(
            f"records of '{header.actor}' have sequences {first} … {last}; the chunk's header says "
            f"{header.count} from {header.first_sequence}"
        )
