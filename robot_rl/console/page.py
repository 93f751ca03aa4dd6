"""The page: cameras, the robot in 3-D, who acts and how it goes, and the buttons of an operator."""

from __future__ import annotations

import math
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from robot_rl.console.guard import HOST, guarded
from robot_rl.console.hands import NAN, Hands
from robot_rl.console.scene import RobotScene
from robot_rl.errors import ConfigError
from robot_rl.specs import EnvSpec
from robot_rl.types import Event, Purpose, Source
from robot_rl.wire.latest_layout import Latest

MISSING = "console=web needs viser; valid: pip install 'robot-rl[console]'"
WHO = {
    Source.POLICY: "the policy",
    Source.HUMAN: "a person",
    Source.DEMO: "the demonstrator",
    Source.RANDOM: "random actions (no weights yet)",
    Source.REWIND: "a person, who rewinds",
    Source.SCRIPT: "nobody: it holds",
}
JUDGE = (("Success", Event.SUCCESS, "green"), ("Failure", Event.FAILURE, "orange"))
AXES = ("x", "y", "z")
JOG_HZ = 20.0
STALE_S = 1.0
VIEW_FROM = np.array([0.55, -0.5, 0.4])
"""Of the first arm's tool, where the first look is from, m."""


def open_server(port: int, token: str) -> Any:
    """A viser server on this machine alone, behind the guard; ConfigError without viser, or where
    the guard does not hold: with another viser, say."""
    with guarded(token) as started:
        try:
            import viser
        except ModuleNotFoundError as error:
            raise ConfigError(MISSING) from error
        server = viser.ViserServer(host=HOST, port=port, label="robot-rl", verbose=False)
    address = f"http://{HOST}:{server.get_port()}/"
    if not started() or _status(address) != 401:
        server.stop()
        raise ConfigError(
            f"viser {viser.__version__} does not ask for the console's token; valid: the version "
            "that pyproject.toml names"
        )
    return server


