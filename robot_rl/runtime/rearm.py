"""Re-arming a robot from a terminal at its host: two small files in the run's private directory.

An actor whose robot holds leaves `<actor>.fault` with the reason; `robot-rl rearm` answers with
`<actor>.rearm`. The directory is in this host's memory and its user's own: nobody re-arms a robot
from anywhere else.
"""

from __future__ import annotations

from pathlib import Path


class RearmPost:
    """The actor's side.

    post.hold(reason)
    while not post.asked(): ...
    post.clear()
    """

    def __init__(self, runtime_dir: Path, actor: str) -> None:
        self._fault = runtime_dir / f"{actor}.fault"
        self._rearm = runtime_dir / f"{actor}.rearm"

    def hold(self, reason: str) -> None:
        """Says that the robot holds; what was asked before that does not count."""
        self._rearm.unlink(missing_ok=True)
        self._fault.write_text(reason)

    def asked(self) -> bool:
        """Whether a person at this host has asked to re-arm since; once for each time."""
        try:
            self._rearm.unlink()
        except FileNotFoundError:
            return False
        return True

    def clear(self) -> None:
        """The robot holds no more."""
        self._fault.unlink(missing_ok=True)


def holding(runtime_dir: Path) -> dict[str, str]:
    """Why each robot holds, by the actor's id."""
    return {path.stem: path.read_text() for path in sorted(runtime_dir.glob("*.fault"))}


def ask(runtime_dir: Path, actor: str) -> None:
    """Asks the actor to re-arm."""
    (runtime_dir / f"{actor}.rearm").touch()
