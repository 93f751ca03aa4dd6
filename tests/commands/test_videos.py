"""A video is a luxury: what cannot be drawn costs neither the run nor its report."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from odd_envs import ODD
from refusals import Refused

from robot_rl.cli import main
from robot_rl.commands.video import NoVideo, frame_rate, record_video
from robot_rl.config import load_config
from robot_rl.errors import ConfigError, SpecError
from robot_rl.factory import make_env, make_policy
from robot_rl.report.video import VideoWriter, as_frame

RGB = np.zeros((8, 10, 3), np.uint8)


@pytest.mark.parametrize(
    "image",
    [
        RGB,
        RGB[:, :, 0],
        RGB[:, :, :1],
        np.zeros((8, 10, 4), np.uint8),
        np.zeros((8, 10, 3), np.float32),
        [RGB, RGB],
    ],
)
def test_frames_of_any_usual_kind(image: Any) -> None:
    frame = as_frame(image)
    assert (frame.shape, frame.dtype) == ((8, 10, 3), np.uint8)


def test_unit_floats_become_bytes() -> None:
    assert (as_frame(np.full((8, 10, 3), 0.5)) == 128).all()


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (None, "None"),
        ([], "list"),
        ("\x1b[2J", "str"),
        (np.zeros((8, 10, 2), np.uint8), r"uint8\[8, 10, 2\]"),
        (np.full((8, 10, 3), 2.0), "float64 in 2.0"),
    ],
)
def test_what_is_no_frame(image: Any, said: str) -> None:
    with pytest.raises(SpecError, match=rf"render\(\) gave {said}"):
        as_frame(image)


def environment(**oddity: Any) -> tuple[Any, Any]:
    """An environment that draws, and a policy for it."""
    words = [f"env.kwargs.{key}={value}" for key, value in oddity.items()]
    cfg = load_config(["env=gym", f"env.id={ODD}", "agent=sac", *words])
    env = make_env(cfg, render_mode="rgb_array")
    return env, make_policy(cfg, env.spec, seed=0)


@pytest.mark.parametrize("kind", ["rgb", "gray", "rgba", "list", "float"])
def test_a_video_has_every_step_at_the_environments_rate(kind: str, tmp_path: Path) -> None:
    env, policy = environment(render=kind)
    assert frame_rate(env) == 25.0
    record_video(env, policy, tmp_path / "x.mp4", episodes=2, seed=0, sampled=False)
    video = cv2.VideoCapture(str(tmp_path / "x.mp4"))
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(25.0)
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 20


@pytest.mark.parametrize("kind", ["raises", "missing", "none", "wild"])
def test_no_video_says_why_and_leaves_no_file(kind: str, tmp_path: Path) -> None:
    env, policy = environment(render=kind)
    with pytest.raises(NoVideo):
        record_video(env, policy, tmp_path / "x.mp4", episodes=1, seed=0, sampled=False)
    assert list(tmp_path.iterdir()) == []


def test_frames_are_not_kept(tmp_path: Path) -> None:
    """Three episodes of 1,000 frames of 480 x 480 were once 2.1 GB before the first was written."""
    tracemalloc.start()
    with VideoWriter(tmp_path / "x.mp4", 50) as video:
        for index in range(60):
            video.add(np.full((480, 480, 3), index, np.uint8))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * 480 * 480 * 3


def test_other_formats_are_refused(refused: Refused, tmp_path: Path) -> None:
    for name in ("x.gif", "x", "x.avi"):
        with pytest.raises(ConfigError, match=r"valid: a name that ends in \.mp4"):
            VideoWriter(tmp_path / name, 10)


def test_a_run_that_cannot_be_drawn_has_its_report(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parent}:{os.environ.get('PYTHONPATH', '')}")
    words = [
        "env=gym", f"env.id={ODD}", "env.kwargs.render=raises", "agent=sac", "steps=40", "run=r",
        "agent.replay.warmup_steps=10", "agent.replay.batch_size=8", "agent.replay.utd=1",
        "agent.learner.compile=false", "agent.learner.hidden=[8]", "evaluation.every=40",
        "evaluation.episodes=1", "console=false",
    ]  # fmt: skip
    assert main(["train", "--json", *words]) == 0
    out, err = capfd.readouterr()
    told = json.loads(out)
    assert (told["finished"], told["video"]) == (True, None)
    assert Path(told["report"]).exists()
    lines = [line for line in err.splitlines() if "no video:" in line]
    assert len(lines) == 2, "at the start and at the end"
    assert all("render raised RuntimeError: GLFW" in line for line in lines)
    assert "Traceback" not in err
