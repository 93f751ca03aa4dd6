"""The fault list: each row injects one fault into a World; its twin lacks the row's guard.

A new row is one entry in ROWS: `inject` starts what it needs and raises Broken where something of
its own does not hold; invariant I1 is judged for every row when it is through.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fault_mangle import HEADS
from fault_namespace import no_namespaces
from fault_world import World
from faults_disk import crowded_disk, full_disk, power_fails, small_disk
from faults_network import bad_link, flipped_bits, mangled, partitioned, wrong_answers
from faults_process import (
    FAKETIME,
    another_rate,
    clock_jumps,
    driver_raises,
    learner_too_slow,
    one_name_twice,
    paused,
    paused_elsewhere,
    run_a_while,
    stopped,
)


@dataclass(frozen=True)
class Row:
    """One fault."""

    name: str
    inject: Callable[[World], None]
    guard: str
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    needs: Callable[[], str] = lambda: ""
    """Why this machine cannot, "" where it can."""
    slow: bool = False


ROWS = [
    Row("chunks lost", mangled("lost"), "sequence_gaps_are_refused"),
    Row("chunks doubled", mangled("doubled"), "deduplication"),
    Row("chunks reordered", mangled("reordered"), "sequence_gaps_are_refused"),
    Row("chunks with wrong bits", mangled("corrupt"), "checksums_on_the_wire"),
    Row("chunks with wrong headers", mangled("corrupt header"), "garbage_is_counted", slow=True),
    Row("chunks cut short", mangled("truncated"), "garbage_is_counted", slow=True),
    Row("garbage frames", mangled("garbage"), "garbage_is_counted", slow=True),
    Row("requests with wrong bits", mangled(HEADS), "checksums_of_heads"),
    Row(
        "answers with wrong bits",
        wrong_answers,
        "checksums_of_heads",
        {"actor": {"credits": True}},
    ),
    Row("bits flipped in the stream", flipped_bits, "checksums_on_the_wire"),
    Row("partition, delay, cut connections", partitioned, "deduplication", slow=True),
    *(
        Row(f"network: {name}", inject, "deduplication", needs=no_namespaces, slow=True)
        for name, inject in {
            "partition of 4 s": bad_link(7.0, loss=1.0),
            "1 % loss": bad_link(4.0, loss=0.01, delay_s=0.03),
            "30 % loss": bad_link(6.0, loss=0.3, delay_s=0.03),
            "delay of 100 to 150 ms": bad_link(3.0, delay_s=0.1, jitter_s=0.05),
            "packets out of order": bad_link(3.0, delay_s=0.03, jitter_s=0.03),
        }.items()
    ),
    Row("stopped and continued", stopped, "deduplication", slow=True),
    Row(
        "NaN and infinity in records",
        run_a_while(1.0),
        "quarantine",
        {"actor": {"poison_every": 7}},
    ),
    Row("restarts while a person pauses", paused, "pause_is_kept"),
    Row("another ingest while a person pauses", paused_elsewhere, "pause_holds"),
    Row("two actors with one id", one_name_twice, "one_process_an_id", slow=True),
    Row("another specification", another_rate, "specification_is_compared", slow=True),
    Row(
        "spool on a full disk",
        full_disk("io"),
        "only_whole_appends_count",
        needs=small_disk,
        slow=True,
    ),
    Row("log on a full disk", full_disk("ingest"), "only_whole_appends_count", needs=small_disk),
    Row(
        "spool's disk filled by others",
        crowded_disk,
        "acknowledged_room_is_used_again",
        needs=small_disk,
        slow=True,
    ),
    Row(
        "wall clock jumps an hour",
        clock_jumps,
        "monotonic_watchdogs",
        needs=lambda: "" if FAKETIME.exists() else "libfaketime is not installed",
        slow=True,
    ),
    Row(
        "driver exception in the actor",
        driver_raises,
        "record_in_shared_memory_at_once",
        {"actor": {"fail_at": 150}},
    ),
    Row(
        "learner 100 times slower",
        learner_too_slow,
        "credits_are_enforced",
        {"actor": {"credits": True}},
    ),
    Row(
        "power failure of the learner's host",
        power_fails("learner"),
        "acknowledge_after_sync",
        {"io": {"spool_bytes": 200_000}},
    ),
    Row("power failure of the actor's host", power_fails("actor"), "spool_is_synced", slow=True),
]
