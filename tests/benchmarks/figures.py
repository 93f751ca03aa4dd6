"""The figures that the project aims at, read out of what the benchmarks gave, one a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

Results = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value beside what is aimed at and beside peers."""

    area: str
    what: str
    value: float
    unit: str
    least: float | None = None
    """Aimed at: at least this."""
    most: float | None = None
    """Aimed at: at most this."""
    peers: dict[str, float] = field(default_factory=dict)
    """The same of peers, in the same unit."""
    least_ratio: float | None = None
    """Aimed at: at least this ratio to each of `peers`."""
    inverted: bool = False
    """The ratio is the peer's value over ours (of times), not ours over the peer's."""

    @property
    def reached(self) -> bool | None:
        """Whether the aims were reached; None without one."""
        checks = [] if self.least is None else [self.value >= self.least]
        checks += [] if self.most is None else [self.value <= self.most]
        if self.least_ratio is not None:
            checks += [ratio >= self.least_ratio for ratio in self.ratios.values()]
        return all(checks) if checks else None

    @property
    def ratios(self) -> dict[str, float]:
        """Ours over each peer's, or the inverse."""
        if self.inverted:
            return {name: value / self.value for name, value in self.peers.items()}
        return {name: self.value / value for name, value in self.peers.items()}

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"reached": self.reached, "ratios": self.ratios}


def figures_of(results: Results) -> list[Figure]:
    """All figures of the areas measured, in the order of `AREAS`."""
    return [figure for area in AREAS if area in results for figure in AREAS[area](results[area])]


def peer(result: Results, *keys: str) -> dict[str, float]:
    """{peer: value} of the peers whose answers have this path of keys."""
    found = {}
    for name, answers in result.get("peers", {}).items():
        value: Any = answers
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            found[name] = float(value)
    return found


def env_figures(result: Results) -> list[Figure]:
    state = peer(result, "state", "steps_per_s")
    return [
        Figure("env", "pick-cube, random actions, one core", result["random_steps_per_s"],
               "steps/s", least=500, peers=state),
        Figure("env", "the scripted expert's actions", result["expert_steps_per_s"], "steps/s"),
        Figure("env", "two 128x128 cameras", result["two_cameras_steps_per_s"], "steps/s",
               least=60, peers=peer(result, "cameras", "steps_per_s")),
    ]  # fmt: skip


def learner_figures(result: Results) -> list[Figure]:
    """float32 beside each peer and the matrix bounds, and bfloat16 beside float32."""
    found = []
    for size in ("critics_2", "critics_10"):
        ours, count = result[size], size.removeprefix("critics_")
        peers = peer(result, size, "critic_updates_per_s")
        peers |= {"matrix bound": ours["bound"], "bound of torch.mm": ours["mm_bound"]}
        float32 = Figure(
            "learner", f"{count} critics, UTD {result['utd']:g}, float32", ours["float32"], UPDATES
        )
        found += [
            replace(float32, peers={name: value}, least_ratio=LEARNER_AIMS.get(name))
            for name, value in peers.items()
        ]
        found.append(
            Figure(
                "learner",
                f"{count} critics, UTD {result['utd']:g}, bfloat16",
                ours["bfloat16"],
                UPDATES,
                peers={"own float32": ours["float32"]},
                least_ratio=1.4 if count == "10" else None,
            )
        )
    return found


UPDATES = "updates/s"
LEARNER_AIMS = {
    "jax_rlpd": 0.9,
    "matrix bound": 0.6,
    "stable_baselines3": 2.0,
    "lerobot": 2.0,
}
"""Least ratio of float32 to each."""


def replay_figures(result: Results) -> list[Figure]:
    peers = result.get("peers", {}).get("replay_buffers", {}).get("state_us", {})
    return [
        Figure("replay", "256 state transitions, mixed 50/50", result["state_mixed_us"], "µs",
               most=50, peers=dict(peers), inverted=True),
        Figure("replay", "the same, 20 batches at once", result["state_mixed_20_batches_us"], "µs"),
        Figure("replay", "256 with two 128x128 cameras", result["cameras_ms"], "ms", most=5,
               peers={"memcpy": result["memcpy_of_same_bytes_ms"]}, inverted=True),
        Figure("replay", "memory a transition, two cameras",
               result["cameras_bytes_per_transition"] / 1000, "kB", most=100),
        Figure("replay", "append to the log, one at a time", result["append_1_per_s"], "records/s"),
    ]  # fmt: skip


