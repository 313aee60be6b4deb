"""A real browser that tells which addresses it asked for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip


@contextmanager
def browser(profile: Path, size: tuple[int, int] = (1360, 1000)) -> Iterator[webdriver.Chrome]:
    """Headless Chromium; skips the test where there is none. ``profile`` is a new folder; downloads go below it."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no chromium and chromedriver here")
    options = Options()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}"):
        options.add_argument(flag)
    opened = webdriver.Chrome(options, Service(driver))
    try:
        allowed = {"behavior": "allow", "downloadPath": str(profile / "downloads")}
        opened.execute_cdp_cmd("Browser.setDownloadBehavior", allowed)
        yield opened
    finally:
        opened.quit()


def requested(opened: webdriver.Chrome) -> list[str]:
    """Every address that the browser asked for since the last call, web sockets included."""
    found = []
    for entry in opened.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            found.append(message["params"]["request"]["url"])
        elif message["method"] == "Network.webSocketCreated":
            found.append(message["params"]["url"])
    return found
