"""What a person at the robot's host may say to a driver that stands: status, trip, re-arm."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import msgspec

from robot_rl.drivers.remote.channel import Channel
from robot_rl.drivers.remote.messages import Answer, Info, Request, raised
from robot_rl.drivers.remote.page import Page, Phase
from robot_rl.errors import RobotFault


def rearm(directory: Path) -> None:
    """Clears a latched fault; the driver's own error when it cannot."""
    channel, _ = _hello(directory)
    channel.send(Request("rearm"))
    answer = channel.receive()
    channel.close()
    if answer.error:
        raise raised(answer)


def trip(directory: Path, reason: str) -> None:
    """Stops the arm at the driver's next look, in a move too."""
    _page(directory).stop(reason)


def status(directory: Path) -> str:
    """One line: phase, fault, heartbeat."""
    record = _page(directory).state.read()
    fault = bytes(record["fault"]).decode(errors="replace")
    phase = Phase(int(record["phase"])).name.lower()
    return f"{directory.name}: {phase}{f', {fault}' if fault else ''}"


def _page(directory: Path) -> Page:
    channel, info = _hello(directory)
    channel.close()
    return Page(directory / "page", info.arms, info.joints)


def _hello(directory: Path) -> tuple[Channel[Answer], Info]:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(10.0)
    try:
        sock.connect(str(directory / "socket"))
    except OSError as error:
        sock.close()
        raise RobotFault(f"no driver runs at {directory} ({error.strerror})") from error
    channel: Channel[Answer] = Channel(sock, Answer)
    channel.send(Request("hello", name="person", number=os.getpid()))
    return channel, msgspec.json.decode(channel.receive().text, type=Info)
