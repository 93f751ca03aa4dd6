"""The simulated `World`: owns the physics; arm, cameras and task share it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from robot_rl.drivers.limits import FR3, RobotTable
from robot_rl.drivers.mujoco.camera import SimCamera, SimRenderer
from robot_rl.drivers.mujoco.clock import SimClock
from robot_rl.drivers.mujoco.model import (
    ARM_JOINTS,
    FINGERS,
    SPRINGS,
    Gains,
    JointGains,
    compile_model,
    mujoco,
)
from robot_rl.errors import PoisonedDataError, RobotFault, SpecError, suggest
from robot_rl.interfaces import Camera
from robot_rl.types import Array, Scene

HOME = (0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4)
"""The vendor's ready posture, rad; hand down at (0.307, 0, 0.487)."""
SCENE, SCENE_SIZE = "scene", (480, 640)
"""A camera for pictures and videos only: the whole arm and the table, (height, width)."""
BLOW_UP = 1e8
"""Sum of squared velocities beyond which the physics counts as lost."""


class SimWorld:
    """A table (the plane z = 0 of the base frame) with the arm at the origin and a task's scene.

    world = SimWorld()
    world.build(task.scene)
    world.reset(rng)
    cube = world.object_pose("cube")

    The arm's base frame is the world frame. Positions and velocities are always those of the
    newest state: the physics stops after the first half of a step (`mj_step1`), which computes
    the kinematics, and goes on with the second half.
    """

    def __init__(
        self,
        gains: Gains | JointGains | None = None,
        *,
        table: RobotTable = FR3,
        cameras: Sequence[str] = ("wrist", "external"),
        image_size: tuple[int, int] = (128, 128),
        real_time: bool = False,
    ) -> None:
        """`table` gives the joints' ranges; `image_size` is (height, width).

        `real_time` paces the clock against the wall; else time runs as fast as it can.
        """
        self.gains: Gains | JointGains = gains or Gains()
        self.clock = SimClock(self._advance, real_time=real_time)
        self._table = table
        self._camera_names = tuple(cameras)
        self._image_size = image_size
        self._renderers: dict[tuple[int, int], SimRenderer] = {}
        self._built = False
        self._lost = ""

    @property
    def built(self) -> bool:
        return self._built

    def build(self, scene: Scene) -> None:
        """Compiles arm and scene. Raises SpecError on invalid MJCF or a second call."""
        if self._built:
            raise SpecError("the world is already built; make a new SimWorld for another scene")
        self.model = compile_model(scene, self.gains, self._table)
        self.data = mujoco.MjData(self.model)
        self._objects = {name: self._id(mujoco.mjtObj.mjOBJ_BODY, name) for name in scene.objects}
        self._joints = {name: self._id(mujoco.mjtObj.mjOBJ_JOINT, name) for name in scene.joints}
        for name in self._camera_names:
            self._id(mujoco.mjtObj.mjOBJ_CAMERA, name)
        self.home_qpos = self.model.qpos0.copy()
        self.home_qpos[[self.qpos_address(name) for name in ARM_JOINTS]] = HOME
        self.home_qpos[[self.qpos_address(name) for name in FINGERS]] = 0.04
        self._places = self.model.body_pos.copy(), self.model.body_quat.copy()
        self._tcp = self._id(mujoco.mjtObj.mjOBJ_SITE, "tcp")
        self._qvel = self.data.qvel
        self._built = True
        self.reset(np.random.default_rng(0))

    def reset(self, rng: np.random.Generator) -> None:
        """Initial state, arm at HOME, gripper open; a new time base begins.

        Its name comes from `rng`: equal seeds give equal episodes, stamps included.
        """
        data = self.data
        self.clock.restart(int(rng.integers(1, 2**63)))
        mujoco.mj_resetData(self.model, data)
        self.model.body_pos[:], self.model.body_quat[:] = self._places
        self._lost = ""
        data.qpos[:] = self.home_qpos
        data.ctrl[self.model.actuator("gripper").id] = 0.08
        if isinstance(self.gains, JointGains):
            data.ctrl[[self.model.actuator(name).id for name in SPRINGS]] = HOME
        mujoco.mj_kinematics(self.model, data)
        quat = np.empty(4)
        mujoco.mju_mat2Quat(quat, data.site_xmat[self._tcp])
        data.mocap_pos[:2] = data.site_xpos[self._tcp]
        data.mocap_quat[0] = (1.0, 0.0, 0.0, 0.0)
        data.mocap_quat[1] = quat
        self.synchronise()

    def object_pose(self, name: str) -> Array:
        """(7,) in the arm's base frame; raises SpecError naming the valid objects."""
        body = self._object(name)
        pose = np.empty(7)
        pose[:3], pose[3:] = self.data.xpos[body], self.data.xquat[body]
        if pose[3] < 0.0:
            pose[3:] *= -1.0
        return pose

    def set_object_pose(self, name: str, pose: Array) -> None:
        """Places a body, base frame: a free body's state, or where a fixed one is attached."""
        body = self._object(name)
        pose = np.array(pose, np.float64)
        if not np.isfinite(pose).all():
            raise PoisonedDataError(f"pose of '{name}': {pose.tolist()}; valid: finite")
        if pose.shape != (7,) or np.linalg.norm(pose[3:]) < 1e-6:
            raise SpecError(f"pose of '{name}': {pose.tolist()}; valid: position and quaternion")
        pose[3:] /= np.linalg.norm(pose[3:])
        joint = int(self.model.body_jntadr[body])
        if joint >= 0 and int(self.model.jnt_type[joint]) == int(mujoco.mjtJoint.mjJNT_FREE):
            start, speed = int(self.model.jnt_qposadr[joint]), int(self.model.jnt_dofadr[joint])
            self.data.qpos[start : start + 7] = pose
            self.data.qvel[speed : speed + 6] = 0.0
        elif int(self.model.body_parentid[body]) == 0:
            self.model.body_pos[body] = pose[:3]
            self.model.body_quat[body] = pose[3:]
        else:
            raise SpecError(f"'{name}' is attached to another body and cannot be placed")
        self.synchronise()

    def joint_position(self, name: str) -> float:
        """Position of a scalar joint of the scene, m or rad."""
        return float(self.data.qpos[self.model.jnt_qposadr[self._joint(name)]])

    def set_joint_position(self, name: str, position: float) -> None:
        """Places a scalar joint of the scene at rest."""
        joint = self._joint(name)
        if not np.isfinite(position):
            raise PoisonedDataError(f"position of '{name}': {position}; valid: finite")
        self.data.qpos[self.model.jnt_qposadr[joint]] = position
        self.data.qvel[self.model.jnt_dofadr[joint]] = 0.0
        self.synchronise()

    def cameras(self) -> Mapping[str, Camera]:
        """The configured cameras by name, and SCENE; a renderer is made at its first `read`."""
        sizes = {SCENE: SCENE_SIZE} | dict.fromkeys(self._camera_names, self._image_size)
        return {
            name: SimCamera(name, self._renderer(size), self.clock) for name, size in sizes.items()
        }

    def close(self) -> None:
        """Frees the renderers; may be called twice."""
        for renderer in self._renderers.values():
            renderer.close()

    def _renderer(self, size: tuple[int, int]) -> SimRenderer:
        if size not in self._renderers:
            self._renderers[size] = SimRenderer(self.model, self.data, size)
        return self._renderers[size]

    def synchronise(self) -> None:
        """Brings kinematics and velocities up to date after a change of the state."""
        mujoco.mj_step1(self.model, self.data)

    def qpos_address(self, joint: str) -> int:
        return int(self.model.jnt_qposadr[self._id(mujoco.mjtObj.mjOBJ_JOINT, joint)])

    def dof_address(self, joint: str) -> int:
        return int(self.model.jnt_dofadr[self._id(mujoco.mjtObj.mjOBJ_JOINT, joint)])

    def _advance(self, steps: int) -> None:
        """Runs whole steps; raises RobotFault when the physics is lost (MuJoCo would go on)."""
        if not self._built:
            raise RobotFault("time cannot pass before world.build(scene)")
        if not self._lost:
            model, data = self.model, self.data
            mujoco.mj_step2(model, data)
            if steps > 1:
                mujoco.mj_step(model, data, steps - 1)
            mujoco.mj_step1(model, data)
            energy = float(self._qvel @ self._qvel)
            if not energy < BLOW_UP:
                self._lost = f"the physics diverged (sum of squared velocities {energy:.3g})"
        if self._lost:
            raise RobotFault(f"{self._lost}; world.reset starts again")

    def _object(self, name: str) -> int:
        if name not in self._objects:
            raise SpecError(f"no object '{name}' in the scene; {suggest(name, self._objects)}")
        return self._objects[name]

    def _joint(self, name: str) -> int:
        if name not in self._joints:
            raise SpecError(f"no joint '{name}' in the scene; {suggest(name, self._joints)}")
        return self._joints[name]

    def _id(self, kind: mujoco.mjtObj, name: str) -> int:
        found = int(mujoco.mj_name2id(self.model, int(kind), name))
        if found < 0:
            count = {
                int(mujoco.mjtObj.mjOBJ_BODY): self.model.nbody,
                int(mujoco.mjtObj.mjOBJ_JOINT): self.model.njnt,
                int(mujoco.mjtObj.mjOBJ_CAMERA): self.model.ncam,
                int(mujoco.mjtObj.mjOBJ_SITE): self.model.nsite,
            }[int(kind)]
            names = [mujoco.mj_id2name(self.model, int(kind), i) or "" for i in range(count)]
            raise SpecError(f"the scene has no '{name}'; {suggest(name, filter(None, names))}")
        return found
