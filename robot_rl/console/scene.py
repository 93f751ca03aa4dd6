"""The robot in 3-D: each arm's tool, target and workspace box in its base frame, and a gizmo."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_rl.console.hands import Hands
from robot_rl.specs import EnvSpec
from robot_rl.types import Array, RobotState

APART = 1.0
"""Metres between the base frames of several arms, as they are drawn."""
EDGES = [(i, j) for i in range(8) for j in range(i) if (i ^ j) in (1, 2, 4)]


def boxes(spec: EnvSpec) -> list[Array]:
    """Low and high corner (2, 3) of each arm's workspace, m; empty where the spec says none."""
    plant = dict(spec.plant)
    if "limit_workspace_low" not in plant:
        return []
    low, high = (plant[f"limit_workspace_{end}"].split("; ") for end in ("low", "high"))
    return [np.array([_numbers(a), _numbers(b)]) for a, b in zip(low, high, strict=True)]


def _numbers(text: str) -> list[float]:
    return [float(word) for word in text.strip("()[]").split(",")]


def wire_of_box(box: Array) -> Array:
    """The 12 edges (12, 2, 3) of a box (2, 3)."""
    corners = np.array([[box[(i >> k) & 1, k] for k in range(3)] for i in range(8)])
    return np.array([[corners[i], corners[j]] for i, j in EDGES])


class RobotScene:
    """What of a robot is drawn; made once its number of arms is known.

    acts: whether a gizmo is there to drag the target by.
    """

    def __init__(self, server: Any, hands: Hands, spec: EnvSpec, arms: int, *, acts: bool) -> None:
        self._hands, self._dragging = hands, [False] * arms
        self._tools: list[Any] = []
        self._targets: list[Any] = []
        self._gizmos: list[Any] = []
        found = boxes(spec)
        for arm in range(arms):
            name = f"/arm-{arm}"
            at = (0.0, APART * arm, 0.0)
            server.scene.add_frame(name, position=at, axes_length=0.15, axes_radius=0.006)
            tool = server.scene.add_frame(f"{name}/tool", axes_length=0.08, axes_radius=0.004)
            target = server.scene.add_frame(
                f"{name}/target", axes_length=0.05, axes_radius=0.002, origin_color=(250, 180, 0)
            )
            self._tools.append(tool)
            self._targets.append(target)
            if arm < len(found):
                server.scene.add_line_segments(
                    f"{name}/workspace", points=wire_of_box(found[arm]), colors=(90, 140, 200)
                )
            if acts:
                self._gizmos.append(self._add_gizmo(server, name, arm))
        server.scene.add_grid("/floor", width=2.0, height=2.0 + APART * (arms - 1))

    def show(self, state: RobotState) -> None:
        """Moves everything to a reading; a gizmo that is dragged stays in the person's hand."""
        for arm, (tool, target) in enumerate(zip(self._tools, self._targets, strict=True)):
            _place(tool, state.pose[arm])
            _place(target, state.setpoint[arm])
            if self._gizmos and not self._dragging[arm]:
                _place(self._gizmos[arm], state.setpoint[arm])

    def closed(self) -> None:
        """No page holds the robot: nothing is dragged."""
        self._dragging = [False] * len(self._dragging)

    def _add_gizmo(self, server: Any, name: str, arm: int) -> Any:
        gizmo = server.scene.add_transform_controls(f"{name}/drag", scale=0.18, depth_test=False)

        @gizmo.on_update
        async def _(event: Any) -> None:
            if event.client_id is None or event.client_id != self._hands.holder:
                return
            if event.phase == "end":
                self._dragging[arm] = False
                self._hands.let_go(event.client_id)
                return
            self._dragging[arm] = True
            pose = (*event.target.position, *event.target.wxyz)
            self._hands.drag(event.client_id, arm, pose)

        return gizmo


def _place(node: Any, pose: Array) -> None:
    """Moves a node to a pose (7,), where it is not there already: each move is a message."""
    position, wxyz = tuple(pose[:3]), tuple(pose[3:])
    if np.abs(node.position - pose[:3]).max() > 1e-4 or np.abs(node.wxyz - pose[3:]).max() > 1e-4:
        node.position, node.wxyz = position, wxyz
