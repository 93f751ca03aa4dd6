"""RLPD in plain JAX, jitted as one block with a scan: what robot_rl's learner is compared with.

The same work as robot_rl.agents.sac: LayerNorm critics 2 x 256 in one batched ensemble, the minimum
over a random pair of target critics, no entropy in the target, Adam, Polyak, observations scaled;
then one actor and one temperature update. One core, so one thread.

    python tests/benchmarks/jax_rlpd.py <<< '{"critics": 10, "blocks": 20}'
"""

from __future__ import annotations

import time
from functools import cache, partial
from itertools import pairwise
from typing import Any

from answering import answer, one_core

one_core()

import jax  # noqa: E402 (after the binding)
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

OBS, ACTION, BATCH, HIDDEN = 40, 7, 256, 256
LR, TAU, DISCOUNT, TARGET_ENTROPY = 3e-4, 0.005, 0.97, -ACTION / 2
Tree = Any


def network(key: jax.Array, sizes: tuple[int, ...], copies: int, norm: bool) -> Tree:
    """Layers with weights (copies, in, out), Glorot-uniform."""
    layers = []
    for i, (rows, columns) in enumerate(pairwise(sizes)):
        key, used = jax.random.split(key)
        bound = (6.0 / (rows + columns)) ** 0.5
        layer = {
            "w": jax.random.uniform(used, (copies, rows, columns), minval=-bound, maxval=bound),
            "b": jnp.zeros((copies, 1, columns)),
        }
        if norm and i < len(sizes) - 2:
            layer |= {"g": jnp.ones((copies, 1, columns)), "s": jnp.zeros((copies, 1, columns))}
        layers.append(layer)
    return layers


def forward(layers: Tree, x: jax.Array) -> jax.Array:
    """x (batch, in) to (copies, batch, out): dense, LayerNorm, ReLU; the last layer dense."""
    h = jnp.broadcast_to(x, (layers[0]["w"].shape[0], *x.shape))
    for i, layer in enumerate(layers):
        h = h @ layer["w"] + layer["b"]
        if i == len(layers) - 1:
            return h
        if "g" in layer:
            mean = h.mean(-1, keepdims=True)
            variance = jnp.square(h - mean).mean(-1, keepdims=True)
            h = (h - mean) * jax.lax.rsqrt(variance + 1e-5) * layer["g"] + layer["s"]
        h = jax.nn.relu(h)
    raise ValueError("no layers")


def act(actor: Tree, obs: jax.Array, noise: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Squashed Gaussian action and its log-probability."""
    mean, log_std = jnp.split(forward(actor, obs)[0], 2, axis=-1)
    log_std = jnp.clip(log_std, -20.0, 2.0)
    u = mean + jnp.exp(log_std) * noise
    gaussian = -0.5 * jnp.square(noise) - log_std - 0.5 * jnp.log(2.0 * jnp.pi)
    correction = 2.0 * (jnp.log(2.0) - u - jax.nn.softplus(-2.0 * u))
    return jnp.tanh(u), (gaussian - correction).sum(-1)


def fresh(value: Tree) -> Tree:
    """Parameters with Adam's moments and step count."""
    mean, square = jax.tree.map(jnp.zeros_like, value), jax.tree.map(jnp.zeros_like, value)
    return {"value": value, "mean": mean, "square": square, "steps": jnp.zeros(())}


def adam(trained: Tree, gradient: Tree) -> Tree:
    """One step of Adam with beta .9, .999."""
    steps = trained["steps"] + 1.0
    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, trained["mean"], gradient)
    square = jax.tree.map(
        lambda s, g: 0.999 * s + 0.001 * jnp.square(g), trained["square"], gradient
    )
    a, b = 1.0 / (1.0 - 0.9**steps), 1.0 / (1.0 - 0.999**steps)
    value = jax.tree.map(
        lambda v, m, s: v - LR * (a * m) / (jnp.sqrt(b * s) + 1e-8), trained["value"], mean, square
    )
    return {"value": value, "mean": mean, "square": square, "steps": steps}


