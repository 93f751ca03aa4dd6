"""What `robot-rl doctor robot=fr3` looks at: SDK, network, arm. It only reads."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from robot_rl.drivers.robots.franka_sdk import SDK_ERRORS, franky
from robot_rl.examination import Finding, Grade, found

PORT = 1337
"""Of the FCI."""
TESTED = "2.0.0"
SLOWEST_MS = 0.3
"""Of a round trip: what the vendor leaves a control loop of 1 kHz."""
PING = re.compile(r"= [\d.]+/([\d.]+)/([\d.]+)/")


def examine(config: Mapping[str, Any]) -> list[Finding]:
    """Stops at the first thing without which the next cannot be looked at."""
    findings = [_sdk()]
    address = str(config.get("address") or "")
    if not address:
        remedy = "give the IP of the arm's FCI: robot.address=172.16.0.2"
        return [*findings, Finding("address", Grade.FAILURE, "not set", remedy)]
    findings += [_reachable(address), *_latency(address)]
    if all(finding.grade is not Grade.FAILURE for finding in findings):
        findings += _arm(address, gripper=bool(config.get("gripper", True)))
    return findings


def _sdk() -> Finding:
    try:
        there = version("franky-control")
    except PackageNotFoundError:
        there = "" if franky is None else "unknown version"
    if franky is None:
        return Finding("SDK", Grade.FAILURE, "franky is missing", "pip install 'robot-rl[franka]'")
    remedy = f"tried with {TESTED}: pip install franky-control=={TESTED}"
    return found("SDK", there == TESTED, f"franky-control {there}", remedy, Grade.WARNING)


def _reachable(address: str) -> Finding:
    began = time.perf_counter()
    try:
        socket.create_connection((address, PORT), timeout=2.0).close()
    except OSError as error:
        return Finding(
            "arm",
            Grade.FAILURE,
            f"{address}:{PORT} does not answer ({error})",
            "switch the arm on, unlock the brakes and activate FCI in the Desk; use the arm's "
            "own network port, not the control cabinet's second one",
        )
    return Finding(
        "arm",
        Grade.GOOD,
        f"{address}:{PORT} answers in {1e3 * (time.perf_counter() - began):.2f} ms",
    )


def _latency(address: str) -> list[Finding]:
    """Round trips by `ping`, where it is installed."""
    remedy = "a cable straight to the arm; no switch, no USB adapter, energy saving off"
    try:
        out = subprocess.run(
            ["ping", "-q", "-c", "50", "-i", "0.02", address],
            capture_output=True,
            text=True,
            timeout=10.0,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        text = "not measured: no ping here"
        return [Finding("network", Grade.WARNING, text, "apt install iputils-ping")]
    times = PING.search(out)
    if times is None:
        return [Finding("network", Grade.WARNING, "ping got no answer", remedy)]
    mean, most = float(times[1]), float(times[2])
    text = f"round trip {mean:.2f} ms, at most {most:.2f} ms of 50"
    return [found("network", most < SLOWEST_MS, text, remedy, Grade.WARNING)]


def _arm(address: str, *, gripper: bool) -> list[Finding]:
    """One read-only connection. A driver that runs must be ended first."""
    try:
        arm = franky.Robot(address, realtime_config=franky.RealtimeConfig.Ignore)
        state = arm.state
    except SDK_ERRORS as error:
        return [
            Finding(
                "FCI",
                Grade.FAILURE,
                str(error),
                "end other clients; robot system 5.9 or newer is needed by this SDK",
            )
        ]
    errors = str(state.current_errors)
    mode = str(state.robot_mode).rpartition(".")[2]
    ready = not arm.has_errors and mode in ("Idle", "Move")
    tool = [round(float(value), 4) for value in state.F_T_EE.translation]
    findings = [
        found(
            "mode",
            ready,
            f"{mode}{'' if ready else f', {errors}'}",
            "clear the error in the Desk, release the user stop, set execution mode",
        ),
        Finding("tool", Grade.GOOD, f"the Desk's end effector is at {tool} m from the flange"),
    ]
    if gripper:
        findings.append(_gripper(address))
    return findings


def _gripper(address: str) -> Finding:
    try:
        hand = franky.Gripper(address)
        return Finding("gripper", Grade.GOOD, f"opens to {hand.max_width:.3f} m")
    except SDK_ERRORS as error:
        return Finding(
            "gripper", Grade.FAILURE, str(error), "mount and home the hand, or robot.gripper=false"
        )
