"""What every agent here shares: its parameters by part, input scaling, and how often it reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from robot_rl.agents.common.parameters import Parameters
from robot_rl.agents.common.scaling import FLOOR, fit, scaled
from robot_rl.agents.common.tuning import tune_process
from robot_rl.errors import ConfigError
from robot_rl.networks.observation import vector_size
from robot_rl.networks.scaling import InputScaling
from robot_rl.sampling import Sampling
from robot_rl.specs import EnvSpec
from robot_rl.types import Array, Observation


class ParameterAgent:
    """Half of an `Agent`: a new one registers its arrays with `self.parameters`, and writes
    `update` and `policy_weights`."""

    metrics: Sequence[str] = ()
    """What a block reports, in order."""

    def __init__(
        self,
        spec: EnvSpec,
        sampling: Sampling,
        *,
        seed: int,
        device: str = "cpu",
        threads: int = 1,
        input_scaling: InputScaling = "none",
        input_floor: float = FLOOR,
        metrics_every: int = 50,
    ) -> None:
        if input_scaling not in ("none", "standard", "log") or not input_floor > 0.0:
            raise ConfigError(
                f"input_scaling={input_scaling}, input_floor={input_floor}; valid: none, standard "
                "or log, and above 0"
            )
        tune_process(device, threads)
        self.spec, self.sampling, self.device = spec, sampling, torch.device(device)
        self.input_scaling, self.input_floor = input_scaling, input_floor
        self.metrics_every, self.blocks = metrics_every, 0
        self.parameters = Parameters(seed, self.device)
        self.generator = self.parameters.generator
        self.scale = self.parameters.plain("scale", None, torch.zeros(2, vector_size(spec)))
        """Mean and deviation of the inputs; deviation 0 before there are any."""

    def prepare(self, obs: Observation) -> None:
        """Fits the input scaling, once: a loaded one stays."""
        if not bool(self.scale[1].any()):
            self.scale.copy_(fit(obs, self.spec, self.input_scaling, self.input_floor))

    def scaled(self, x: Tensor) -> Tensor:
        """Inputs (rows, width) as the networks see them."""
        return scaled(x, self.scale, self.input_scaling)

    def report(self, metrics: Tensor) -> dict[str, float] | None:
        """Counts a block; its metrics now and then, since they cost a synchronisation."""
        self.blocks += 1
        if self.blocks % self.metrics_every:
            return None
        return dict(zip(self.metrics, metrics.tolist(), strict=True))

    def state(self) -> dict[str, Array]:
        """Everything to go on bit-equal (see `Agent.state`)."""
        return self.parameters.state(self.blocks)

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Raises CheckpointError naming the first array that does not fit; unchanged then."""
        self.blocks = self.parameters.load_state(state)

    def parts(self) -> dict[str, dict[str, Array]]:
        """See `Parameters.parts`."""
        return self.parameters.parts()

    def load_part(self, name: str, arrays: Mapping[str, Array]) -> None:
        """See `Parameters.load_part`."""
        self.parameters.load_part(name, arrays)