def _status(address: str) -> int:
    """Of a request without a token."""
    try:
        with urllib.request.urlopen(address, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as refusal:
        return int(refusal.code)


class Page:
    """One page for one actor; `show` is called some times a second.

    acts: whether its buttons may move and judge; without, it shows and stops.
    """

    def __init__(self, server: Any, hands: Hands, actor: str, *, acts: bool) -> None:
        self._server, self._hands, self._actor, self._acts = server, hands, actor, acts
        self._scene: RobotScene | None = None
        self._images: dict[str, Any] = {}
        self._shown_ns, self._aimed = 0, np.zeros(3)
        server.gui.configure_theme(control_layout="fixed", control_width="large", dark_mode=True)
        self._status = server.gui.add_markdown("Waiting for the first step.")
        self._cameras = server.gui.add_folder("What the policy sees")
        self._buttons()
        server.on_client_connect(self._opened)
        server.on_client_disconnect(self._closed)

    def show(self, latest: Latest | None, spec: EnvSpec | None, fault: str) -> None:
        """Draws the newest moment; `fault`: why the robot waits to be re-armed, "" if it does
        not."""
        if self._hands.pages == 0:
            self._aim(latest)
            return
        self._status.content = status_of(latest, self._actor, fault, self._holding())
        if latest is None or spec is None or latest.written_ns == self._shown_ns:
            return
        self._shown_ns = latest.written_ns
        for name, image in latest.step.obs.items():
            if image.ndim == 3:
                self._image(name, image)
        state = latest.step.state
        if state is not None:
            if self._scene is None:
                arms = len(state.pose)
                self._scene = RobotScene(self._server, self._hands, spec, arms, acts=self._acts)
            self._scene.show(state)

    def _aim(self, latest: Latest | None) -> None:
        """Whoever opens the page next looks at the first arm's tool."""
        if latest is None or latest.step.state is None:
            return
        tool = latest.step.state.setpoint[0, :3]
        if np.abs(tool - self._aimed).max() > 0.005:
            self._aimed = tool
            self._server.initial_camera.look_at = tuple(tool)
            self._server.initial_camera.position = tuple(tool + VIEW_FROM)

    def _holding(self) -> str:
        holder = self._hands.holder
        return "" if holder is None else f"page {holder}"

    def _image(self, name: str, image: Any) -> None:
        if name not in self._images:
            with self._cameras:
                self._images[name] = self._server.gui.add_image(image, label=name)
        else:
            self._images[name].image = image

    async def _opened(self, client: Any) -> None:
        self._hands.opened(client.client_id)

    async def _closed(self, client: Any) -> None:
        self._hands.closed(client.client_id)
        if self._scene is not None and client.client_id == self._hands.holder:
            self._scene.closed()

    # -- buttons -----------------------------------------------------------------------------

    def _buttons(self) -> None:
        gui, hands = self._server.gui, self._hands
        self._press("Stop request", Event.STOP, "red")
        if not self._acts:
            return
        self._clicked(gui.add_button("Take over", color="blue"), hands.take)
        self._clicked(gui.add_button("Hand back"), hands.release)
        for label, event, colour in JUDGE:
            self._press(label, event, colour)
        self._press("Discard episode", Event.DISCARD)
        self._press("Undo the last episode", Event.UNDO)
        self._press("Pause / go on", Event.PAUSE)
        with gui.add_folder("Hold to move"):
            for axis, name in enumerate(AXES):
                for sign, mark in ((1.0, "+"), (-1.0, "−")):
                    motion = [0.0] * 6 + [NAN]
                    motion[axis] = sign
                    self._held(f"{mark}{name}", partial(self._jog, motion))
            for sign, name in ((1.0, "Open"), (-1.0, "Close")):
                self._held(f"{name} gripper", partial(self._jog, [*[0.0] * 6, sign]))
            self._held("Rewind", lambda _: hands.press(Event.REWIND))

    def _press(self, label: str, event: Event, colour: str | None = None) -> None:
        button = self._server.gui.add_button(label, color=colour)
        self._clicked(button, lambda _: self._hands.press(event))

    def _jog(self, motion: list[float], page: int) -> None:
        self._hands.jog(page, 0, motion)

    def _clicked(self, button: Any, act: Callable[[int], object]) -> None:
        """`act` gets the page's number; a coroutine keeps the order of the clicks."""

        @button.on_click
        async def _(event: Any) -> None:
            if event.client_id is not None:
                act(event.client_id)

    def _held(self, label: str, act: Callable[[int], object]) -> None:
        """`act` is called again and again while the button is held."""

        @self._server.gui.add_button(label).on_hold(callback_hz=JOG_HZ)
        async def _(event: Any) -> None:
            if event.client_id is not None:
                act(event.client_id)


def status_of(latest: Latest | None, actor: str, fault: str, holder: str) -> str:
    """What a person reads, as Markdown."""
    if latest is None:
        return f"**{actor}**: waiting for the first step."
    step, action = latest.step, latest.action
    who = "reset" if action is None else WHO[action.source]
    if action is not None and action.human is not None and action.source is not Source.REWIND:
        who = WHO[Source.HUMAN]
    who += f" ({holder} has the robot)" if holder else ""
    stop = fault or step.fault
    age = latest.age_s()
    kind = "evaluation" if latest.purpose is Purpose.EVALUATION else "episode"
    rows = [
        ("acts", who),
        (kind, f"{latest.episode}, step {latest.index}"),
        ("success, last 20", _percent(latest.success_rate)),
        ("by a person, last 20", _percent(latest.intervention_rate)),
        ("value", "–" if math.isnan(latest.value) else f"{latest.value:.2f}"),
        ("weights", str(latest.version)),
        ("newest step", f"{age:.1f} s ago" + (" ⚠" if age > STALE_S else "")),
        ("late", f"{step.late_ns / 1e6:.1f} ms"),
        ("limited by", step.stage.name.lower()),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    warning = f"\n\n**FAULT: {stop}**" if stop else ""
    return f"**{actor}**{warning}\n\n| | |\n|---|---|\n{table}"


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.0f} %"
