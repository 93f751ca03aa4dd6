"""From rows of a store to a Batch: n-step returns and history windows, into reused buffers."""

from __future__ import annotations

import numpy as np

from robot_rl.data.store import Store
from robot_rl.types import Array, Batch

BUFFERS = 2


class Gatherer:
    """Builds batches; each lies in one of two buffers, so it is valid until the second next one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._buffers: dict[tuple[int, int], list[Batch]] = {}
        self._turn = 0

    def gather(
        self, rows: Array, *, upper: int, n_step: int, gamma: float, history: int, asked: Array
    ) -> Batch:
        """The transitions that end in `rows` (n,), see `Replay.gather`."""
        store, columns = self._store, self._store.columns
        out = self._buffer(len(rows), history)
        first = _take(columns["prev"], rows)
        _take(store.action, rows, out.action)
        if len(asked):
            out.action[asked] = store.asked[rows[asked]]
        if n_step == 1:
            last = rows
            _take(columns["reward"], rows, out.reward)
            _take(columns["mask"], rows, out.mask)
            out.discount.fill(gamma)
        else:
            last = self._walk(rows, upper, n_step, gamma, out)
        if history > 1:
            first, last = self._window(first, history), self._window(last, history)
        for name, array in store.obs.items():
            _take(array, first, out.obs[name])
            _take(array, last, out.next_obs[name])
        return out

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

    def _buffer(self, size: int, history: int) -> Batch:
        key = size, history
        if key not in self._buffers:
            self._buffers[key] = [self._new(size, history) for _ in range(BUFFERS)]
        self._turn = (self._turn + 1) % BUFFERS
        return self._buffers[key][self._turn]

    def _new(self, size: int, history: int) -> Batch:
        lead = (size,) if history == 1 else (size, history)

        def observations() -> dict[str, Array]:
            return {
                name: np.empty((*lead, *array.shape[1:]), array.dtype)
                for name, array in self._store.obs.items()
            }

        return Batch(
            obs=observations(),
            action=np.empty((size, self._store.action.shape[1]), np.float32),
            reward=np.empty(size, np.float32),
            next_obs=observations(),
            mask=np.empty(size, np.float32),
            discount=np.empty(size, np.float32),
        )


def _take(array: Array, rows: Array, out: Array | None = None) -> Array:
    """`array[rows]`; rows are in range, and "clip" spares NumPy a detour around `out`."""
    return array.take(rows, 0, out, "clip")
