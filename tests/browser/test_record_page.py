"""A person records through the page: cameras, takeover, drag, buttons, verdicts, stop; and who may
not."""

from __future__ import annotations

import http.server
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("selenium", reason="the browser lane is launch/test.sh browser")

from console_run import ConsoleRun, body, button, click, grab, hands_on, until
from selenium.webdriver import ActionChains
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from robot_rl.data.episodes import read_episodes
from robot_rl.types import Source

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
TASK = ("task=reach", "task.max_steps=20000", "task.tolerance=0.0001")
Open = Callable[[str], Any]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleRun]:
    folder = tmp_path_factory.mktemp("record")
    words = ["record", "--out", str(folder / "demos"), "--by", "teleop", "--episodes", "9"]
    words += ["--keep-failures", "camera=two", "console=web", "console_port=18080", *TASK]
    run = ConsoleRun(words, folder / "log", "record")
    yield run
    run.stop()


@pytest.fixture
def page(run: ConsoleRun, open_page: Open) -> Any:
    driver = open_page(run.address)
    until("the page", lambda: "acts" in body(driver))
    return driver


def test_the_page_shows_what_the_policy_sees(run: ConsoleRun, page: Any) -> None:
    assert page.current_url == f"{run.origin}/"  # the token is not left in the address
    assert page.execute_script("return document.cookie") == ""  # HttpOnly

    def sizes() -> list[int]:
        images = page.find_elements("xpath", "//img[starts-with(@src, 'blob:')]")
        found = [int(it.get_property("naturalWidth")) for it in images]
        return found if found == [128, 128] else []

    until("two cameras", sizes)
    text = body(page)
    assert "wrist" in text
    assert "newest step" in text


def test_a_drag_moves_the_arm_only_after_a_takeover(run: ConsoleRun, page: Any) -> None:
    before = run.latest().step.state
    click(page, "Take over")
    run.when("the takeover", hands_on)
    grab(page, run)
    assert before is not None

    def moved() -> bool:
        state = run.latest().step.state
        return state is not None and float(np.abs(state.pose - before.pose).max()) > 0.005

    until("the arm moves", moved)
    ActionChains(page).release().perform()
    until("the goal is dropped", lambda: run.wishes().goal_ns == 0)
    click(page, "Hand back")
    run.when("the hand-back", lambda latest: not hands_on(latest))
    with pytest.raises(AssertionError, match="gizmo"):
        grab(page, run)


def test_a_held_button_moves_and_letting_go_holds(run: ConsoleRun, page: Any) -> None:
    click(page, "Take over")
    state = run.when("the takeover", hands_on).step.state
    assert state is not None
    begin = state.setpoint[0, 2]
    press = ActionChains(page).click_and_hold(button(page, "+z"))
    press.perform()

    def lifted() -> bool:
        state = run.latest().step.state
        return state is not None and state.setpoint[0, 2] > begin + 0.01

    until("the arm is lifted", lifted)
    ActionChains(page).release().perform()
    assert_holds(run)
    click(page, "Hand back")
    run.when("the hand-back", lambda latest: not hands_on(latest))


def assert_holds(run: ConsoleRun) -> None:
    """From some moment on the setpoint is the same in ten moments on end."""

    def same() -> bool:
        seen = [run.latest()]
        while len(seen) < 10:
            now = run.latest()
            if now.index != seen[-1].index:
                seen.append(now)
            time.sleep(0.005)
        poses = np.array([it.step.state.setpoint for it in seen if it.step.state is not None])
        return len(poses) == 10 and float(np.ptp(poses, axis=0).max()) < 1e-6

    until("the arm holds", same)


def test_verdicts_reach_the_record(run: ConsoleRun, page: Any) -> None:
    click(page, "Take over")
    for label in ("Success", "Failure"):
        episode = run.when("the takeover", hands_on).episode
        click(page, label)
        run.when("the next episode", lambda now, was=episode: now.episode == was + 1)  # type: ignore[misc]
    click(page, "Hand back")
    kept = run.log.parent / "demos"
    until("both are kept", lambda: b"kept 2 of 9" in run.log.read_bytes())
    assert [it.success for it in read_episodes(kept)][:2] == [1, 0]


