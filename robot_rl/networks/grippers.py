"""Which dimensions of an action are grippers."""

from __future__ import annotations

from robot_rl.errors import SpecError
from robot_rl.specs import EnvSpec

AXIS = "gripper"


def gripper_dims(spec: EnvSpec) -> tuple[int, ...]:
    """Places of the grippers among the action's dimensions, by the names that the spec gives them
    ("gripper", of two arms "arm0.gripper", "arm1.gripper").

    Raises SpecError where dimensions have no names, none is a gripper, or all are.
    """
    named = dict(spec.facts).get("action_axes", "")
    names = named.split(",") if named else []
    if len(names) != spec.action_dim:
        raise SpecError(
            f"{spec.name}: discrete_gripper needs to know which of {spec.action_dim} action "
            "dimensions are grippers, and this specification does not name them; valid: "
            "env=robot, or agent=rlpd"
        )
    found = tuple(i for i, name in enumerate(names) if name.rpartition(".")[2] == AXIS)
    if not found or len(found) == len(names):
        raise SpecError(
            f"{spec.name}: discrete_gripper with {len(found)} grippers among the action's "
            f"dimensions {', '.join(names)}; valid: at least one gripper, and one other"
        )
    return found
