from my_lab.bc import BC

from robot_rl.networks.policy_mlp import SquashedGaussianPolicy
from robot_rl.specs import ArraySpec, EnvSpec
from robot_rl.testing.check_agent import check_agent

SPEC = EnvSpec(
    name="small",
    observation=(ArraySpec("state", (5,)),),
    action=ArraySpec("action", (3,), low=-1.0, high=1.0),
    command_layout=(("command", 3),),
    rate_hz=10.0,
)


def test_bc_is_an_agent():
    check_agent(
        lambda seed: BC(SPEC, seed=seed, utd=2, batch_size=16, hidden=(16,)),
        lambda seed: SquashedGaussianPolicy(SPEC, seed=seed, hidden=(16,)),
        SPEC,
    )