def transport_figures(result: Results) -> list[Figure]:
    single, batch = result["state_single"], result["state_batch64"]
    images, weights = result["image_single"], result["weights_1MB"]
    return [
        Figure("transport", "state transitions, one at a time", single["per_s"], "1/s",
               least=20_000, peers={"bare socket": single["bare_per_s"]}),
        Figure("transport", "state transitions, in batches of 64", batch["per_s"], "1/s",
               least=300_000, peers={"bare socket": batch["bare_per_s"]}),
        Figure("transport", "images from one actor", images["MB_per_s"], "MB/s", least=500,
               peers={"bare socket": images["bare_MB_per_s"], "disk": images["disk_MB_per_s"]}),
        Figure("transport", "weights of 1 MB at the actor, p50", weights["p50_ms"], "ms"),
        Figure("transport", "weights of 1 MB at the actor, p99", weights["p99_ms"], "ms", most=5),
        Figure("transport", "state transitions, one at a time, keys", single["curve_per_s"], "1/s",
               peers={"without keys": single["per_s"]}),
        Figure("transport", "state transitions, in batches of 64, keys", batch["curve_per_s"],
               "1/s", peers={"without keys": batch["per_s"]}),
        Figure("transport", "images from one actor, keys",
               images["curve_of_plain"] * images["MB_per_s"], "MB/s",
               peers={"without keys": images["MB_per_s"]}),
        Figure("transport", "weights of 1 MB at the actor, keys, p50",
               result["weights_1MB_curve"]["p50_ms"], "ms",
               peers={"without keys": weights["p50_ms"]}, inverted=True),
        Figure("transport", "what a record costs the control loop, p50",
               result["control_loop"]["step_p50_us"], "µs"),
    ]  # fmt: skip


def fleet_figures(result: Results) -> list[Figure]:
    """Held with keys and durable; each off and on beside it."""
    slowest = max(case["max_ms"] for case in result["denials"].values())
    found = [Figure("fleet", "no key or a wrong one: named on both sides", slowest, "ms", most=1e3)]
    wanted = result["actors"] * result["hz"]
    for load in ("state", "cameras"):
        paced, ceiling = result[load]["paced"], result[load]["ceiling"]
        what = f"{result['actors']} actors, {result['hz']:g} Hz, {load}, keys, durable"
        both, neither = paced["curve_durable"], paced["plain_unsynced"]
        core = {"both off": max(neither["ingest_core"], 1e-3)}
        best = ceiling["curve_durable"]["per_s"]
        other = {"both off": ceiling["plain_unsynced"]["per_s"]}
        # A window begins and ends within a chunk's way to the disk: a hundredth is no loss.
        found += [
            Figure("fleet", what, both["per_s"], "1/s", least=0.99 * wanted),
            Figure("fleet", f"{what}: ingest", max(both["ingest_core"], 1e-3), "core", peers=core),
            Figure("fleet", f"{load}, keys, durable: ceiling", best, "1/s", peers=other),
        ]
    return found


def policy_figures(result: Results) -> list[Figure]:
    torch = {"torch eager": result["torch_eager_p50_us"]}
    return [
        Figure("policy", "observation to action, MLP 256x256, p50", result["act_p50_us"], "µs",
               most=60, peers=torch | peer(result, "predict", "p50_us"), inverted=True),
        Figure("policy", "observation to action, p99", result["act_p99_us"], "µs",
               peers=peer(result, "predict", "p99_us"), inverted=True),
    ]  # fmt: skip


def loop_figures(result: Results) -> list[Figure]:
    """Lateness of the probe loop; ratios are ours over the bare loop's: how many times later."""
    found = []
    for condition, words in LOOPS.items():
        for key in ("p50", "p99", "p999"):
            percentile = "p99.9" if key == "p999" else key
            bare = {"bare loop": result["bare"][f"{key}_us"]} if condition != "bare" else {}
            found.append(
                Figure(
                    "loop",
                    f"lateness at 1 kHz, {words}, {percentile}",
                    result[condition][f"{key}_us"],
                    "µs",
                    peers=bare,
                )
            )
    return found


LOOPS = {
    "bare": "bare",
    "learner": "learner beside it",
    "wire": "a record a period, I/O process and ingest",
    "learner_and_wire": "both",
}
AREAS: dict[str, Callable[[Results], list[Figure]]] = {
    "env": env_figures,
    "learner": learner_figures,
    "replay": replay_figures,
    "transport": transport_figures,
    "fleet": fleet_figures,
    "policy": policy_figures,
    "loop": loop_figures,
}
