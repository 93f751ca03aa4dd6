"""Evaluation: the policy's mode, or actions drawn from the episode's own seed."""

from __future__ import annotations

import numpy as np

from robot_rl.networks.policy_mlp import SquashedGaussianPolicy
from robot_rl.rollout.loop import Rollout
from robot_rl.rollout.placement import Inline
from robot_rl.runtime.evaluator import EvaluationResult, evaluate
from robot_rl.specs import ArraySpec, EnvSpec
from robot_rl.types import Array, Command, LimitStage, Step

SPEC = EnvSpec(
    name="walk",
    observation=(ArraySpec("state", (1,)),),
    action=ArraySpec("action", (1,), low=-1.0, high=1.0),
    command_layout=(("command", 1),),
    rate_hz=10.0,
)


class Walk:
    """Adds up actions for four steps; the reward is the action."""

    spec, max_steps = SPEC, 4

    def reset(self, seed: int) -> Step:
        self.at, self.steps = np.float32(seed % 3), 0
        return self._moment(np.zeros(1, np.float32), 0.0)

    def step(self, action: Array) -> Step:
        self.at += action[0]
        self.steps += 1
        return self._moment(action, float(action[0]))

    def hold(self) -> Array:
        return np.zeros(1, np.float32)

    def setpoint(self) -> None:
        return None

    def encode(self, goal: Command) -> Array:
        raise NotImplementedError

    def rest(self) -> None:
        pass

    def trip(self, reason: str) -> None:
        pass

    def rearm(self) -> None:
        pass

    def render(self) -> None:
        return None

    def close(self) -> None:
        pass

    def _moment(self, action: Array, reward: float) -> Step:
        return Step(
            obs={"state": np.array([self.at], np.float32)},
            stamps={"state": self.steps},
            state=None,
            executed=action,
            commanded=action,
            stage=LimitStage.NONE,
            reward=reward,
            success=int(self.at > 0),
            terminated=False,
            truncated=self.steps == 4,
            fault="",
            stamp_ns=self.steps,
            action_stamp_ns=max(0, self.steps - 1),
            boot_id=1,
        )


def policy(seed: int = 0) -> SquashedGaussianPolicy:
    made = SquashedGaussianPolicy(SPEC, hidden=(8,), seed=seed)
    rng = np.random.default_rng(0)
    made.load({k: rng.normal(0, 0.3, v).astype(np.float32) for k, v in made._shapes.items()}, 1)
    return made


def run(made: SquashedGaussianPolicy, seed: int, **how: bool) -> EvaluationResult:
    return evaluate(Rollout(Walk(), Inline(made)), episodes=3, seed=seed, **how)


def test_the_mode_acts_unless_actions_are_sampled() -> None:
    mode, sampled = run(policy(), 5), run(policy(), 5, sampled=True)
    assert mode == run(policy(seed=9), 5), "no noise"
    assert mode.returns != sampled.returns
    assert mode.seeds == sampled.seeds == [5, 6, 7]
    assert sampled.lengths == [4, 4, 4]


def test_sampled_episodes_depend_on_their_seed_alone() -> None:
    used = policy(seed=9)
    run(used, 100, sampled=True)
    assert run(used, 5, sampled=True) == run(policy(), 5, sampled=True)
    later = run(policy(), 6, sampled=True)
    assert later.returns[:2] == run(policy(), 5, sampled=True).returns[1:], "whatever came before"
