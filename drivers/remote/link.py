"""The client's half of a driver's socket and page, shared by its robot, world and clock."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from robot_rl.drivers.remote.channel import Channel, Gone
from robot_rl.drivers.remote.messages import Answer, Info, Request, raised
from robot_rl.drivers.remote.page import Page
from robot_rl.errors import RobotFault
from robot_rl.types import Array

LOOK_S = 0.1
"""How often a client that waits for an answer listens for the driver's heart."""
GRACE_NS = 50_000_000
"""Beyond what a heartbeat may take until the client calls a driver silent: the guardian's turn."""


class Launcher(Protocol):
    """What starts a driver process, or finds one that stands."""

    directory: Path

    def start(self) -> None:
        """Returns once the driver listens; RobotFault or ConfigError with its own words if not."""
        ...

    def verdict(self) -> str:
        """Why the driver has ended, as the guardian wrote it; empty if it said nothing."""
        ...

    def end(self) -> None:
        """Waits for an owned driver to end; may be called twice."""
        ...


class DriverLink:
    """One connection to a driver process.

    link = DriverLink(launcher)
    answer = link.ask(Request("connect"))
    record = link.page.state.read()
    """

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._channel: Channel[Answer] | None = None
        self._page: Page | None = None
        self.on_start: list[Callable[[], None]] = []
        """Called when a driver was started anew: what the last one knew is said again."""
        self.begin()

    def begin(self) -> None:
        """Starts the driver and says hello, unless that is done."""
        if self._channel is not None:
            return
        self._launcher.start()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(str(self._launcher.directory / "socket"))
        except OSError as error:
            sock.close()
            raise RobotFault(
                f"no driver process at {self._launcher.directory} ({error.strerror}); valid: "
                "robot-rl driver robot=… runs one"
            ) from error
        self._channel, self._page = Channel(sock, Answer), None
        answer = self.ask(Request("hello", name="actor", number=os.getpid()))
        self.info = msgspec.json.decode(answer.text, type=Info)
        self._page = Page(self._launcher.directory / "page", self.info.arms, self.info.joints)
        for call in self.on_start:
            call()

    @property
    def page(self) -> Page:
        assert self._page is not None
        return self._page

    @property
    def open(self) -> bool:
        return self._channel is not None

    def ask(self, request: Request) -> Answer:
        """The answer; the driver's own error, or RobotFault when it has ended."""
        if self._channel is None:
            raise RobotFault("the robot is not connected; call connect() first")
        try:
            self._channel.send(request)
            while not self._channel.readable(LOOK_S):
                if self._page is not None and (reason := self.silence()):
                    raise Gone(reason)
            answer = self._channel.receive()
        except Gone as error:
            self.drop()
            reason = self.silence() if self._page is not None else ""
            raise RobotFault(reason or f"the driver process has ended: {error}") from error
        if answer.error:
            raise raised(answer)
        return answer

    def record(self) -> Array:
        """The newest state record."""
        return self.page.state.read()

    def silence(self) -> str:
        """Why the driver is not to be heard; empty while it is."""
        if verdict := self._launcher.verdict():
            return verdict
        beat, allowed = self.page.last_beat()
        late = time.monotonic_ns() - beat
        return (
            f"no heartbeat of the driver for {late / 1e6:.0f} ms"
            if late > allowed + GRACE_NS
            else ""
        )

    def drop(self) -> None:
        """Closes the socket: an owned driver stops the arm and ends."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def end(self) -> None:
        """The same, and waits for an owned driver."""
        self.drop()
        self._launcher.end()