def test_a_page_that_is_closed_in_mid_drag_leaves_the_arm_still(
    run: ConsoleRun, page: Any, open_page: Open
) -> None:
    click(page, "Take over")
    run.when("the takeover", hands_on)
    grab(page, run)
    page.quit()
    # The device is lost: it holds, and neither the page's last goal nor the policy goes on.
    run.when("the hold", lambda it: it.action is not None and it.action.source is Source.SCRIPT)
    assert run.wishes().goal_ns == 0
    assert_holds(run)
    again = open_page(run.address)
    click(again, "Hand back")
    run.when("the demonstrator", lambda it: it.action and it.action.source is Source.DEMO)


def asks(run: ConsoleRun, path: str, headers: dict[str, str]) -> int:
    request = urllib.request.Request(f"{run.origin}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return int(response.status)
    except urllib.error.HTTPError as refusal:
        return int(refusal.code)


def session(run: ConsoleRun, origin: str, token: str) -> ClientConnection:
    port = run.origin.rpartition(":")[2]
    return connect(
        run.origin.replace("http", "ws"),
        origin=origin,  # type: ignore[arg-type]
        additional_headers={"Cookie": f"robot_rl_console_{port}={token}"},
        subprotocols=["viser-v1.1.1"],  # type: ignore[list-item]
        max_size=None,
    )


def test_only_the_token_opens_it(run: ConsoleRun) -> None:
    assert asks(run, f"/?token={run.token}x", {}) == 401
    assert asks(run, "/", {}) == 401
    assert asks(run, f"/?token={run.token}", {"Origin": "http://evil.example"}) == 403
    assert asks(run, f"/?token={run.token}", {"Host": "evil.example:18080"}) == 403
    for origin, token, status in (
        (run.origin, "wrong", 401),
        ("http://evil.example", run.token, 403),
        ("null", run.token, 403),
    ):
        with pytest.raises(InvalidStatus) as refusal:
            session(run, origin, token)
        assert refusal.value.response.status_code == status
    session(run, run.origin, run.token).close()


def test_a_page_of_another_origin_in_the_same_browser_is_refused(
    run: ConsoleRun, page: Any, tmp_path: Path
) -> None:
    """To a browser another port is the same site: it sends the cookie along."""
    (tmp_path / "index.html").write_text("<p>elsewhere</p>")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(tmp_path))

        def log_message(self, *_: object) -> None:
            pass

    other = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    opens = (
        "const done = arguments[arguments.length - 1];"
        "const ws = new WebSocket(arguments[0], ['viser-v1.1.1']);"
        "ws.onopen = () => done('open'); ws.onerror = () => done('refused');"
    )
    try:
        address = run.origin.replace("http", "ws")
        assert page.execute_async_script(opens, address) == "open"
        page.get(f"http://127.0.0.1:{other.server_address[1]}/")
        assert page.execute_async_script(opens, address) == "refused"
    finally:
        other.shutdown()


def test_garbage_over_the_socket_does_nothing(run: ConsoleRun, open_page: Open) -> None:
    rng = np.random.default_rng(0)
    before, wishes = run.latest(), run.wishes()
    for size in (0, 1, 100, 4096, 2 << 20):
        for message in (rng.bytes(size), "{" * size):
            with session(run, run.origin, run.token) as link:
                try:
                    link.send(message)
                    link.recv(timeout=0.2)
                except (WebSocketException, TimeoutError):
                    continue
    run.when("it goes on", lambda now: now.index > before.index or now.episode > before.episode)
    after = run.wishes()
    assert (after.pressed, after.taken_ns, after.goal_ns) == (
        wishes.pressed,
        wishes.taken_ns,
        wishes.goal_ns,
    )
    driver = open_page(run.address)
    until("the page", lambda: "acts" in body(driver))


def test_stop_latches_a_fault(run: ConsoleRun, page: Any) -> None:
    click(page, "Stop request")
    assert run.process.wait(60) != 0
    text = run.log.read_text()
    assert "emergency stop" in text
    assert "keeps 2 of 9 episodes" in text
