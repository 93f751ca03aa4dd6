"""Conformance of an environment: what every `env` config must pass.

    check_env(make_env())

Each check raises SpecError saying what was wrong, where, and what is valid.
"""

from __future__ import annotations

import threading

import numpy as np

from robot_rl.errors import PoisonedDataError, RobotFault, SpecError
from robot_rl.interfaces import RobotEnvironment
from robot_rl.specs import EnvSpec, validate, validate_observation
from robot_rl.types import Array, LimitStage, Step

SMALL = 0.1
"""Actions this small are carried out from any start pose, up to `SMALL_ERROR`."""
SMALL_ERROR = 0.05
HELD = 0.02
"""How far the executed action may be from `hold` when that is what acts."""


def check_env(
    env: RobotEnvironment, *, seed: int = 0, steps: int = 10, longest: int = 2000
) -> None:
    """Runs every check on one environment, and closes it.

    steps: length of the compared rollouts; longest: steps within which an episode must end.
    """
    check_spec(env)
    check_rollout(env, seed, steps)
    check_determinism(env, seed, steps)
    check_executed(env, seed)
    check_hold(env, seed)
    check_refusals(env, seed)
    check_end(env, seed, longest)
    check_trip(env, seed)
    env.close()
    env.close()


def check_spec(env: RobotEnvironment) -> None:
    """It has the whole protocol, and its spec round-trips and adds up."""
    if not isinstance(env, RobotEnvironment):
        names = [name for name in dir(RobotEnvironment) if not name.startswith("_")]
        missing = ", ".join(name for name in names if not hasattr(env, name))
        raise SpecError(f"{type(env).__name__} has no {missing}; valid: a RobotEnvironment")
    spec = env.spec
    if EnvSpec.from_json(spec.to_json()) != spec:
        raise SpecError("the spec differs after to_json and from_json")
    action = spec.action
    if action.dtype != "float32" or (action.low, action.high) != (-1.0, 1.0):
        raise SpecError(f"action {action}; valid: float32 in [-1, 1]")
    widths = sum(width for _, width in spec.state_layout)
    state = next((array.size for array in spec.observation if array.name == "state"), 0)
    if widths != state:
        raise SpecError(f"state_layout adds up to {widths}; valid: the state's width, {state}")
    if spec.action_scale and len(spec.action_scale) != spec.action_dim:
        raise SpecError(
            f"action_scale has {len(spec.action_scale)} numbers; valid: {spec.action_dim}, or none"
        )
    if env.max_steps < 1:
        raise SpecError(f"max_steps {env.max_steps}; valid: 1 or more")


def check_rollout(env: RobotEnvironment, seed: int, steps: int) -> None:
    """Every Step keeps to the spec, stamps to one time base, arrays are not reused."""
    spec, rng = env.spec, np.random.default_rng(seed)
    first = now = env.reset(seed)
    _check_step(now, spec, "reset")
    if now.reward != 0.0 or now.terminated or now.truncated:
        raise SpecError(f"reset: reward {now.reward}, or an end; valid: 0, and none")
    copies = {name: array.copy() for name, array in first.obs.items()}
    for index in range(steps):
        before, now = now, env.step(_random(spec, rng))
        _check_step(now, spec, f"step {index}")
        if not isinstance(now.reward, float) or not np.isfinite(now.reward):
            raise SpecError(f"step {index}: reward {now.reward!r}; valid: a finite float")
        if now.boot_id != before.boot_id:
            raise SpecError(f"step {index}: boot_id changed within an episode")
        if not now.action_stamp_ns == before.stamp_ns < now.stamp_ns:
            raise SpecError(
                f"step {index}: action stamp {now.action_stamp_ns}, stamp {now.stamp_ns}; "
                f"valid: {before.stamp_ns} (of the observation before), then later"
            )
        if now.terminated or now.truncated:
            break
    for name, array in copies.items():
        if not np.array_equal(first.obs[name], array):
            raise SpecError(f"'{name}' of the reset was overwritten by later steps; valid: a copy")


def check_determinism(env: RobotEnvironment, seed: int, steps: int) -> None:
    """Equal seeds and actions give bit-equal observations, rewards and executed actions."""
    first, second = (_record(env, seed, steps) for _ in range(2))
    if len(first) != len(second):
        raise SpecError(f"one seed, {len(first)} and {len(second)} arrays; valid: equal rollouts")
    for (name, one), (_, two) in zip(first, second, strict=True):
        if not np.array_equal(one, two):
            raise SpecError(f"{name} differs between two rollouts of seed {seed}")


def check_executed(env: RobotEnvironment, seed: int) -> None:
    """Small actions are carried out; executed actions never leave [-1, 1], whatever is asked."""
    spec, rng = env.spec, np.random.default_rng(seed)
    env.reset(seed)
    action = np.clip(env.hold() + SMALL * _random(spec, rng), -1, 1).astype(np.float32)
    executed = env.step(action).executed
    error = np.abs(executed - action)
    # A gripper that acts beyond a threshold rounds its value.
    if spec.gripper_mode == "ternary":
        error = error[np.array(spec.action_scale) < max(spec.action_scale)]
    if error.size and error.max() > SMALL_ERROR:
        raise SpecError(
            f"an action near hold, {action}, was executed as {executed}; valid: within "
            f"{SMALL_ERROR}"
        )
    executed = env.step(np.full(spec.action_dim, 3.0, np.float32)).executed
    validate(executed, spec.action, "executed, after an action of 3")


