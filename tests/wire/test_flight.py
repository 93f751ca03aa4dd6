"""The window of unacknowledged chunks: its bounds, its figures, what counts as progress."""

from __future__ import annotations

from robot_rl.wire.flight import Flight
from robot_rl.wire.spool_segment import Life, Spooled

LIVES = {epoch: Life("a", epoch, 8, b"{}") for epoch in (1, 2)}


def chunk(epoch: int, first: int, count: int, size: int = 10) -> Spooled:
    return Spooled(LIVES[epoch], b"", bytes(size), first + count)


def test_bounded_by_bytes_and_by_chunks() -> None:
    flight = Flight(window_bytes=25, window_chunks=10)
    for number in range(3):
        assert flight.room
        flight.add(chunk(1, number, 1), 0.0)
    assert flight.size == 30
    assert not flight.room
    flight.acknowledge(1, 1, 1.0)
    assert flight.size == 20
    assert flight.room
    narrow = Flight(window_bytes=1000, window_chunks=1)
    narrow.add(chunk(1, 0, 1), 0.0)
    assert not narrow.room


def test_only_whole_chunks_of_the_life_are_acknowledged() -> None:
    flight = Flight()
    flight.begin(4, 1.0)
    assert (flight.sent, flight.waits) == (4, False)
    flight.add(chunk(1, 4, 4), 2.0)
    flight.add(chunk(2, 0, 4), 3.0)
    assert (flight.sent, flight.progress_at) == (4, 2.0)
    flight.acknowledge(1, 7, 4.0)
    assert (flight.size, flight.progress_at) == (20, 2.0), "half a chunk is none"
    flight.acknowledge(2, 4, 5.0)
    assert flight.size == 20, "the older life's comes first"
    flight.acknowledge(1, 8, 6.0)
    assert (flight.size, flight.progress_at) == (10, 6.0)
    flight.acknowledge(2, 99, 7.0)
    assert not flight.waits


def test_progress_counts_from_when_something_waits() -> None:
    flight = Flight()
    flight.begin(0, 0.0)
    flight.add(chunk(1, 0, 1), 100.0)
    assert flight.progress_at == 100.0, "it was idle before"
    flight.clear()
    assert (flight.size, flight.waits) == (0, False)
