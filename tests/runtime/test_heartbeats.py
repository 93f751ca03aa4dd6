"""A heartbeat is its loop's own: a thread that lives beside a hung loop does not beat for it."""

from __future__ import annotations

from robot_rl.testing.wire_harness import WireHarness, wait_for


def test_a_learner_whose_loop_hangs_grows_old(wire: WireHarness) -> None:
    """Its link's thread went on asking, and that alone once counted as its heartbeat."""
    wire.start_ingest()
    learner = wire.learner()

    def age() -> int:
        stats = learner.stats()
        return -1 if stats is None else stats.learner_age_ms

    wait_for("its first word", lambda: age() >= 0)
    learner.heartbeat(0)
    wait_for("age", lambda: age() > 1200)  # though the thread of the link goes on
    old = age()
    learner.heartbeat(1)
    wait_for("youth", lambda: 0 <= age() < old)
