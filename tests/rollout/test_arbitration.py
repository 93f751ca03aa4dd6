"""Who acts."""

from __future__ import annotations

import numpy as np
import pytest

from robot_rl.errors import PoisonedDataError
from robot_rl.rollout.arbitration import InterventionState, arbitrate
from robot_rl.types import Action, Array, Source

POLICY = np.full(7, 0.2, np.float32)
HOLD = np.array([0, 0, 0, 0, 0, 0, 0.7], np.float32)


def hand(value: float) -> Array:
    return np.full(7, value, np.float32)


def run(*readings: tuple[Array | None, bool]) -> list[Action]:
    memory, actions = InterventionState(), []
    for motion, stale in readings:
        action, memory = arbitrate(POLICY, motion, memory, HOLD, stale=stale)
        actions.append(action)
    return actions


def test_the_policy_acts_with_hands_off_and_the_person_with_hands_on() -> None:
    off, on = (None, False), (hand(0.5), False)
    actions = run(off, on, on, off, on)
    h, p = Source.HUMAN, Source.POLICY
    assert [a.source for a in actions] == [p, h, h, p, h]
    assert [a.intervention_id for a in actions] == [0, 1, 1, 0, 2]
    assert all(np.array_equal(a.proposed, POLICY) for a in actions)
    assert actions[0].human is None


def test_a_dimension_without_a_wish_keeps_its_setpoint() -> None:
    motion = hand(0.5)
    motion[6] = np.nan
    (action,) = run((motion, False))
    assert action.vector[6] == HOLD[6]
    assert action.human is not None
    assert action.human[6] == HOLD[6]


def test_a_device_that_is_lost_in_use_holds_until_it_is_fresh() -> None:
    on, lost, off = (hand(0.5), False), (hand(0.5), True), (None, False)
    actions = run(on, lost, lost, on, lost, off)
    h, s, p = Source.HUMAN, Source.SCRIPT, Source.POLICY
    assert [a.source for a in actions] == [h, s, s, h, s, p]
    assert [a.intervention_id for a in actions] == [1, 1, 1, 1, 1, 0]
    assert np.array_equal(actions[1].vector, HOLD)
    assert actions[1].human is None


def test_a_lost_device_that_says_hands_off_holds_as_well() -> None:
    actions = run((hand(0.5), False), (None, True))
    assert actions[1].source is Source.SCRIPT


def test_a_stale_device_starts_nothing() -> None:
    (action,) = run((hand(0.5), True))
    assert action.source is Source.POLICY


def test_values_beyond_the_range_are_clipped() -> None:
    (action,) = run((hand(3.0), False))
    assert action.vector.max() == 1.0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_poisoned_proposal_is_refused_whoever_acts(value: float) -> None:
    with pytest.raises(PoisonedDataError, match="policy"):
        arbitrate(hand(value), hand(0.5), InterventionState(), HOLD)


def test_infinite_or_misshapen_motion_is_refused() -> None:
    for motion in (hand(np.inf), np.zeros(3, np.float32)):
        with pytest.raises(PoisonedDataError, match="operator"):
            arbitrate(POLICY, motion, InterventionState(), HOLD)
