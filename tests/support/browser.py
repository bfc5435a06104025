"""A real browser, headless, that reaches nothing but the page it is given.

It is driven by the few calls of the WebDriver protocol that the tests need. A library for them would bring trio, which
httpx loads wherever it finds it: a third of the time of each process of statform that the tests start.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import define
from stores import accepts, free_port, wait_for

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

    session: httpx.Client

    def open(self, path: Path, *, width: int = 1440, media: str = "screen", scheme: str = "light") -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.command("Emulation.setDeviceMetricsOverride", **size)
        self.emulate(media, scheme)
        self.logged()
        self.requested()
        self._ask("url", url=path.as_uri())

    def emulate(self, media: str, scheme: str) -> None:
        self.command(
            "Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": scheme}]
        )

    def command(self, name: str, **parameters: Any) -> Any:
        return self._ask("goog/cdp/execute", cmd=name, params=parameters)

    def run(self, script: str, *arguments: Any) -> Any:
        """What a function body gives in the page."""
        return self._ask("execute/sync", script=script, args=arguments)

    def wait_for(self, script: str) -> Any:
        """What a function body in the page gives to its last argument, a function, some time later."""
        return self._ask("execute/async", script=script, args=())

    def press_tab(self) -> None:
        for kind in ("keyDown", "keyUp"):
            self.command("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)

    def texts(self, selector: str) -> list[str]:
        """The text of every element, also of one that is not shown."""
        return self.run("return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)", selector)

    def logged(self) -> list[str]:
        """What the console had to say since the last time: errors of scripts, and breaches of the policy."""
        return [one["message"] for one in self._ask("se/log", type="browser")]

    def requested(self) -> list[str]:
        """The addresses that were asked for since the last time."""
        messages = [json.loads(one["message"])["message"] for one in self._ask("se/log", type="performance")]
        return [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]

    def _ask(self, what: str, **parameters: Any) -> Any:
        answer = self.session.post(what, json=parameters)
        assert answer.is_success, answer.text
        return answer.json()["value"]


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
    arguments = [*_FLAGS, f"--user-data-dir={directory}"]
    wanted = {
        "goog:chromeOptions": {"binary": binary, "args": arguments},
        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
    }
    with _running(driver) as url, httpx.Client(timeout=60, trust_env=False) as client:
        made = client.post(f"{url}/session", json={"capabilities": {"alwaysMatch": wanted}})
        assert made.is_success, made.text
        session = f"{url}/session/{made.json()['value']['sessionId']}"
        client.base_url = session
        try:
            yield Browser(client)
        finally:
            # The whole address: what is relative to `base_url` gets a slash, and is no command.
            ended = client.delete(session)
            assert ended.is_success, ended.text


@contextmanager
def _running(driver: str) -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: accepts(port), process.pid)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)