def check_hold(env: RobotEnvironment, seed: int) -> None:
    """`hold` is an action, is what a reset says was executed, and keeps the robot's setpoint."""
    first = env.reset(seed)
    hold = env.hold()
    validate(hold, env.spec.action, "hold")
    if np.abs(first.executed - hold).max() > HELD:
        raise SpecError(f"reset: executed {first.executed}; valid: the action that holds, {hold}")
    executed = env.step(hold).executed
    if np.abs(executed - hold).max() > HELD:
        raise SpecError(f"hold {hold} was executed as {executed}; valid: within {HELD}")
    goal = env.setpoint()
    if goal is None:
        return
    encoded = env.encode(goal)
    if np.abs(encoded - env.hold()).max() > HELD:
        raise SpecError(f"the setpoint is encoded as {encoded}; valid: the action that holds")


def check_refusals(env: RobotEnvironment, seed: int) -> None:
    """NaN and wrong shapes raise before anything moves."""
    spec = env.spec
    env.reset(seed)
    calm = env.hold()
    expected = env.step(calm).obs
    env.reset(seed)
    for value in (np.nan, np.inf):
        bad = calm.copy()
        bad[-1] = value
        _expect(env, bad, PoisonedDataError, f"an action with {value}")
    _expect(env, np.zeros(spec.action_dim + 1, np.float32), SpecError, "a longer action")
    obs = env.step(calm).obs
    for name in expected:
        if not np.array_equal(obs[name], expected[name]):
            raise SpecError(f"a refused action changed '{name}'; valid: nothing moves")


def check_end(env: RobotEnvironment, seed: int, longest: int) -> None:
    """An episode ends, and is not terminated and truncated at once."""
    spec, rng = env.spec, np.random.default_rng(seed)
    env.reset(seed)
    for _ in range(longest):
        now = env.step(_random(spec, rng))
        if not isinstance(now.terminated, bool) or not isinstance(now.truncated, bool):
            raise SpecError(f"terminated {now.terminated!r}, truncated {now.truncated!r}: no bools")
        if now.terminated and now.truncated:
            raise SpecError("terminated and truncated at once; valid: truncated only at a limit")
        if now.success not in (-1, 0, 1):
            raise SpecError(f"success {now.success!r}; valid: 1, 0 or -1 (not judged)")
        if now.terminated or now.truncated:
            return
    raise SpecError(f"no episode ended within {longest} steps; valid: a time limit")


def check_trip(env: RobotEnvironment, seed: int) -> None:
    """A stop from another thread truncates, is latched, and only re-arming clears it."""
    env.reset(seed)
    thread = threading.Thread(target=env.trip, args=("stopped by the check",))
    thread.start()
    thread.join()
    now = env.step(env.hold())
    if "stopped by the check" not in now.fault or not now.truncated:
        raise SpecError(
            f"after trip: fault '{now.fault}', truncated {now.truncated}; valid: the reason, True"
        )
    try:
        env.reset(seed)
    except RobotFault:
        pass
    else:
        raise SpecError("a reset cleared a person's stop; valid: RobotFault until rearm()")
    env.rearm()
    if fault := env.reset(seed).fault:
        raise SpecError(f"after rearm: fault '{fault}'; valid: none")


def _check_step(step: Step, spec: EnvSpec, where: str) -> None:
    validate_observation(step.obs, spec, where)
    validate(step.executed, spec.action, f"{where}: executed")
    commanded = step.commanded
    if commanded.shape != (spec.command_dim,) or commanded.dtype != np.float32:
        raise SpecError(
            f"{where}: commanded is {commanded.dtype}{list(commanded.shape)}; valid: "
            f"float32[{spec.command_dim}]"
        )
    if set(step.stamps) != set(step.obs):
        raise SpecError(f"{where}: stamps of {sorted(step.stamps)}; valid: {sorted(step.obs)}")
    LimitStage(step.stage)


def _record(env: RobotEnvironment, seed: int, steps: int) -> list[tuple[str, Array]]:
    rng = np.random.default_rng(seed)
    now = env.reset(seed)
    arrays = [(f"reset: {name}", now.obs[name].copy()) for name in sorted(now.obs)]
    for index in range(steps):
        now = env.step(_random(env.spec, rng))
        arrays += [(f"step {index}: {name}", now.obs[name].copy()) for name in sorted(now.obs)]
        arrays.append((f"step {index}: reward", np.array(now.reward)))
        arrays.append((f"step {index}: executed", now.executed.copy()))
        if now.terminated or now.truncated:
            break
    return arrays


def _expect(env: RobotEnvironment, action: Array, kind: type[Exception], what: str) -> None:
    try:
        env.step(action)
    except kind:
        return
    raise SpecError(f"{what} was taken; valid: {kind.__name__}")


def _random(spec: EnvSpec, rng: np.random.Generator) -> Array:
    return rng.uniform(-1.0, 1.0, spec.action_dim).astype(np.float32)
