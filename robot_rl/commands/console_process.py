"""A console's process: shows the latest-value slot as a page, leaves what the page asks for."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from robot_rl.commands.child_config import ConsoleConfig
from robot_rl.console.guard import HOST
from robot_rl.console.hands import Hands
from robot_rl.console.page import Page, open_server
from robot_rl.runtime.rearm import holding
from robot_rl.wire.latest import LatestReader
from robot_rl.wire.wishes import WishWriter

BEAT_S = 0.02
SHOW_EVERY = 5
"""Beats between two pictures: ten a second."""


def url_path(runtime_dir: Path, actor: str) -> Path:
    """The file with the page's address, token included: the user's own, in memory."""
    return runtime_dir / f"{actor}.url"


def run_console(config: ConsoleConfig, stopping: Callable[[], bool]) -> None:
    """Serves until SIGTERM."""
    runtime, actor = Path(config.runtime_dir), config.actor
    token = secrets.token_urlsafe(24)
    with ExitStack() as stack:
        writer = WishWriter(runtime, actor)
        stack.callback(writer.close)
        hands = Hands(writer.write)
        reader = LatestReader(runtime, actor)
        stack.callback(reader.close)
        server = open_server(config.port, token)
        stack.callback(server.stop)
        page = Page(server, hands, actor, acts=config.acts)
        _leave(url_path(runtime, actor), f"http://{HOST}:{server.get_port()}/?token={token}")
        beats = 0
        while not stopping():
            hands.beat()
            if beats % SHOW_EVERY == 0:
                page.show(reader.read(), reader.spec, holding(runtime).get(actor, ""))
            beats += 1
            time.sleep(BEAT_S)


def _leave(path: Path, text: str) -> None:
    """Whole or not at all, and for this user only."""
    draft = path.with_suffix(".draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.rename(path)
