"""A real headless Chromium on real robot-rl processes; `launch/test.sh browser` installs both."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

SWITCHES = (
    "headless=new",
    "no-sandbox",
    "disable-gpu",
    "no-first-run",
    "disable-sync",
    "disable-background-networking",
    "disable-component-update",
    "disable-quic",
    "enable-unsafe-swiftshader",
    "window-size=1000,700",
)


def launched(user_data: Path) -> Any:
    """A Chromium with a profile of its own; skips where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        pytest.skip("no chromium and chromedriver; launch/test.sh browser installs them")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for switch in (*SWITCHES, f"user-data-dir={user_data}"):
        options.add_argument(f"--{switch}")
    return webdriver.Chrome(options, webdriver.ChromeService(chromedriver))


@pytest.fixture
def open_page(tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """Opens an address in a Chromium of its own; all are closed at the end."""
    drivers: list[Any] = []

    def opened(address: str) -> Any:
        drivers.append(launched(tmp_path / f"chromium-{len(drivers)}"))
        drivers[-1].get(address)
        return drivers[-1]

    yield opened
    for driver in drivers:
        with suppress(OSError):  # closed by the test
            driver.quit()
