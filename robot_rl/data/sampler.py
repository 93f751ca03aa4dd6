"""What an agent's `Sampling` declares, drawn from a replay: pools in fixed shares of each batch
(symmetric sampling: RLPD, 2302.02948, sec. 4.1).

Two views of one step: the policy proposed one action and the robot executed another wherever a
limit, a wall or a contact took something away. Both transitions are true. Learnt from executed
actions alone, a critic has no data on a proposal that was cut short, overestimates it, and the
policy pushes on for ever; so a share of the online rows carries the proposal.

Trap: the rows of the pools must be interleaved before a block is sliced into batches, or one update
would see demonstrations only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from robot_rl.data.replay import END, Replay
from robot_rl.errors import DataError
from robot_rl.sampling import Interventions, PoolName, Sampling
from robot_rl.specs import EnvSpec
from robot_rl.types import Array, Batch


def replay_for(
    sampling: Sampling,
    spec: EnvSpec,
    *,
    capacity: int,
    streams: int,
    datasets: Mapping[PoolName, int],
    interventions: Interventions = "all",
    memory_limit_gb: float | None = None,
) -> Replay:
    """A replay that keeps what `sampling` asks for, see `Replay`."""
    return Replay(
        spec,
        capacity,
        streams=streams,
        datasets=datasets,
        pools={share.name for share in sampling.pools} | {"online"},
        returns=sampling.discount if sampling.return_to_go else None,
        reward=(
            1.0 if sampling.reward_scale is None else sampling.reward_scale,
            sampling.reward_shift,
        ),
        interventions=interventions,
        memory_limit_gb=memory_limit_gb,
    )


def with_reward_scale(sampling: Sampling, episodes: Iterable[Array]) -> Sampling:
    """`sampling` with its reward scale as a number: where it has none, that of the records (n,) of
    whole episodes of the datasets; 1 where there are none."""
    if sampling.reward_scale is not None:
        return sampling
    largest = 1.0
    for records in episodes:
        value = 0.0
        for reward in records["reward"][:0:-1].tolist():  # the first record is the episode's start
            value = reward + sampling.discount * value
            largest = max(largest, abs(value))
    return replace(sampling, reward_scale=1.0 / largest)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which rows of a block come from which pool, while the same pools hold anything."""

    places: tuple[tuple[PoolName, Array], ...]
    proposed: Array
    demo: Array
    weight: Array | None


class Sampler:
    """Draws the rows of one update block.

    sampler = Sampler(replay, agent.sampling)
    batch = sampler.sample(rng, upper)        # utd * batch_size rows
    """

    def __init__(self, replay: Replay, sampling: Sampling) -> None:
        self.replay, self.sampling = replay, sampling
        self._plans: dict[tuple[bool, ...], _Plan] = {}

    def sample(self, rng: np.random.Generator, upper: int = END, since: int = 0) -> Batch:
        """utd * batch_size transitions; every slice of batch_size rows has the shares.

        upper, since: log positions that are sampled end and begin there. Where a pool is empty the
        others fill in; DataError where all are.
        """
        wants, replay = self.sampling, self.replay
        there = tuple(
            replay.size(share.name, upper, history=wants.history, since=since) > 0
            for share in wants.pools
        )
        if there not in self._plans:
            self._plans[there] = self._plan(there)
        plan = self._plans[there]
        if len(plan.places) == 1:
            pool = plan.places[0][0]
            rows = replay.draw(len(plan.demo), rng, pool, upper, wants.history, since)
        else:
            rows = np.empty(len(plan.demo), np.int64)
            for pool, place in plan.places:
                rows[place] = replay.draw(len(place), rng, pool, upper, wants.history, since)
        batch = replay.gather(
            rows, upper=upper, n_step=wants.n_step, gamma=wants.discount, history=wants.history,
            horizon=wants.horizon, proposed=plan.proposed,
        )  # fmt: skip
        return replace(batch, demo=plan.demo, weight=plan.weight)

    def _plan(self, there: tuple[bool, ...]) -> _Plan:
        """The places of the pools that are there; those of an empty one go to the first that is."""
        wants = self.sampling
        if not any(there):
            names = ", ".join(share.name for share in wants.pools)
            raise DataError(f"replay: nothing to sample in any pool of {names}")
        owner = pattern(wants.batch_size, [share.share for share in wants.pools])
        owner = np.where(np.array(there)[owner], owner, there.index(True))
        owner = np.tile(owner, wants.utd)
        places = [(share.name, np.flatnonzero(owner == i)) for i, share in enumerate(wants.pools)]
        online = np.concatenate([at for name, at in places if name == "online"] or [owner[:0]])
        spread = np.arange(len(online) + 1) * wants.proposed_ratio
        weights = np.array([share.weight for share in wants.pools], np.float32)
        shown = np.isin([share.name for share in wants.pools], ("demo", "intervention"))
        return _Plan(
            tuple((name, at) for name, at in places if len(at)),
            online[np.diff(np.floor(spread + 1e-9)).astype(bool)],
            shown[owner].astype(np.float32),
            None if (weights == 1.0).all() else weights[owner],
        )


def pattern(batch_size: int, shares: list[float]) -> Array:
    """(batch_size,) which share each row of a batch belongs to, spread evenly.

    Rows of a share are batch_size * share, rounded; the last one has what is left.
    """
    owner = np.full(batch_size, len(shares) - 1)
    free = np.arange(batch_size)
    for index, share in enumerate(shares[:-1]):
        count = min(len(free), round(batch_size * share))
        edges = np.arange(len(free) + 1) * count // max(1, len(free))
        mine = np.diff(edges).astype(bool)
        owner[free[mine]] = index
        free = free[~mine]
    return owner
