"""From a click in the page to the arm's hold, and what the console costs the control loop.

python tests/browser/measure.py latency                    (a run with its policy acting)
python tests/browser/measure.py cost                       (what a step spends on it, a page open)
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from console_run import ConsoleRun, body, click, hands_on, until

from robot_rl.commands.console import console_of
from robot_rl.commands.console_process import url_path
from robot_rl.config import load_config
from robot_rl.factory import make_env
from robot_rl.rollout.loop import Rollout
from robot_rl.rollout.operators import Nobody
from robot_rl.rollout.placement import Inline
from robot_rl.rollout.stop_watch import StopWatcher
from robot_rl.runtime.record import ScriptedPolicy
from robot_rl.types import Context, OperatorSample
from robot_rl.wire.addresses import runtime_directory

CLICKS = 30
PERIODS = 600
TASK = ("task=reach", "task.max_steps=100000", "task.tolerance=0.0001", "camera=two")


def chromium(address: str) -> Any:
    """A headless Chromium at an address."""
    from conftest import launched

    driver = launched(Path(tempfile.mkdtemp()))
    driver.get(address)
    until("the page", lambda: "acts" in body(driver))
    return driver


def latency(folder: Path) -> dict[str, float]:
    """ms from the click's event in the page to the wish, and to the end of the step that holds."""
    words = ["record", "--out", str(folder / "demos"), "--by", "teleop", "console=web", *TASK]
    run = ConsoleRun([*words, "console_port=18090"], folder / "log", "record")
    page = chromium(run.address)
    page.execute_script("addEventListener('click', () => { window.at = Date.now(); }, true)")
    wished, held = [], []
    try:
        for _ in range(CLICKS):
            offset = time.time_ns() - time.monotonic_ns()
            click(page, "Take over")
            moment = run.when("the takeover", hands_on)
            at = float(page.execute_script("return window.at")) * 1e6 - offset
            wished.append((run.wishes().taken_ns - at) / 1e6)
            held.append((moment.written_ns - at) / 1e6)
            click(page, "Hand back")
            run.when("the hand-back", lambda latest: not hands_on(latest))
    finally:
        page.quit()
        run.stop()
    return {
        "wish_ms_p50": float(np.median(wished)),
        "wish_ms_p95": float(np.quantile(wished, 0.95)),
        "hold_ms_p50": float(np.median(held)),
        "hold_ms_p95": float(np.quantile(held, 0.95)),
    }


def cost(folder: Path) -> dict[str, float]:
    """ms that a step spends on the console, with two cameras and a page open: writing the moment,
    reading the wishes. Without a console both are empty calls."""
    cfg = load_config([*TASK])
    environment = make_env(cfg, real_time=True)
    spent: list[float] = []
    with console_of(environment, Nobody(), "cost", 18095) as console:
        address = url_path(runtime_of("cost"), "cost").read_text()
        operator, moments = console.operator, console.moments
        rollout = Rollout(
            environment, Inline(ScriptedPolicy(environment.hold)), operator, moments=moments
        )
        read, write = operator.read, moments.step

        def timed_read(context: Context) -> OperatorSample | None:
            begin = time.perf_counter()
            sample = read(context)
            spent.append(time.perf_counter() - begin)
            return sample

        def timed_write(*args: Any) -> None:
            begin = time.perf_counter()
            write(*args)
            spent[-1] += time.perf_counter() - begin

        operator.read, moments.step = timed_read, timed_write  # type: ignore[method-assign]
        opening = threading.Thread(target=chromium, args=(address,), daemon=True)
        opening.start()
        with StopWatcher(operator, environment):
            rollout.episode(0, proceed=lambda it: it.steps < PERIODS)
        opening.join(60)
    environment.close()
    late = np.array(spent[len(spent) // 3 :]) * 1e3  # the page is there by then
    return {"steps": len(late)} | {
        f"ms_p{q:g}": float(np.quantile(late, q / 100)) for q in (50, 99, 100)
    }


def runtime_of(actor: str) -> Path:
    """Where `console_of` of this process put its files."""
    return runtime_directory(f"{actor}-{os.getpid()}")


if __name__ == "__main__":
    what = {"latency": latency, "cost": cost}[sys.argv[1]]
    with tempfile.TemporaryDirectory() as place:
        print(json.dumps(what(Path(place))))
