"""Real-time priority for a control loop: asked for, and what was granted is said."""

from __future__ import annotations

import os

FIFO_PRIORITY = 50


def ask_for_priority(*, fifo: bool, nice: int) -> str:
    """SCHED_FIFO and a nice value for this process; gives what was granted, in words."""
    granted = []
    if fifo:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(FIFO_PRIORITY))
            granted.append(f"SCHED_FIFO {FIFO_PRIORITY}")
        except PermissionError:
            granted.append("SCHED_FIFO refused (needs CAP_SYS_NICE or an rtprio limit)")
    if nice:
        try:
            granted.append(f"nice {os.nice(nice)}")
        except PermissionError:
            granted.append(f"nice {nice} refused")
    return ", ".join(granted) or "ordinary scheduling"
