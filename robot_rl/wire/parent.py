"""A child that outlives nobody: it ends when its parent does, kill -9 included."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int | None = None, number: signal.Signals = signal.SIGTERM) -> None:
    """Asks the kernel to send `number` to this process when its parent dies (Linux prctl).

    Call it first thing in a child, with the process id of the parent (by default the variable
    ROBOT_RL_PARENT, else no check): a parent that died before the call is noticed, and the signal
    is raised at once. The kernel watches the parent's *thread* that started the child: start
    children from a thread that lives as long as the process. SIGTERM lets a process flush (bounded
    by its own time limit); use SIGKILL where there is nothing to keep.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl(PR_SET_PDEATHSIG): {os.strerror(code)}")
    if parent_pid is None:
        parent_pid = int(os.environ.get("ROBOT_RL_PARENT", "0"))
    if parent_pid and os.getppid() != parent_pid:
        os.kill(os.getpid(), number)
