"""The application on a plain ASGI server: `uvicorn --factory app.main:create_app`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from .cloud import ENV, config
from .processes import ROOT, EmulatedCloud, environment, wait_until
from .wire import fetch


def test_uvicorn_serves_a_working_sidecar(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """One port answers credentials, probes, metrics and status; a caller rule and the admin routes refuse."""
    settings = config(cloud)
    settings["profiles"]["p2"] = settings["profiles"]["default"] | {"callers": {"uids": [0, 1000]}}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(settings))
    command = (sys.executable, "-m", "uvicorn", "--factory", "app.main:create_app", "--port", "0", "--no-access-log")
    environ = environment(tmp_path, IDAAS_SIDECAR_CONFIG=str(path), **ENV)
    with subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        lines = []
        for line in server.stderr:
            lines.append(line)
            if "running on" in line:
                break
        base = lines[-1].split("running on ")[1].split(" ")[0].replace("\x1b[1m", "").replace("\x1b[0m", "")
        wait_until(lambda: fetch(base, "/readyz").status == 200)
        codes = {
            target: fetch(base, target).status for target in ("/livez", "/credentials", "/metrics", "/status.json")
        }
        restricted = json.loads(fetch(base, "/credentials/p2").body)
        order = json.loads(fetch(base, "/refresh", method="POST").body)
        server.terminate()

    assert codes == {"/livez": 200, "/credentials": 200, "/metrics": 200, "/status.json": 200}
    assert restricted["Code"] == "AccessDenied.CallerUnknown"
    assert order["Code"] == "AccessDenied.Admin"
    assert any("development mode" in line for line in lines)
