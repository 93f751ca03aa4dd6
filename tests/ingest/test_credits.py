"""Sharing the grant: never more than granted, nobody starves."""

from __future__ import annotations

import numpy as np
import pytest

from robot_rl.ingest.credits import Account, share
from robot_rl.wire.protocol import UNLIMITED


def test_one_actor_gets_all_and_no_more() -> None:
    account = Account()
    assert share(100, 0, [account])
    assert account.allowed == 100
    assert not share(100, 0, [account])
    account.steps = 40
    assert not share(100, 40, [account])
    assert share(150, 40, [account])
    assert account.allowed == 150


def test_shares_become_equal() -> None:
    busy, idle = Account(steps=90, allowed=100), Account(steps=0, allowed=0)
    share(120, 90, [busy, idle])
    assert (busy.outstanding, idle.outstanding) == (15, 15)


def test_steps_of_actors_that_are_gone_count() -> None:
    account = Account()
    share(100, 70, [account])
    assert account.allowed == 30
    assert not share(100, 100, [Account()])


def test_unlimited_and_nobody() -> None:
    account = Account(steps=5, allowed=5)
    share(UNLIMITED, 5, [account])
    assert account.allowed == UNLIMITED
    assert not share(100, 0, [])


@pytest.mark.parametrize("seed", range(20))
def test_random_runs_never_exceed_the_grant_and_use_all_of_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    accounts = [Account() for _ in range(int(rng.integers(1, 6)))]
    granted = 0
    for _ in range(300):
        granted += int(rng.integers(0, 20))
        share(granted, sum(a.steps for a in accounts), accounts)
        assert sum(a.allowed for a in accounts) == granted
        account = accounts[int(rng.integers(len(accounts)))]
        account.steps += int(rng.integers(0, account.outstanding + 1))
