"""Bad batches and options are refused by name, and leave the agent as it was."""

from dataclasses import replace

import numpy as np
import pytest
from agent_batches import SPEC, make_batch

from robot_rl.agents.sac.agent import SAC
from robot_rl.errors import ConfigError, PoisonedDataError, SpecError
from robot_rl.specs import ArraySpec


def small(**options: object) -> SAC:
    sizes = {"batch_size": 8, "utd": 2, "hidden": (8, 8), "compile": False}
    return SAC(SPEC, seed=0, **(sizes | options))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["action", "reward", "obs.state", "next_obs.state", "mask"])
def test_nan_is_refused_with_its_place_and_nothing_changes(name: str) -> None:
    agent, batch = small(), make_batch(16)
    before = agent.state()
    field, _, key = name.partition(".")
    array = getattr(batch, field)[key] if key else getattr(batch, field)
    array[11] = np.nan
    with pytest.raises(PoisonedDataError, match=rf"{name}: nan at row 11"):
        agent.update(batch)
    for key, kept in agent.state().items():
        np.testing.assert_array_equal(kept, before[key])


def test_wrong_shapes_and_keys_are_refused() -> None:
    agent, batch = small(), make_batch(16)
    with pytest.raises(SpecError, match=r"obs\.state.*\[15, 5\].*valid: \[16, 5\]"):
        agent.update(make_batch(15))
    with pytest.raises(SpecError, match=r"action.*\[16, 2\].*valid: \[16, 3\]"):
        agent.update(replace(batch, action=batch.action[:, :2]))
    with pytest.raises(SpecError, match=r"batch next_obs has.*colour.*valid.*state"):
        agent.update(replace(batch, next_obs={"colour": batch.obs["state"]}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subset": 3, "critics": 2}, r"subset=3; valid: 1 … critics=2"),
        ({"precision": "float16"}, "valid: auto, float32, bfloat16"),
        ({"batch_size": 0}, "batch_size=0; valid"),
        ({"lr": -1.0}, "lr=-1.0; valid"),
        ({"device": "gpu"}, "device='gpu'; valid: cpu, cuda"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        small(**options)


def test_images_are_refused_with_the_way_out() -> None:
    camera = ArraySpec("wrist", (16, 16, 3), "uint8", 0, 255)
    with pytest.raises(SpecError, match=r"wrist.*rlpd_image"):
        SAC(replace(SPEC, observation=(*SPEC.observation, camera)), seed=0, compile=False)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("", r"which of 3 action dimensions are grippers, and this specification does not name"),
        ("x,gripper", r"which of 3 action dimensions are grippers"),
        ("x,y,z", r"0 grippers among the action's dimensions x, y, z; valid: at least one"),
        ("arm0.gripper,arm1.gripper,arm2.gripper", r"with 3 grippers.*one other"),
    ],
)
def test_gripper_heads_where_the_grippers_are_not_known_are_refused(
    names: str, message: str
) -> None:
    spec = replace(SPEC, facts=(("action_axes", names),) if names else ())
    with pytest.raises(SpecError, match=message):
        SAC(spec, seed=0, compile=False, discrete_gripper=True)
