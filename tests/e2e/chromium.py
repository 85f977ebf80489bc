"""A real Chromium without a window: the document that it has after it opened a page, and pictures of the page."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
CAN_BE_NARROW = CHROMIUM is not None and CHROMIUM.endswith("-headless-shell")
"""Whether windows may be as narrow as a phone. Those of the whole browser have at least 500 pixels."""
MISSING = "skipped: needs Chromium (apt-get install chromium-headless-shell)"

LIGHT, DARK = "--blink-settings=preferredColorScheme=1", "--blink-settings=preferredColorScheme=0"
"""Options that set what the media query prefers-color-scheme says."""


def dumped(url: str, home: Path, *options: str) -> str:
    """Return the document that Chromium has after it opened `url` and ran the scripts for five seconds of its time."""
    return _run(home, *options, "--virtual-time-budget=5000", "--dump-dom", url)


def screenshot(url: str, picture: Path, home: Path, size: tuple[int, int], *options: str) -> None:
    """Write a picture of the page at `url`, in a window of `size` pixels."""
    window = f"--window-size={size[0]},{size[1]}"
    _run(home, *options, window, "--hide-scrollbars", f"--screenshot={picture}", url)


def _run(home: Path, *arguments: str) -> str:
    assert CHROMIUM is not None
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={home}"]
    env = {"PATH": os.environ["PATH"], "HOME": str(home)}
    command = [CHROMIUM, *options, *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=True).stdout
