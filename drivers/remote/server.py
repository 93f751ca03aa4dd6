"""The driver process's loop: one robot behind its safety layer, for one actor and any person."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from robot_rl.drivers.paced_clock import PacedClock
from robot_rl.drivers.remote.channel import Channel, Gone
from robot_rl.drivers.remote.messages import ERRORS, Answer, Info, Request
from robot_rl.drivers.remote.order import Order
from robot_rl.drivers.remote.page import Page, Phase, put_state, state_dtype, take_command
from robot_rl.drivers.remote.world_calls import WORLD_CALLS, WorldCalls
from robot_rl.errors import ConfigError, RobotFault, RobotRLError
from robot_rl.geometry import pose_difference
from robot_rl.interfaces import Bundle
from robot_rl.types import Array

MS = 1_000_000
FOREVER_NS = 1 << 62
IDLE_S = 0.02
STOP_NS = 60 * MS
"""Time given to a stop before the device is closed: three ticks of the safety layer."""


class DriverSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a driver runs."""

    pacing: Literal["free", "stepped"] = "free"
    """free: time passes by itself. stepped: a simulation that advances when the client waits."""
    owned: bool = True
    """Ends with its actor; else it waits for the next one."""
    first_goal: float = 0.1
    first_turn: float = 0.35
    service_ms: int = 1
    """How often commands and stops are looked at."""
    publish_ms: int = 4
    """How often the state is published and the heart beats."""
    allowed_ms: int = 100
    """A heartbeat may be this late; then the guardian ends the driver."""
    slow_s: float = 20.0
    """The same while a device is opened, re-armed or closed, and nothing tracks."""


