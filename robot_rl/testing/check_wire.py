"""What a wire must do, whoever writes it: nothing lost or doubled, newest weights, credits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from robot_rl.errors import WireError
from robot_rl.testing.wire_harness import WireHarness, wait_for, write_episode
from robot_rl.types import Array
from robot_rl.wire.protocol import ControlKind
from robot_rl.wire.record import new_record, record_dtype


class Recorder:
    """An independent copy of what an actor wrote, taken at the link's edge.

    link = wire.link("a", 1); recorder = Recorder(link)
    """

    def __init__(self, link: object) -> None:
        self.records: list[bytes] = []
        ring = link._ring  # type: ignore[attr-defined]
        write = ring.try_write

        def recording(record: memoryview) -> bool:
            done: bool = write(record)
            if done:
                self.records.append(bytes(record))
            return done

        ring.try_write = recording

    def __len__(self) -> int:
        return len(self.records)

    def array(self, dtype: np.dtype) -> Array:
        """Everything written, (n,)."""
        if not self.records:
            return new_record(dtype)[:0]
        return np.frombuffer(b"".join(self.records), dtype)


def require_equal(logged: Array, written: Array, what: str) -> None:
    """Raises WireError unless the log has exactly what was written, byte by byte, in order."""
    if len(logged) != len(written):
        raise WireError(f"{what}: {len(logged)} records in the log, {len(written)} written")
    if logged.tobytes() != written.tobytes():
        row = next(i for i in range(len(logged)) if logged[i].tobytes() != written[i].tobytes())
        raise WireError(f"{what}: record {row} differs")


def check_wire(folder: Path, *, actors: int = 2, steps: int = 300) -> None:
    """Runs `actors` through real processes; raises WireError on the first rule broken.

    Every record is in the log exactly once, byte-equal and in order; weights of the newest version
    arrive unchanged; the grants of all actors add up to what the learner granted; commands arrive.
    """
    with WireHarness(folder, granted=0) as wire:
        wire.start_ingest()
        learner = wire.learner()
        weights = {"w": np.arange(1000, dtype=np.float32).reshape(10, 100), "b": np.ones(3, "f4")}
        learner.publish({"w": np.zeros((10, 100), "f4"), "b": np.zeros(3, "f4")}, 1)
        learner.publish(weights, 2)
        names = [f"actor-{number}" for number in range(actors)]
        links = []
        for name in names:
            wire.start_io(name)
            links.append(wire.link(name, 7))
        recorders = [Recorder(link) for link in links]
        wait_for("published weights", lambda: all(a.published_version == 2 for a in links))
        for link in links:
            _check_weights(link, weights)
        wait_for("connections", lambda: (s := learner.stats()) is not None and _live(s) == actors)
        total = actors * steps
        learner.grant(total)
        wait_for("credits", lambda: sum(link.credits for link in links) == total)
        rng = np.random.default_rng(0)
        for link in links:
            write_episode(link, wire.spec, rng, link.credits)
        for name, recorder in zip(names, recorders, strict=True):
            logged = wire.wait_logged(name, 7, len(recorder))
            require_equal(logged, recorder.array(record_dtype(wire.spec)), name)
        learner.control(ControlKind.PAUSE)
        wait_for("the command", lambda: all(a.control().kind is ControlKind.PAUSE for a in links))


def _live(stats: object) -> int:
    return sum(actor.connected for actor in stats.actors)  # type: ignore[attr-defined]


def _check_weights(link: object, expected: dict[str, Array]) -> None:
    found: list[tuple[dict[str, Array], int]] = []

    def arrived() -> bool:
        new = link.newest()  # type: ignore[attr-defined]
        if new is not None:
            found.append(new)
        return bool(found) and found[-1][1] == 2

    wait_for("the newest weights", arrived)
    for name, array in expected.items():
        if found[-1][0][name].tobytes() != array.tobytes():
            raise WireError(f"weights '{name}' arrived changed")
