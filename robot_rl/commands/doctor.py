"""Say whether this machine and the robot could run, and what to do about what is missing.

robot-rl doctor robot=fr3 robot.address=172.16.0.2
robot-rl doctor --json

It reads and moves nothing. Exit code 1 when something failed.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import os
import platform
import resource
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from robot_rl.commands.common import add_overrides, compose
from robot_rl.commands.output import emit
from robot_rl.errors import ConfigError
from robot_rl.examination import Finding, Grade, found

LEAST_GB = 20.0
FIFO_PRIORITY = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_overrides(parser)


def run(options: argparse.Namespace) -> int:
    findings = [*examine_robot(compose(options)), *examine_machine(Path.cwd())]
    failed = any(finding.grade is Grade.FAILURE for finding in findings)
    if options.json:
        emit([{**_as_dict(finding)} for finding in findings])
    else:
        for finding in findings:
            print(f"{finding.grade.value:<5}{finding.name:<12}{finding.found}")
            if finding.remedy:
                print(f"{'':<17}-> {finding.remedy}")
        print("it cannot run yet" if failed else "it can run")
    return int(failed)


def _as_dict(finding: Finding) -> dict[str, str]:
    return {
        "name": finding.name,
        "grade": finding.grade.value,
        "found": finding.found,
        "remedy": finding.remedy,
    }


def examine_robot(cfg: DictConfig) -> list[Finding]:
    """What the robot's own module looks at; a simulated robot has nothing to look at."""
    node: dict[str, Any] = dict(OmegaConf.to_container(cfg.robot, resolve=True))  # type: ignore[arg-type]
    node = {key: None if value == "???" else value for key, value in node.items()}
    module_name = str(node.get("_target_", "")).rpartition(".")[0]
    try:
        module = importlib.import_module(module_name)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"robot._target_ {node.get('_target_')}: {error}") from error
    examine = getattr(module, "examine", None)
    if examine is None:
        return [Finding("robot", Grade.GOOD, f"{module_name} has no device to look at")]
    findings: list[Finding] = examine(node)
    return findings


def examine_machine(folder: Path) -> Iterable[Finding]:
    """Kernel, priorities, memory locking, clock, disk, GPU."""
    yield _kernel()
    yield _priority()
    yield _locking()
    yield _governor()
    yield _clock()
    free = shutil.disk_usage(folder).free / 1e9
    yield found(
        "disk",
        free >= LEAST_GB,
        f"{free:.0f} GB free in {folder}",
        f"a run with cameras may take {LEAST_GB:.0f} GB; free some, or set run=<another disk>",
        Grade.WARNING,
    )
    gpu = Path("/proc/driver/nvidia/version").exists()
    yield Finding(
        "GPU", Grade.GOOD, "an NVIDIA driver is loaded" if gpu else "none; state policies need none"
    )


def _kernel() -> Finding:
    flag = Path("/sys/kernel/realtime")
    there = flag.exists() and flag.read_text().strip() == "1"
    return found(
        "kernel",
        there,
        f"{platform.release()}, {'' if there else 'no '}PREEMPT_RT",
        "an arm with a 1 kHz interface wants a PREEMPT_RT kernel (Ubuntu: pro enable "
        "realtime-kernel); without it robot.real_time_kernel=false, for trials",
        Grade.WARNING,
    )


def _priority() -> Finding:
    """Asks for SCHED_FIFO and gives it back."""
    policy, parameter = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(FIFO_PRIORITY))
        os.sched_setscheduler(0, policy, parameter)
    except PermissionError:
        return Finding(
            "priority",
            Grade.WARNING,
            "SCHED_FIFO is refused",
            f"in /etc/security/limits.d/robot.conf: `{os.environ.get('USER', 'you')} - rtprio 99`, "
            "then log in again",
        )
    return Finding("priority", Grade.GOOD, f"SCHED_FIFO {FIFO_PRIORITY} is granted")


def _locking() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    good = soft == resource.RLIM_INFINITY or os.geteuid() == 0
    return found(
        "memory",
        good,
        "memory may be locked" if good else f"at most {soft >> 10} kB may be locked",
        "in /etc/security/limits.d/robot.conf: `- memlock unlimited`",
        Grade.WARNING,
    )


def _governor() -> Finding:
    files = sorted(Path("/sys/devices/system/cpu").glob("cpu*/cpufreq/scaling_governor"))
    governors = sorted({file.read_text().strip() for file in files})
    good = governors in ([], ["performance"])
    return found(
        "CPU",
        good,
        f"{os.cpu_count()} cores, governor {', '.join(governors) or 'not told'}",
        "cpupower frequency-set -g performance",
        Grade.WARNING,
    )


def _clock() -> Finding:
    """The kernel's word on NTP (adjtimex gives 5 while the clock is not synchronised)."""
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(256))
    return found(
        "clock",
        state != 5,
        "synchronised" if state != 5 else "not synchronised",
        "timedatectl set-ntp true: dates of logs of several hosts are compared (control never is)",
        Grade.WARNING,
    )