class DriverServer:
    """Serves one bundle.

    server = DriverServer(bundle, directory, settings)
    server.run(stopping)
    """

    def __init__(self, bundle: Bundle, directory: Path, settings: DriverSettings) -> None:
        """ConfigError for a robot without a safety layer."""
        self._robot, self._settings = bundle.robot, settings
        if not self._robot.limits:
            raise ConfigError("a driver process needs a robot behind a safety layer (SafeRobot)")
        self._clock = self._robot.clock
        self._world = WorldCalls(bundle.world)
        self._stepped = settings.pacing == "stepped"
        joints = len(self._robot.limits[0].joint_low)
        self._page = Page(directory / "page", self._robot.n_arms, joints, create=True)
        self._record = np.zeros((), state_dtype(self._robot.n_arms, joints))
        self._order = Order(settings.first_goal, settings.first_turn)
        self._stop_seen = 0
        self._goal: Array | None = None
        self._started_away = 0.0
        self._next_publish_ns = 0
        self._connected = False
        self._held = ""
        self._actor: Channel[Request] | None = None
        self._listener = _listen(directory / "socket")
        self._handlers: dict[str, Callable[[Request], Answer]] = {
            "hello": lambda request: Answer(text=self._info()),
            "connect": self._connect,
            "move_to": self._move_to,
            "stop": self._stop,
            "rearm": self._rearm,
            "close": self._close,
            "advance": self._advance,
            "forward": self._forward,
            "inverse": self._inverse,
        }

    def run(self, stopping: Callable[[], bool]) -> None:
        """Until told to stop, or an owned driver's actor has ended; leaves the robot at rest."""
        self._clock.every(self._settings.service_ms * MS * (20 if self._stepped else 1), self._tick)
        self._beat()
        try:
            while not stopping() and (self._actor is not None or not self._settings.owned):
                self._turn()
        finally:
            self._leave("the driver process was told to end")

    def wait_for_actor(self, seconds: float, stopping: Callable[[], bool]) -> bool:
        """Waits for the first actor of an owned driver."""
        self._listener.settimeout(0.05)
        deadline = time.monotonic() + seconds
        while self._actor is None and not stopping() and time.monotonic() < deadline:
            self._beat(slow=True)
            with suppress(TimeoutError):
                self._take(self._listener.accept()[0])
        self._listener.setblocking(False)
        return self._actor is not None

    def _turn(self) -> None:
        """One request, or a little time. Nothing passes before a robot is connected."""
        idle = self._stepped or not self._connected
        if self._actor is not None and self._actor.readable(IDLE_S if idle else 0.0):
            try:
                self._serve(self._actor)
            except Gone as error:
                print(f"the actor is gone: {error}", file=sys.stderr, flush=True)
                self._lose_actor()
            return
        with suppress(BlockingIOError):
            self._take(self._listener.accept()[0])
        if not idle:
            self._clock.sleep_until(self._clock.now_ns() + self._settings.service_ms * MS)
            return
        if self._actor is None:
            time.sleep(IDLE_S)
        self._beat()

    def _take(self, sock: socket.socket) -> None:
        """Greets who has connected: the actor stays, a person is served once."""
        sock.settimeout(5.0)
        channel: Channel[Request] = Channel(sock, Request)
        try:
            hello = channel.receive()
            if hello.what != "hello" or hello.name not in ("actor", "person"):
                raise Gone("no hello")
            if hello.name == "actor" and self._actor is not None:
                channel.send(Answer("RobotFault", "the driver already has an actor"))
                raise Gone("a second actor")
            channel.send(Answer(text=self._info()))
            if hello.name == "actor":
                self._actor = channel
                return
            request = channel.receive()
            allowed = request.what in ("rearm", "stop")
            refused = Answer("RobotFault", f"a person may rearm or stop, not {request.what}")
            channel.send(self._answer(request) if allowed else refused)
        except Gone:
            pass
        channel.close()

    def _serve(self, channel: Channel[Request]) -> None:
        request = channel.receive()
        answer = self._answer(request)
        self._publish()
        channel.send(answer)

    def _answer(self, request: Request) -> Answer:
        handler = self._handlers.get(request.what)
        try:
            if handler is not None:
                return handler(request)
            if request.what in WORLD_CALLS:
                self._beat(slow=True)
                return self._world(request)
            return Answer("RobotFault", f"unknown request {request.what}")
        except RobotRLError as error:
            kind = next((name for name, kind in ERRORS.items() if isinstance(error, kind)), "")
            if not kind:
                raise
            return Answer(kind, str(error))
        finally:
            self._beat()

    def _connect(self, request: Request) -> Answer:
        if self._held:
            raise RobotFault(f"{self._held}; a person re-arms at the robot's host")
        self._order.connect()
        self._beat(slow=True)
        self._stop_seen = self._page.stop_asked()[0]
        self._command_seen = int(self._page.command.read()["number"])
        self._robot.connect()
        self._connected = True
        self._order.connected()
        return Answer(text=self._info())

    def _move_to(self, request: Request) -> Answer:
        gripper = np.array(request.rows[-1]) if request.number else None
        pose = np.array(request.rows[: self._robot.n_arms])
        self._order.move()
        self._goal, self._started_away = pose, 0.0
        try:
            self._robot.move_to(pose, gripper)
        finally:
            self._goal = None
            self._order.rested()
        return Answer()

    def _stop(self, request: Request) -> Answer:
        self._robot.stop()
        self._order.rested()
        return Answer()

    def _rearm(self, request: Request) -> Answer:
        self._held = ""
        if not self._connected:
            return Answer()
        self._obey_stops()
        self._beat(slow=True)
        self._robot.rearm()
        self._command_seen = int(self._page.command.read()["number"])
        self._order.rearmed()
        return Answer()

    def _close(self, request: Request) -> Answer:
        self._beat(slow=True)
        self._keep(self._order.fault)
        self._robot.close()
        self._connected = False
        self._order.closed()
        return Answer()

    def _advance(self, request: Request) -> Answer:
        if not self._stepped:
            return Answer("RobotFault", "time passes by itself in this driver")
        self._take_command()
        self._clock.sleep_until(request.number)
        return Answer()

    def _forward(self, request: Request) -> Answer:
        kinematics = self._robot.kinematics
        assert kinematics is not None
        return Answer(rows=[list(kinematics.forward(request.number, request.rows[0]))])

    def _inverse(self, request: Request) -> Answer:
        kinematics = self._robot.kinematics
        assert kinematics is not None
        pose, near = map(np.array, request.rows)
        q, away = kinematics.inverse(request.number, pose, near)
        return Answer(rows=[q.tolist(), [away]])

    def _tick(self) -> None:
        """Called by the clock, in moves too: stops, the newest command, state and heartbeat."""
        self._obey_stops()
        if self._stepped:
            return
        taken = self._take_command()
        now = time.monotonic_ns()  # a robot's own clock may begin anew
        if taken or now >= self._next_publish_ns:
            self._next_publish_ns = now + self._settings.publish_ms * MS
            self._publish()
            self._beat()

    def _obey_stops(self) -> None:
        number, reason = self._page.stop_asked()
        if number != self._stop_seen:
            self._stop_seen = number
            self._robot.trip(reason)

    def _take_command(self) -> bool:
        """Whether there was a new one."""
        if not self._connected or self._order.phase is Phase.MOVING:
            return False
        record = self._page.command.read()
        if (number := int(record["number"])) == self._command_seen:
            return False
        self._command_seen = number
        state = self._robot.read()
        if state.fault:
            return True
        command = take_command(record, self._page.joints)
        try:
            self._order.accept(command, state)
            self._robot.command(command)
        except RobotRLError as error:  # the client has checked form and order: this is a fault
            self._robot.trip(str(error))
        return True

    def _publish(self) -> None:
        record = self._record
        if self._connected:
            state = self._robot.read()
            put_state(record, state)
            if state.fault:
                self._order.failed(state.fault)
            if self._goal is not None:
                record["progress"] = self._progress(state.setpoint)
        record["clock_ns"], record["clock_boot"] = self._clock.now_ns(), self._clock.boot_id
        record["connected"], record["phase"] = self._connected, int(self._order.phase)
        record["command"] = self._command_seen if self._connected else 0
        self._page.state.write(record)

    def _progress(self, setpoint: Array) -> float:
        """Share of the way of a move that lies behind, by the arm that has most before it."""
        assert self._goal is not None
        left = float(np.abs(pose_difference(setpoint, self._goal, "base")).max())
        self._started_away = max(self._started_away, left, 1e-9)
        return 1.0 - left / self._started_away

    def _beat(self, *, slow: bool = False) -> None:
        settings = self._settings
        allowed = round(settings.slow_s * 1e9) if slow else settings.allowed_ms * MS
        self._page.beat(FOREVER_NS if self._stepped else allowed)

    def _lose_actor(self) -> None:
        """The actor's process has ended: the arm stops, and a person decides what follows."""
        assert self._actor is not None
        self._actor.close()
        self._actor = None
        if self._connected:
            self._keep(self._order.fault or "the actor's process ended while it drove the arm")
        self._leave("the actor's process has ended")

    def _keep(self, fault: str) -> None:
        """A driver that outlives its actors refuses the next one until a person re-arms."""
        if not self._settings.owned:
            self._held = fault

    def _leave(self, reason: str) -> None:
        """Stops the arm compliantly, lets the safety layer act on it, closes the device."""
        if not self._connected:
            return
        with suppress(RobotFault):
            self._robot.stop()
            self._robot.trip(reason)
            self._clock.sleep_until(self._clock.now_ns() + STOP_NS)
        self._beat(slow=True)
        self._robot.close()
        self._connected = False
        self._order.closed()
        self._publish()

    def _info(self) -> str:
        robot = self._robot
        kinematics = robot.kinematics
        info = Info(
            arms=robot.n_arms,
            joints=self._page.joints,
            capabilities=robot.capabilities.value,
            gripper_range=[side.tolist() for side in robot.gripper_range],
            gains={name: float(value) for name, value in robot.gains.items()},
            base_poses=robot.base_poses.tolist(),
            limits=robot.limits,
            host_clock=isinstance(self._clock, PacedClock),
            stepped=self._stepped,
            world=self._world.there,
            pid=os.getpid(),
            reach=0.0 if kinematics is None else kinematics.reach,
        )
        return msgspec.json.encode(info).decode()


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    path.unlink(missing_ok=True)
    listener.bind(str(path))
    listener.listen(4)
    listener.setblocking(False)
    return listener
