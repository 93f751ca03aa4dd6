from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fake_run import Clock, config_text, write_run

from robot_rl.errors import DataError
from robot_rl.metrics.reader import read_metrics
from robot_rl.metrics.records import ActorRecord, EpisodeRecord, EvalRecord, LearnerRecord
from robot_rl.metrics.writer import MetricsWriter
from robot_rl.report import page as report_page
from robot_rl.report.compare import seed_curve
from robot_rl.report.page import compare_runs, write_report
from robot_rl.report.rundata import evals_kept, learner_kept, read_run, speeds, stage_seconds

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
VOID = {"meta", "link", "br", "img", "input"}


class Outline(HTMLParser):
    """Tags that were opened and not closed, addresses that are asked for, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [v for k, v in attrs if k in ("src", "href", "data", "action") and v]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def outline(path: Path) -> Outline:
    found = Outline()
    found.feed(path.read_text())
    found.close()
    assert found.open == []
    assert "script" not in found.tags
    found.text = found.text.replace("\xa0", " ")
    return found


def test_report_of_a_run(tmp_path: Path, clock: Clock) -> None:
    run = write_run(tmp_path / "run", clock, video=True)
    page = outline(write_report(run))
    evals = read_metrics(run).evals
    last = evals[-1]
    assert f"{last.successes} of {last.episodes} episodes succeed" in page.text
    window = [e for e in evals if e.step >= 6000]
    rate = 100 * sum(e.successes for e in window) / sum(e.episodes for e in window)
    assert f"{rate:.1f} %success, 6,000 to 10,000 steps" in page.text
    assert "39,200critic updates" in page.text
    for title in (
        "Success",
        "Return in training",
        "Episode length",
        "Interventions",
        "True update-to-data ratio",
        "Staleness of the acting policy",
        "Environment steps a second",
        "Updates a second",
        "Critic loss",
        "Temporal-difference error",
        "Temperature α",
        "Where the time went",
        "learn 260 s (78 %)",
        "batch_size: 256",
        "Some CPU @ 2.8 GHz",
        "2.13.0",
    ):
        assert title in page.text
    assert "Warnings" not in page.text
    assert page.tags.count("video") == 1
    assert all(address.startswith("data:") for address in page.addresses)


def test_text_of_a_user_is_escaped(tmp_path: Path) -> None:
    nasty = "<img src=http://x onerror=alert(1)>"
    (tmp_path / "config.yaml").write_text(
        f"choices:\n  task: '{nasty}'\n  agent: '<b>'\nnote: '</pre>{nasty}'\n"
    )
    with MetricsWriter(tmp_path, "train", tensorboard=False) as writer:
        writer.event(f"</ul>{nasty}", warning=True)
        writer.write(LearnerRecord(step=1, updates=1, metrics={nasty: 1.0}, queues={nasty: 2}))
        writer.write(LearnerRecord(step=2, updates=2, metrics={nasty: 2.0}, seconds={nasty: 2.0}))
        writer.write(
            EpisodeRecord(step=1, actor=nasty, episode=1, steps=9, episode_return=1, success=1)
        )
    page = outline(write_report(tmp_path))
    assert "img" not in page.tags
    assert page.addresses == ["data:,"]
    assert page.text.count(nasty) >= 5


def test_an_interrupted_run_has_a_report_with_warnings(tmp_path: Path, clock: Clock) -> None:
    run = write_run(tmp_path / "run", clock, steps=3000, finished=False)
    with MetricsWriter(run, "extra", tensorboard=False) as writer:
        clock.now_s += 1.0
        writer.event("actor-0 lost the learner", warning=True)
        writer.write(ActorRecord(step=9, actor="actor-1", overruns=12))
        writer.write(EvalRecord(step=3100, version=1, episodes=20, successes=20))
        writer.write(EvalRecord(step=3200, version=2, episodes=20, successes=10))
        writer.write(
            LearnerRecord(step=3200, updates=13_000, utd_true=4.5, metrics={"q": float("nan")})
        )
    with (run / "metrics" / "extra.jsonl").open("ab") as file:
        file.write(b"{torn\n")
    text = outline(write_report(run)).text
    for warning in (
        "actor-0 lost the learner",
        "The run has not finished: 3,200 of 3,000",
        "ratio 4.5 exceeds the 4 asked for",
        "Not finite at least once: q.",
        "50 % at 3,200 steps",
        "12 control periods began late",
        "1 metrics lines could not be read",
    ):
        assert warning in text


def test_a_report_says_when_actions_were_sampled(tmp_path: Path, clock: Clock) -> None:
    run = write_run(tmp_path / "run", clock, steps=1500)
    said = "in the last evaluation, with actions drawn as in training, (95 %"
    for setting, there in (("", False), ("evaluation:\n  sampled: true\n", True)):
        (run / "config.yaml").write_text(config_text() + setting)
        assert (said in outline(write_report(run)).text) is there


def test_a_run_of_nothing_but_a_config_has_a_report(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(config_text())
    text = outline(write_report(tmp_path)).text
    assert "without an evaluation" in text
    assert "The learner has written no metrics." in text
    (tmp_path / "config.yaml").write_text(
        "choices:\n  env: gym\n  agent: sac\nenv:\n  id: Pendulum-v1\n"
    )
    assert "Pendulum-v1" in outline(write_report(tmp_path)).text


def test_where_nobody_judges_success_the_report_speaks_of_returns(
    tmp_path: Path, clock: Clock
) -> None:
    page = outline(write_report(write_run(tmp_path / "run", clock, judged=False)))
    assert "Mean return 0.95 over 20 episodes" in page.text
    assert "succeed" not in page.text
    assert "Return" in page.text


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"config\.yaml is missing"):
        write_report(tmp_path)
    (tmp_path / "config.yaml").write_text("a: [1\n")
    with pytest.raises(DataError, match=r"config\.yaml"):
        write_report(tmp_path)
    (tmp_path / "config.yaml").write_text("- a\n- b\n")
    with pytest.raises(DataError, match="not a mapping"):
        write_report(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_what_a_resumed_session_did_again_counts_once() -> None:
    learner = [LearnerRecord(step=s, updates=s) for s in (0, 0, 10, 20, 30, 15, 25)]
    assert [record.updates for record in learner_kept(learner)] == [0, 0, 10, 15, 25]
    evals = [EvalRecord(step=s, version=v, episodes=1, successes=0) for s, v in ((5, 1), (10, 2))]
    again = EvalRecord(step=5, version=9, episodes=1, successes=1)
    assert [record.version for record in evals_kept([*evals, again])] == [9, 2]


def test_stage_seconds_add_up_over_sessions() -> None:
    spent = (1.0, 4.0, 2.0, 3.0)
    records = [LearnerRecord(step=1, updates=1, seconds={"learn": s}) for s in spent]
    assert stage_seconds(records) == {"learn": 7.0}


def test_speeds_leave_out_steps_back() -> None:
    times, rates = speeds([0, 10, 20, 30, 40], [0, 50, 100, 20, 70])
    assert times.tolist() == [10, 20, 40]
    assert rates.tolist() == [5, 5, 5]
    assert len(speeds([1.0], [1.0])[0]) == 0


def test_large_or_unplayable_videos_are_linked(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path / "run", clock, steps=500, video=True)
    monkeypatch.setattr(report_page, "EMBED_BYTES", 10)
    page = outline(write_report(run))
    assert "video" not in page.tags
    assert "video/eval.mp4" in page.addresses
    (run / "video" / "eval.mp4").write_bytes(b"no video")
    assert "Browsers cannot play it" in outline(write_report(run)).text


def test_seeds_are_pooled_and_the_svg_stands_alone(tmp_path: Path, clock: Clock) -> None:
    runs = [write_run(tmp_path / f"seed{s}", clock, seed=s) for s in range(3)]
    page = compare_runs(runs)
    assert page == tmp_path / "comparison.html"
    text = outline(page).text
    final = [e for run in runs for e in read_metrics(run).evals if e.step >= 6000]
    successes, episodes = sum(e.successes for e in final), sum(e.episodes for e in final)
    assert f"({successes} of {episodes};" in text
    assert "pick_cube · fr3_sim · rlpd (3 seeds)" in text
    svg = (tmp_path / "comparison.svg").read_text()
    assert svg.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert len(re.findall(r"opacity: 0.45", svg)) == 3
    out = compare_runs(runs[:1], tmp_path / "elsewhere")
    assert out.parent == tmp_path / "elsewhere"
    with pytest.raises(DataError, match="no runs"):
        compare_runs([])


def test_curves_of_seeds_evaluated_at_other_steps_are_joined(tmp_path: Path) -> None:
    tables = {0: [(500, 10), (1000, 20)], 1: [(503, 20), (1010, 20)], 2: [(500, 0)]}
    for seed, table in tables.items():
        folder = tmp_path / str(seed)
        folder.mkdir()
        (folder / "config.yaml").write_text(config_text(seed))
        with MetricsWriter(folder, "evaluator", tensorboard=False) as writer:
            for step, good in table:
                writer.write(EvalRecord(step=step, version=1, episodes=20, successes=good))
    curve = seed_curve([read_run(tmp_path / str(seed)).metrics.evals for seed in tables])
    assert curve is not None
    assert curve.steps.tolist() == [500, 1000]
    assert curve.mean.tolist() == [0.5, 1.0]
    assert (curve.low <= curve.mean).all()
    assert (curve.mean <= curve.high).all()
    assert curve.low[1] < 1.0  # certain it is not, with forty episodes


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_chromium_shows_it_without_errors_and_without_network(tmp_path: Path, clock: Clock) -> None:
    run = write_run(tmp_path / "run", clock, steps=2000, video=True)
    log = tmp_path / "net.json"
    shot = tmp_path / "page.png"
    done = subprocess.run(
        [
            str(CHROMIUM),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=3000",
            "--enable-logging=stderr",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--log-net-log={log}",
            f"--screenshot={shot}",
            "--window-size=900,1400",
            write_report(run).as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "CONSOLE" not in done.stderr
    assert shot.stat().st_size > 20_000
    from_page = re.findall(r'"url":"(https?://[^"]*)"', log.read_text())
    assert [url for url in from_page if "google" not in url and "gvt1" not in url] == []
