"""A real browser, headless, that reaches nothing but the page it is given."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define
from selenium import webdriver

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
IS_NEEDED = bool(os.environ.get("STATFORM_NEEDS_BROWSER"))
"""Whether a machine without a browser fails the tests instead of skipping them."""
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--hide-scrollbars",
)


@define
class Browser:
    """One window. `open` starts anew: what the page logged and asked for is counted from there."""

    driver: Any

    def open(self, path: Path, *, width: int = 1440, media: str = "screen", scheme: str = "light") -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.command("Emulation.setDeviceMetricsOverride", **size)
        self.emulate(media, scheme)
        self.logged()
        self.requested()
        self.driver.get(path.as_uri())

    def emulate(self, media: str, scheme: str) -> None:
        self.command(
            "Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": scheme}]
        )

    def command(self, name: str, **parameters: Any) -> Any:
        return self.driver.execute_cdp_cmd(name, parameters)

    def run(self, script: str, *arguments: Any) -> Any:
        """What a function body gives in the page."""
        return self.driver.execute_script(script, *arguments)

    def texts(self, selector: str) -> list[str]:
        """The text of every element, also of one that is not shown."""
        return self.run("return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)", selector)

    def logged(self) -> list[str]:
        """What the console had to say since the last time: errors of scripts, and breaches of the policy."""
        return [one["message"] for one in self.driver.get_log("browser")]

    def requested(self) -> list[str]:
        """The addresses that were asked for since the last time."""
        messages = [json.loads(one["message"])["message"] for one in self.driver.get_log("performance")]
        return [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]


@contextmanager
def running_browser(directory: Path) -> Iterator[Browser]:
    """A fresh browser with its profile in `directory`; skips the test when the machine has none."""
    binary = next(filter(None, map(shutil.which, NAMES)), None)
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        missing = "chromium" if binary is None else "chromedriver"
        if IS_NEEDED:
            pytest.fail(f"{missing} is not installed, and STATFORM_NEEDS_BROWSER is set")
        pytest.skip(f"{missing} is not installed: the page is not tested in a browser")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*_FLAGS, f"--user-data-dir={directory}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # With the driver named, selenium looks for none, which it would do on the network.
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield Browser(browser)
    finally:
        browser.quit()
