"""Which key an actor's id belongs to: the first that used it in this log, until it is revoked."""

from __future__ import annotations

from pathlib import Path

import msgspec

from robot_rl.data.whole_file import write_whole
from robot_rl.errors import DataError, HandshakeError
from robot_rl.wire.key_files import Key
from robot_rl.wire.zap import AllowList

FILE = "owners.json"
MAX_BYTES = 1 << 20


class Owners:
    """Public key by actor id, kept in `owners.json` beside the log's segments.

    owners = Owners(log_dir)
    owners.check(actor, key, allow)         # HandshakeError: it is somebody else's
    owners.claim(actor, key)
    """

    def __init__(self, log_dir: Path) -> None:
        """Raises DataError naming the file where it cannot be read."""
        self.path = log_dir / FILE
        self._keys: dict[str, str] = {}
        if self.path.exists():
            try:
                if self.path.stat().st_size > MAX_BYTES:
                    raise ValueError(f"more than {MAX_BYTES} bytes")
                self._keys = msgspec.json.decode(self.path.read_bytes(), type=dict[str, str])
            except (OSError, ValueError) as error:  # msgspec's and Unicode's are ValueErrors
                raise DataError(
                    f"{self.path}: {error}; valid: actor id -> public key as JSON. Without the "
                    "file, ids belong to whoever uses them next"
                ) from error

    def check(self, actor: str, key: Key, allow: AllowList) -> None:
        """HandshakeError where the id belongs to another key that may still connect."""
        owner = self._keys.get(actor, key.public)
        if owner == key.public or allow.refusal(owner):
            return
        found = allow.find(owner)
        name = found.name if found is not None else owner
        raise HandshakeError(
            f"actor id '{actor}' belongs to key '{name}', this is key '{key.name}'; valid: an id "
            f"of its own (--id), or revoke '{name}' if it is out of use"
        )

    def claim(self, actor: str, key: Key) -> None:
        """From now on the id is this key's; on disk when it returns, written aside and renamed."""
        if self._keys.get(actor) == key.public:
            return
        keys = {**self._keys, actor: key.public}
        try:
            write_whole(self.path, msgspec.json.format(msgspec.json.encode(keys), indent=1))
        except OSError as error:
            raise DataError(f"{self.path}: {error.strerror}") from error
        self._keys = keys
