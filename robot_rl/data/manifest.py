"""The manifest of a dataset: what its records are, and when and how they were written."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from robot_rl.data.whole_file import write_whole
from robot_rl.errors import UNREADABLE, DataError, SpecError, suggest
from robot_rl.specs import EnvSpec
from robot_rl.wire.record import record_dtype

FORMAT = "robot-rl episode log"
VERSION = 2
READABLE = (1, 2)
"""Versions that are read; see old_format.py."""
FILE = "manifest.json"
CODECS = ("raw", "png")
"""How images lie in the log: as they are, or as lossless PNG wherever that is smaller."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """Contents of `manifest.json`."""

    spec: EnvSpec
    codec: str = "raw"
    created: str = ""
    """UTC, ISO 8601."""
    meta: dict[str, Any] = field(default_factory=dict)
    """Free facts for people (task, author, machine); JSON values only."""
    version: int = VERSION
    """Of the format."""


def new_manifest(spec: EnvSpec, codec: str, meta: dict[str, Any] | None) -> Manifest:
    """A manifest of now; raises DataError on an unknown codec."""
    if codec not in CODECS:
        raise DataError(f"unknown codec '{codec}': {suggest(codec, CODECS)}")
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return Manifest(spec, codec, created, dict(meta or {}))


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Writes `path`/manifest.json whole or not at all."""
    raw = {
        "format": FORMAT,
        "version": VERSION,
        "codec": manifest.codec,
        "created": manifest.created,
        "record_bytes": record_dtype(manifest.spec).itemsize,
        "spec": msgspec.json.decode(manifest.spec.to_json()),
        "spec_sha256": hashlib.sha256(manifest.spec.to_json()).hexdigest(),
        "meta": manifest.meta,
    }
    try:
        data = msgspec.json.format(msgspec.json.encode(raw), indent=2)
    except (TypeError, msgspec.MsgspecError) as error:
        raise DataError(f"{path}: meta must hold JSON values: {error}") from error
    write_whole(path / FILE, data + b"\n")


def read_manifest(path: Path) -> Manifest:
    """Reads `path`/manifest.json; raises DataError where it is missing, damaged or of another
    format version."""
    file = path / FILE
    if not path.is_dir():
        raise DataError(f"{path}: no such dataset folder")
    if not file.is_file():
        raise DataError(f"{path}: no {FILE}: not a dataset, or one whose creation was cut short")
    try:
        raw = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except UNREADABLE as error:
        raise DataError(f"{file}: {error}") from error
    if raw.get("format") != FORMAT:
        raise DataError(f"{file}: format '{raw.get('format')}'; valid: '{FORMAT}'")
    if (version := raw.get("version")) not in READABLE:
        raise DataError(f"{file}: format version {version}; this reads {READABLE}")
    if raw.get("codec") not in CODECS:
        raise DataError(
            f"{file}: codec '{raw.get('codec')}': {suggest(str(raw.get('codec')), CODECS)}"
        )
    text = msgspec.json.encode(raw.get("spec"), order="sorted")
    try:
        spec = EnvSpec.from_json(text)
    except SpecError as error:
        raise DataError(f"{file}: {error}") from error
    if hashlib.sha256(text).hexdigest() != raw.get("spec_sha256"):
        raise DataError(f"{file}: spec and spec_sha256 do not belong together: edited by hand?")
    created, meta = str(raw.get("created", "")), dict(raw.get("meta") or {})
    return Manifest(spec, raw["codec"], created, meta, version)


def require_spec(path: Path, manifest: Manifest, spec: EnvSpec) -> None:
    """Raises SpecError listing how the interface of the dataset's spec differs from `spec`'s."""
    lines = manifest.spec.differences(spec)
    if lines:
        raise SpecError(
            f"{path}: a dataset of another specification (dataset != here):\n  "
            + "\n  ".join(lines)
        )
