"""
The pictures docs/status-*.png: the status page of a real sidecar in Chromium, light, dark and on a phone.

The sidecar has three profiles: one that works, one that RAM refuses, and one whose cloud has become unreachable.

    .venv/bin/python -m bench.status --out docs
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.e2e.chromium import CHROMIUM, DARK, LIGHT, MISSING, screenshot
from tests.e2e.cloud import ENV, add_fault, config
from tests.e2e.processes import EmulatedCloud, emulator, environment, run, serve
from tests.e2e.wire import fetch

PICTURES = {
    "status-light.png": (LIGHT, (1000, 1750)),
    "status-dark.png": (DARK, (1000, 1750)),
    "status-phone.png": (LIGHT, (390, 1900)),
}
"""Name of each picture, the preferred colours, and the size of the window."""

LIFE, WAIT = 120, 50
"""Seconds of the session whose cloud fails, and seconds until the pictures are taken."""


def main() -> int:
    """Run the sidecar and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="directory of the pictures")
    arguments = parser.parse_args()
    if CHROMIUM is None:
        print(MISSING, file=sys.stderr)
        return 1
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cloud, failing = (stack.enter_context(emulator(home=home)) for _ in range(2))
        add_fault(failing, kind="sts", times=1, expiration_offset=LIFE)
        pod = {"POD_NAMESPACE": "shop", "POD_NAME": "orders-7d9f4-x2x8p"}
        sidecar = stack.enter_context(serve(_settings(cloud, failing, home), home=home, env=ENV | pod))
        for profile in ("orders", "billing"):
            sidecar.process.event("credentials_issued", profile=profile)
        add_fault(failing, kind="*", times=None, status=503)
        for profile in ("orders", "billing", "reports"):
            fetch(sidecar.urls["credentials"], f"/credentials/{profile}")
        fetch(sidecar.urls["credentials"], "/credentials/orders", host="evil.example")
        time.sleep(WAIT)
        print(run("status", "--config", str(sidecar.config_path), env=environment(home)).out)
        for name, (scheme, size) in PICTURES.items():
            url = f"{sidecar.urls['ops']}/status"
            screenshot(url, arguments.out / name, home / "chromium", size, scheme)
    return 0


def _settings(cloud: EmulatedCloud, failing: EmulatedCloud, home: Path) -> dict[str, Any]:
    """Return the configuration: `billing` has another cloud, and the role of `reports` does not exist."""
    found = config(cloud, startup={"gate": "listening"})
    orders, billing = found["profiles"].pop("default"), config(failing)["profiles"]["default"]
    reports = json.loads(json.dumps(orders)) | {"required": False}
    reports["exchange"]["roleArn"] = "acs:ram::1234567890123456:role/reports"
    found["profiles"] = {"orders": orders, "billing": billing, "reports": reports}
    found["server"]["adminSocket"] = str(home / "admin.sock")
    return found


if __name__ == "__main__":
    sys.exit(main())
