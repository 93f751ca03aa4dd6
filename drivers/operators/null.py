"""The device that nobody holds."""

from __future__ import annotations

from robot_rl.types import TeleopSample


class NullTeleop:
    """Always hands off."""

    def read(self) -> TeleopSample | None:
        return None

    def close(self) -> None:
        pass
