"""`migrate report` with what a real sidecar writes: its log, its status and its metrics."""

from __future__ import annotations

import json
from pathlib import Path

from ..migrate.samples import AK_VARIABLES, KEY, SECRET, SIDECAR, deployment, listed, secret
from .cloud import ENV, config
from .processes import EmulatedCloud, environment, run, serve
from .wire import fetch

POD = {"POD_NAMESPACE": "shop", "POD_NAME": "orders-7d9f4-x2x8p"}


def test_the_way_of_one_workload(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A key is in use, then to be removed, then to be waited for, then safe: by files and what the sidecar wrote."""
    ak = secret("ak", id=KEY, secret=SECRET)
    files = {
        "before": listed(deployment("orders", *AK_VARIABLES), ak),
        "both": listed(deployment("orders", *AK_VARIABLES, more=[SIDECAR]), ak),
        "after": listed(deployment("orders", more=[SIDECAR])),
    }
    for name, text in files.items():
        (tmp_path / name).write_bytes(text)
    with serve(config(cloud), home=tmp_path, env=ENV | POD) as sidecar:
        sidecar.process.event("credentials_issued")
        fetch(sidecar.urls["credentials"], "/credentials")
        sidecar.process.event("credentials_served")
        (tmp_path / "status").write_bytes(fetch(sidecar.urls["ops"], "/status.json").body)
        (tmp_path / "metrics").write_bytes(fetch(sidecar.urls["ops"], "/metrics").body)
        (tmp_path / "log").write_text("\n".join(sidecar.process.stderr.lines()))

    def verdict(*arguments: str) -> str:
        done = run("migrate", "report", "--json", *arguments, env=environment(tmp_path))
        assert (done.code, done.err) == (0, "")
        assert not [word for word in (KEY, SECRET) if word in done.out]
        (tmp_path / "last").write_text(done.out)
        report = json.loads(done.out)
        assert report["unassigned"] == []
        return str(report["keys"][0]["verdict"])

    paths = {path.name: str(path) for path in tmp_path.iterdir()}
    assert verdict(paths["before"]) == "in use"
    (tmp_path / "report").write_text((tmp_path / "last").read_text())
    earlier = ("--before", str(tmp_path / "report"))
    for source in ("log", "status"):
        assert verdict(paths["both"], paths[source]) == "remove", source
    assert verdict(paths["both"], f"shop/deployment/orders={paths['metrics']}") == "remove"
    assert verdict(paths["after"], paths["log"], *earlier) == "wait"
    assert verdict(paths["after"], paths["log"], *earlier, "--days", "0") == "safe"
