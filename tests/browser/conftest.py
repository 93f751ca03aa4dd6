"""A real headless Chromium on real robot-rl processes; `launch/test.sh browser` installs both."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def open_page(tmp_path: Path) -> Iterator[Callable[[str], object]]:
    """Opens an address in a Chromium of its own; all are closed at the end."""
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.common.exceptions import WebDriverException

    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        pytest.skip("no chromium and chromedriver; launch/test.sh browser installs them")
    drivers = []

    def opened(address: str) -> object:
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for switch in (
            "headless=new", "no-sandbox", "disable-gpu", "no-first-run", "disable-sync",
            "disable-background-networking", "disable-component-update", "disable-quic",
            "enable-unsafe-swiftshader", "window-size=1000,700",
            f"user-data-dir={tmp_path}/chromium-{len(drivers)}",
        ):  # fmt: skip
            options.add_argument(f"--{switch}")
        driver = webdriver.Chrome(options, webdriver.ChromeService(chromedriver))
        drivers.append(driver)
        driver.get(address)
        return driver

    yield opened
    for driver in drivers:
        try:
            driver.quit()
        except WebDriverException:
            continue
