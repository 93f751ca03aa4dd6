"""What is in a dataset, as one digest: equal for a copy and for a folder that was moved."""

from __future__ import annotations

import hashlib
from pathlib import Path

from robot_rl.data.manifest import read_manifest
from robot_rl.data.segments import list_segments, walk
from robot_rl.wire.chunk import pack_header


def content_digest(path: Path) -> str:
    """Hex digest of the specification and of every chunk's header, which has the checksum of what
    it holds. Raises DataError where there is no dataset or it is damaged."""
    digest = hashlib.sha256(read_manifest(path).spec.to_json())
    for segment in list_segments(path):
        for entry in walk(segment):
            digest.update(pack_header(entry.header))
    return digest.hexdigest()
