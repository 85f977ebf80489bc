"""deploy/monitoring: a real Prometheus scrapes real sidecars, and answers every panel and every rule."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from app.emulator.world.world import CLIENT_SECRET, OIDC_CLIENT_SECRET

from ..e2e.cloud import ENV, config, replace_config
from ..e2e.processes import EmulatedCloud, RunningSidecar, emulator, serve, wait_until
from ..e2e.test_identities import configuration as profile_of_each_identity
from ..e2e.wire import admin_request, fetch
from .conftest import tool
from .monitoring import APT, DASHBOARDS, POD_MONITOR, RULES, expressions, rules_file
from .prometheus import Prometheus, Sample, Target, configuration, prometheus

INTERVAL = "30s"
PANELS = {
    f"{name}: {title}": text for name in DASHBOARDS for title, text in expressions(DASHBOARDS[name], INTERVAL).items()
}
ENDPOINT = POD_MONITOR["spec"]["podMetricsEndpoints"][0]

WITHOUT_SAMPLE = {"pod: Settings to look at B"}
"""No profile of this test has TLS verification switched off."""

UNKNOWN_ROLE = "acs:ram::1234567890123456:role/unknown"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloud]:
    """The emulated cloud."""
    with emulator(home=tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="module")
def healthy(cloud: EmulatedCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSidecar]:
    """A sidecar with every kind of identity. Clients use it, one request was refused, and one change is pending."""
    home = tmp_path_factory.mktemp("healthy")
    settings = profile_of_each_identity(cloud, home)
    environ = {"IDAAS_SECRET": CLIENT_SECRET, "OIDC_SECRET": OIDC_CLIENT_SECRET}
    with serve(settings, home=home, env=environ) as sidecar:
        wait_until(lambda: fetch(sidecar.urls["ops"], "/readyz").status == 200)
        settings["profiles"]["file"]["exchange"]["roleArn"] = UNKNOWN_ROLE
        replace_config(sidecar, settings)
        sidecar.process.event("config_reloaded")
        yield sidecar


@pytest.fixture(scope="module")
def refused(cloud: EmulatedCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSidecar]:
    """A sidecar whose role does not exist, with an admin socket."""
    home = tmp_path_factory.mktemp("refused")
    settings = config(cloud, startup={"gate": "listening"})
    settings["profiles"]["default"]["exchange"]["roleArn"] = UNKNOWN_ROLE
    settings["server"]["adminSocket"] = str(home / "admin.sock")
    with serve(settings, home=home, env=ENV) as sidecar:
        yield sidecar


@pytest.fixture(scope="module")
def server(
    healthy: RunningSidecar, refused: RunningSidecar, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """A Prometheus that scrapes both sidecars, relabels as the PodMonitor does, and evaluates the rules."""
    targets = [
        Target(healthy.urls["ops"], namespace="shop", pod="cart-0"),
        Target(refused.urls["ops"], namespace="shop", pod="cart-1"),
    ]
    settings = configuration(targets, ENDPOINT["metricRelabelings"])
    with prometheus(tool("prometheus", APT), tmp_path_factory.mktemp("prometheus"), settings, rules_file()) as running:
        wait_until(lambda: len(running.query("idaas_sidecar_build_info")) == 2)
        yield running


@pytest.fixture(scope="module")
def traffic(healthy: RunningSidecar, refused: RunningSidecar, server: Prometheus) -> None:
    """Requests and refreshes after the first scrape: Prometheus counts only what it sees increase."""
    for _ in range(3):
        assert fetch(healthy.urls["credentials"], "/credentials/secret").status == 200
        assert fetch(healthy.urls["credentials"], "/credentials/secret", host="example.com").status == 403
        assert admin_request(str(refused.config_path.with_name("admin.sock")), "POST", "/refresh") == 200
        scraped_again(server)


def scraped_again(server: Prometheus) -> None:
    """Wait until both sidecars were scraped after now. A scrape that timed out on a busy machine does not count."""
    since = time.time()
    wait_until(lambda: len(server.query(f"timestamp(idaas_sidecar_build_info) > {since}")) == 2)


@pytest.mark.usefixtures("traffic")
@pytest.mark.parametrize("name", PANELS)
def test_panel_has_an_answer(name: str, server: Prometheus) -> None:
    """Prometheus answers the expression of each panel with at least one sample."""
    if name in WITHOUT_SAMPLE:
        assert server.query(PANELS[name]) == []
    else:
        wait_until(lambda: server.query(PANELS[name]) != [])


@pytest.mark.usefixtures("traffic")
def test_rules_are_evaluated(server: Prometheus) -> None:
    """Prometheus evaluates every rule without an error."""
    wait_until(lambda: all(rule["health"] != "unknown" for rule in server.rules()))

    assert [(rule["health"], rule.get("lastError")) for rule in server.rules()] == [("ok", None)] * len(RULES)


@pytest.mark.usefixtures("traffic")
def test_refused_sidecar_raises_alerts(server: Prometheus) -> None:
    """The sidecar without a role raises the alerts about it, with stage and outcome; the healthy one does not."""
    wait_until(lambda: {"IdaasSidecarNoCredentials", "IdaasSidecarRefreshFailing"} <= set(raised(server)))
    (failing,) = raised(server)["IdaasSidecarRefreshFailing"]
    (empty,) = raised(server)["IdaasSidecarNoCredentials"]

    assert (failing["pod"], failing["profile"], failing["stage"], failing["outcome"]) == (
        "cart-1",
        "default",
        "exchange",
        "refused",
    )
    assert (empty["pod"], empty["profile"]) == ("cart-1", "default")


def raised(server: Prometheus) -> dict[str, list[Sample]]:
    """Return the labels of the pending and firing alerts, by the name of the alert."""
    alerts = [alert for rule in server.rules() for alert in rule.get("alerts", [])]
    return {
        name: [alert["labels"] for alert in alerts if alert["labels"]["alertname"] == name]
        for name in {alert["labels"]["alertname"] for alert in alerts}
    }
