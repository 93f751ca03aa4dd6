"""From rows of a store to a Batch: n-step returns, horizons and history windows, into reused
buffers."""

from __future__ import annotations

import numpy as np

from robot_rl.data.store import Store
from robot_rl.types import Array, Batch

BUFFERS = 2


class Gatherer:
    """Builds batches; each lies in one of two buffers, so it is valid until the second next one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._buffers: dict[tuple[int, int, int], list[Batch]] = {}
        self._turn = 0

    def gather(
        self, rows: Array, *, upper: int, n_step: int, gamma: float, history: int, horizon: int,
        proposed: Array,
    ) -> Batch:  # fmt: skip
        """The transitions that end in `rows` (n,), see `Replay.gather`."""
        store, columns = self._store, self._store.columns
        out = self._buffer(len(rows), history, horizon)
        first = _take(columns["prev"], rows)
        if horizon > 1:
            last = self._chunk(rows, upper, horizon, gamma, proposed, out)
        else:
            _take(store.action, rows, out.action)
            if len(proposed):
                out.action[proposed] = store.proposed[rows[proposed]]
            if n_step == 1:
                last = rows
                _take(columns["reward"], rows, out.reward)
                _take(columns["mask"], rows, out.mask)
                out.discount.fill(gamma)
            else:
                last = self._walk(rows, upper, n_step, gamma, out)
        if out.return_to_go is not None:
            _take(columns["return_to_go"], rows, out.return_to_go)
        if history > 1:
            first, last = self._window(first, history), self._window(last, history)
        for name, array in store.obs.items():
            _take(array, first, out.obs[name])
            _take(array, last, out.next_obs[name])
        return out

    def _chunk(
        self, rows: Array, upper: int, horizon: int, gamma: float, proposed: Array, out: Batch
    ) -> Array:
        """The next `horizon` actions and their rewards, as n-step returns of the horizon's length
        (Q-chunking, Li et al., 2507.07969, eq. 4).

        Behind a terminal state the last action is repeated with reward 0 and stays valid: the state
        absorbs, so nothing done there changes the return. Behind any other end (time limit, lost
        record, `upper`) it is repeated and not valid, and the bootstrap is from the last state.
        """
        columns, valid = self._store.columns, out.valid
        assert valid is not None
        wanted = np.zeros(len(rows), bool)
        wanted[proposed] = True

        def actions(at: Array) -> Array:
            found = self._store.action[at]
            if len(proposed):
                found[wanted] = self._store.proposed[at[wanted]]
            return found

        last, on = rows, np.ones(len(rows), bool)
        reward = columns["reward"][rows].astype(np.float64)
        discount = np.full(len(rows), gamma)
        out.action[:, 0], valid[:, 0] = actions(rows), True
        for k in range(1, horizon):
            following = columns["next"][last]
            on = on & (following >= 0) & (columns["position"][following] < upper)
            last = np.where(on, following, last)
            reward += np.where(on, discount * columns["reward"][last], 0.0)
            discount = np.where(on, discount * gamma, discount)
            out.action[:, k] = np.where(on[:, None], actions(last), out.action[:, k - 1])
            valid[:, k] = on | (columns["mask"][last] == 0)
        out.reward[:], out.discount[:] = reward, discount
        _take(columns["mask"], last, out.mask)
        return last

    def _walk(self, rows: Array, upper: int, n_step: int, gamma: float, out: Batch) -> Array:
        """Sums rewards along the links; a link is there only within one unbroken episode, so a
        sum ends at its end, or at the last record below `upper`."""
        columns = self._store.columns
        last = rows
        reward = columns["reward"][rows].astype(np.float64)
        discount = np.full(len(rows), gamma)
        for _ in range(n_step - 1):
            following = columns["next"][last]
            on = (following >= 0) & (columns["position"][following] < upper)
            if not on.any():
                break
            last = np.where(on, following, last)
            reward += np.where(on, discount * columns["reward"][last], 0.0)
            # A sum that has stopped stays stopped: its last row never gets a link below `upper`.
            discount = np.where(on, discount * gamma, discount)
        out.reward[:] = reward
        out.discount[:] = discount
        _take(columns["mask"], last, out.mask)
        return last

    def _window(self, rows: Array, history: int) -> Array:
        """(n, history) rows, oldest first; the first observation of an episode repeats."""
        window = np.empty((len(rows), history), np.int64)
        window[:, -1] = rows
        for column in range(history - 2, -1, -1):
            previous = self._store.columns["prev"][window[:, column + 1]]
            window[:, column] = np.where(previous >= 0, previous, window[:, column + 1])
        return window

    def _buffer(self, size: int, history: int, horizon: int) -> Batch:
        key = size, history, horizon
        if key not in self._buffers:
            self._buffers[key] = [self._new(*key) for _ in range(BUFFERS)]
        self._turn = (self._turn + 1) % BUFFERS
        return self._buffers[key][self._turn]

    def _new(self, size: int, history: int, horizon: int) -> Batch:
        lead = (size,) if history == 1 else (size, history)
        steps = (size,) if horizon == 1 else (size, horizon)

        def observations() -> dict[str, Array]:
            return {
                name: np.empty((*lead, *array.shape[1:]), array.dtype)
                for name, array in self._store.obs.items()
            }

        returns = "return_to_go" in self._store.columns
        return Batch(
            obs=observations(),
            action=np.empty((*steps, self._store.action.shape[1]), np.float32),
            reward=np.empty(size, np.float32),
            next_obs=observations(),
            mask=np.empty(size, np.float32),
            discount=np.empty(size, np.float32),
            valid=np.empty(steps, bool) if horizon > 1 else None,
            return_to_go=np.empty(size, np.float32) if returns else None,
        )


def _take(array: Array, rows: Array, out: Array | None = None) -> Array:
    """`array[rows]`; rows are in range, and "clip" spares NumPy a detour around `out`."""
    return array.take(rows, 0, out, "clip")
