"""What one episode adds up to, and what is kept of each of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from robot_rl.rollout.plans import Proposal
from robot_rl.types import Action, Array, Purpose, Step, Transition

NAN = float("nan")


@dataclass(slots=True)
class Episode:
    """What one episode adds up to."""

    index: int
    purpose: Purpose = Purpose.TRAINING
    steps: int = 0
    episode_return: float = 0.0
    success: int = -1
    human_steps: int = 0
    takeovers: int = 0
    done: bool = False
    """Ended by itself, not because it was told to."""
    discarded: bool = False
    """A person said that it is of no use."""
    fault: str = ""


def transition_of(
    now: Step,
    action: Action,
    proposal: Proposal | None,
    after: Step,
    episode: Episode,
    *,
    human: Array,
    stamps: Mapping[str, int],
    version: int,
    actor: str,
    epoch: int,
    sequence: int,
) -> Transition:
    """The record of one step; `version`: of the weights, where no plan tells."""
    plan = None if proposal is None else proposal.plan
    return Transition(
        obs=now.obs,
        action=after.executed,
        proposed=action.proposed,
        human=human,
        commanded=after.commanded,
        limiting_stage=after.stage,
        reward=after.reward,
        next_obs=after.obs,
        terminated=after.terminated,
        truncated=after.truncated,
        success=after.success,
        source=action.source,
        intervention_id=action.intervention_id,
        policy_version=version if plan is None else plan.version,
        actor=actor,
        epoch=epoch,
        sequence=sequence,
        episode=episode.index,
        step=episode.steps,
        stamp_ns=after.stamp_ns,
        action_stamp_ns=after.action_stamp_ns,
        boot_id=after.boot_id,
        stamps=stamps,
        purpose=episode.purpose,
        plan=0 if proposal is None else proposal.number,
        plan_step=0 if plan is None else plan.start_step,
        noise_seed=0 if plan is None else plan.seed,
        value=NAN if plan is None else plan.value,
    )