def critic_step(actor: Tree, carry: Tree, rows: Tree) -> tuple[Tree, jax.Array]:
    """One critic update on one batch; the body of the scan."""
    critic, target = carry
    next_action, _ = act(actor, rows["next_obs"], rows["noise"])
    pair = jax.tree.map(lambda t: jnp.take(t, rows["members"], axis=0), target)
    value = forward(pair, jnp.concatenate((rows["next_obs"], next_action), 1))[..., 0].min(0)
    y = rows["reward"] + rows["discount"] * value
    x = jnp.concatenate((rows["obs"], rows["action"]), 1)

    def loss(value: Tree) -> jax.Array:
        return jnp.square(forward(value, x)[..., 0] - y).mean(1).sum()

    error, gradient = jax.value_and_grad(loss)(critic["value"])
    critic = adam(critic, gradient)
    target = jax.tree.map(lambda t, v: t + TAU * (v - t), target, critic["value"])
    return (critic, target), error


@partial(jax.jit, donate_argnums=0)
def block(state: Tree, batch: Tree, key: jax.Array) -> tuple[Tree, jax.Array]:
    """`utd` critic updates by scan, then one actor and one temperature update."""
    utd, copies = batch["reward"].shape[0], state["target"][0]["w"].shape[0]
    key, drawn = jax.random.split(key)
    draws = jax.random.uniform(drawn, (utd, copies))
    rows = {name: array for name, array in batch.items() if not name.endswith("obs")}
    for name in ("obs", "next_obs"):
        rows[name] = (batch[name] - state["shift"]) / state["scale"]
    key, drawn = jax.random.split(key)
    rows["noise"] = jax.random.normal(drawn, (utd, BATCH, ACTION))
    rows["members"] = jnp.argsort(draws, axis=1)[:, :2]
    step = partial(critic_step, state["actor"]["value"])
    (critic, target), errors = jax.lax.scan(step, (state["critic"], state["target"]), rows)

    noise = jax.random.normal(key, (BATCH, ACTION))
    obs, temperature = rows["obs"][-1], jnp.exp(state["temperature"]["value"])

    def loss(value: Tree) -> tuple[jax.Array, jax.Array]:
        action, log_prob = act(value, obs, noise)
        q = forward(critic["value"], jnp.concatenate((obs, action), 1))[..., 0].mean(0)
        return (temperature * log_prob - q).mean(), log_prob.mean()

    gradient, log_prob = jax.grad(loss, has_aux=True)(state["actor"]["value"])
    slope = temperature * (-log_prob - TARGET_ENTROPY)
    new = {
        "actor": adam(state["actor"], gradient),
        "critic": critic,
        "target": target,
        "temperature": adam(state["temperature"], slope),
    }
    return {**state, **new}, errors[-1]


class Learner:
    """A learner with its data, compiled on the first block."""

    def __init__(self, critics: int, utd: int) -> None:
        self.key = jax.random.key(0)
        first, second = jax.random.split(self.key)
        critic = network(first, (OBS + ACTION, HIDDEN, HIDDEN, 1), critics, True)
        self.state = {
            "actor": fresh(network(second, (OBS, HIDDEN, HIDDEN, 2 * ACTION), 1, False)),
            "critic": fresh(critic),
            "target": jax.tree.map(jnp.copy, critic),
            "temperature": fresh(jnp.log(jnp.asarray(0.01))),
            "shift": jnp.zeros(OBS),
            "scale": jnp.ones(OBS),
        }
        rng = np.random.default_rng(0)
        rows = (utd, BATCH)
        self.batch = {
            "obs": rng.standard_normal((*rows, OBS), np.float32),
            "next_obs": rng.standard_normal((*rows, OBS), np.float32),
            "action": rng.uniform(-1, 1, (*rows, ACTION)).astype(np.float32),
            "reward": rng.standard_normal(rows, np.float32),
            "discount": np.full(rows, DISCOUNT, np.float32),
        }
        self.update()

    def update(self) -> float:
        """One block, waited for; gives the last critic loss."""
        self.key, drawn = jax.random.split(self.key)
        self.state, error = block(self.state, self.batch, drawn)
        return float(error)


@cache
def learner(critics: int, utd: int) -> Learner:
    return Learner(critics, utd)


def measure(critics: int = 2, utd: int = 20, blocks: int = 10) -> dict[str, Any]:
    """Critic updates a second over `blocks` blocks, the first loss and the last."""
    ours = learner(critics, utd)
    first = ours.update()
    start = time.perf_counter()
    for _ in range(blocks):
        last = ours.update()
    seconds = time.perf_counter() - start
    return {"critic_updates_per_s": blocks * utd / seconds, "loss": [first, last]}


if __name__ == "__main__":
    answer({"jax": jax.__version__}, measure)
