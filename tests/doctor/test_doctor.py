"""`idaas-sidecar doctor`: output, exit codes, skipped steps, and no secret anywhere."""

from __future__ import annotations

import json
import socketserver
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import ConfigError, Unreachable
from app.doctor import output, running
from app.doctor.ram import RamAccess
from app.emulator.world.world import CLIENT_SECRET, PROVIDER_ARN

from ..conftest import configuration
from ..http_server import serving
from ..wrong_types import prints
from .network_cases import failover, unconnected
from .scenario import URL, Scenario, states


async def test_steps_have_the_order_of_the_path(scenario: Scenario) -> None:
    """The steps follow the path of a credential, and the token is shown as header and claims."""
    steps = await scenario.steps()

    assert [step.name for step in steps] == [
        *("configuration", "client environment", "endpoint", "endpoint", "clock", "token", "account", "OIDC provider"),
        *("trust policy", "exchange", "session", "caller", "sidecar"),
    ]
    token = next(step for step in steps if step.name == "token")
    assert token.facts["header"].keys() == {"alg", "kid", "typ"}
    assert token.facts["claims"]["sub"] == "app_demo"
    exchange = next(step for step in steps if step.name == "exchange")
    assert exchange.facts["OIDCTokenInfo"]["Subject"] == "app_demo"
    assert exchange.facts["OIDCTokenInfo"]["VerificationInfo"] == "Success"
    values = {each["key"]: each["source"] for each in steps[0].facts["values"]}
    assert values["profiles.default.exchange.roleArn"].endswith("config.json")


async def test_output_has_no_secret(scenario: Scenario) -> None:
    """Neither output has the client secret, the token, the session's secret or its token."""
    steps = await scenario.steps()

    text = "\n".join(line for step in steps for line in output.lines(step)) + json.dumps(output.document(steps))
    calls = list(scenario.workload.emulator.journal)
    sent = [value for call in calls for key, value in call.fields.items() if key in ("OIDCToken", "client_secret")]
    assert CLIENT_SECRET not in text
    assert "eyJ" not in text
    assert all(value not in text for value in sent)
    assert repr(steps).count("SecurityToken") == 0


async def test_broken_token_endpoint_skips_what_needs_a_token(scenario: Scenario) -> None:
    """A token endpoint that cannot be reached skips the token and all after it; the other steps run."""
    scenario.put("exchange.endpoints", ["http://127.0.0.2:7080"])
    scenario.cloud.failures["127.0.0.1:7080"] = unconnected(111)

    found = states(await scenario.steps())

    assert found["token"] == "skipped"
    assert found["exchange"] == "skipped"
    assert (found["endpoint"], found["caller"], found["sidecar"]) == ("ok", "ok", "ok")


async def test_unreachable_exchange_still_examines_the_token(scenario: Scenario) -> None:
    """Where only STS cannot be reached, the token and the trust policy are examined."""
    scenario.put("exchange.endpoints", ["http://127.0.0.2:7080"])
    scenario.cloud.failures["127.0.0.2:7080"] = unconnected(111)

    found = states(await scenario.steps())

    assert (found["token"], found["trust policy"], found["exchange"]) == ("ok", "ok", "skipped")


async def test_broken_configuration_still_examines_the_network(scenario: Scenario) -> None:
    """A missing secret skips the token; the servers, the caller and the running sidecar are examined."""
    scenario.environ.clear()

    found = states(await scenario.steps())

    # The running sidecar has the secret.
    assert (found["configuration"], found["token"]) == ("warning", "skipped")
    assert (found["endpoint"], found["caller"], found["sidecar"]) == ("ok", "ok", "ok")


async def test_mistake_of_one_profile_leaves_the_others(scenario: Scenario) -> None:
    """A secret that one profile lacks does not skip another profile."""
    scenario.config = configuration("default", "p2")
    scenario.config["profiles"]["p2"]["identity"]["authnConfiguration"]["clientSecretEnvVarName"] = "OTHER"

    steps = await scenario.steps()

    assert [(step.profile, step.state) for step in steps if step.name == "token"] == [
        ("default", "ok"),
        ("p2", "skipped"),
    ]


async def test_wrong_values_of_one_profile_leave_the_others(scenario: Scenario) -> None:
    """A profile whose values are wrong is reported, and its steps are skipped; the others are walked to the end."""
    scenario.config = configuration("default", "p2", "p3")
    scenario.config["profiles"]["p2"]["exchange"]["roleArn"] = "arn"
    scenario.config["profiles"]["p3"]["identity"] = {"type": "nothing"}

    steps = await scenario.steps()

    (first,) = [step for step in steps if step.name == "configuration"]
    assert [finding.code for finding in first.findings] == ["IDS-105", "IDS-110"]
    assert first.summary.endswith("; profiles: default; with mistakes: p2, p3")
    for name in ("endpoint", "token", "exchange", "caller"):
        found = {(step.profile, step.state) for step in steps if step.name == name}
        assert found == {("default", "ok"), ("p2", "skipped"), ("p3", "skipped")}, name
    (session,) = [step for step in steps if step.name == "session"]
    assert (session.profile, session.state) == ("default", "ok")


@pytest.mark.parametrize(
    ("section", "caller"),
    [
        ({"server": {"bind": "7117"}}, "skipped"),
        ({"access": {"hopLimit": "x"}}, "skipped"),
        ({"logging": {"level": "warn"}}, "ok"),
        ({"telemetry": {"tracesEndpoint": "x"}}, "ok"),
        ({"refresh": {"maxRetrySeconds": 3600}}, "ok"),
        ({"cache": {"directory": "c", "keyEnvVarName": "X"}}, "ok"),
    ],
)
async def test_wrong_section_of_the_sidecar_leaves_the_cloud(
    section: dict[str, Any], caller: str, scenario: Scenario
) -> None:
    """A mistake in a section that the cloud does not depend on is reported, and credentials are requested."""
    scenario.config |= section

    found = states(await scenario.steps())

    assert (found["configuration"], found["token"], found["exchange"]) == ("broken", "ok", "ok")
    assert found["caller"] == caller


@pytest.mark.parametrize("section", [{"proxy": "p:1"}, {"tls": {"caFile": 3}}, {"configVersion": "x"}])
async def test_wrong_section_of_all_profiles_skips_the_cloud(section: dict[str, Any], scenario: Scenario) -> None:
    """A mistake in what every profile needs skips all requests."""
    scenario.config |= section

    assert states(await scenario.steps())["token"] == "skipped"


async def test_values_are_facts_beside_mistakes(scenario: Scenario) -> None:
    """With a mistake, the step has each value that can be read with its source, and the mistake at its key."""
    scenario.config["profiles"]["default"]["exchange"]["roleArn"] = "arn"

    first = (await scenario.steps())[0]

    rows = {row["key"]: row for row in first.facts["values"]}
    place = "profiles.default.exchange"
    assert rows[f"{place}.oidcProviderArn"]["value"] == PROVIDER_ARN
    assert rows[f"{place}.roleArn"]["value"] is None
    assert [each["code"] for each in rows[f"{place}.roleArn"]["mistakes"]] == ["IDS-110"]


async def test_ram_profile_with_mistakes_is_named(scenario: Scenario) -> None:
    """A profile that is to read RAM and has mistakes is named; the other profile is walked."""
    scenario.config = configuration("default", "reader")
    scenario.config["profiles"]["reader"]["exchange"]["roleArn"] = "arn"
    scenario.ram = RamAccess(("A", "B", ""), "reader", None)

    steps = await scenario.steps()

    messages = [finding.message for step in steps for finding in step.findings]
    assert any("--ram-profile: the profile 'reader' has mistakes" in message for message in messages)
    assert ("default", "ok") in {(step.profile, step.state) for step in steps if step.name == "exchange"}


@pytest.mark.parametrize("subjects", [["app_dmeo"], ["app_d"]])
async def test_policy_is_compared_with_the_client_id_without_a_token(subjects: list[str], scenario: Scenario) -> None:
    """Without a token, a trust policy whose oidc:sub is not the client id of the IDaaS application is a warning."""
    scenario.environ.pop("IDAAS_SECRET")
    policy = json.loads(scenario._trust_policy())
    scenario.trust_policy = json.dumps(policy)
    assert states(await scenario.steps())["trust policy"] == "skipped"

    policy["Statement"][0]["Condition"]["StringEquals"]["oidc:sub"] = subjects
    scenario.trust_policy = json.dumps(policy)

    (step,) = [step for step in await scenario.steps() if step.name == "trust policy"]
    assert [(each.state, each.code) for each in step.findings] == [("warning", "IDS-431")]
    assert "by the configuration, the token's sub is" in step.findings[0].message


async def test_policy_is_not_compared_with_the_client_id_of_an_exchanged_token(scenario: Scenario) -> None:
    """The subject of a token exchange is another one than the client id: without a token, it is not known."""
    scenario.environ.pop("IDAAS_SECRET")
    policy = json.loads(scenario._trust_policy())
    policy["Statement"][0]["Condition"]["StringEquals"]["oidc:sub"] = ["person"]
    scenario.trust_policy = json.dumps(policy)
    scenario.put("identity.tokenExchange", {"subject": {"type": "tokenFile", "tokenEnvVarName": "IDAAS_SECRET"}})

    assert states(await scenario.steps())["trust policy"] == "skipped"


async def test_sidecar_that_does_not_run_is_no_finding(scenario: Scenario) -> None:
    """Without a running sidecar its step is skipped."""
    scenario.state = {}

    assert states(await scenario.steps())["sidecar"] == "skipped"


@pytest.mark.parametrize(
    ("variables", "state", "found"),
    [
        ({}, "skipped", []),
        ({"ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAI"}, "warning", ["IDS-510"]),
        ({"ALIBABA_CLOUD_OIDC_TOKEN_FILE": "/token"}, "skipped", []),
        ({"ALIBABA_CLOUD_CREDENTIALS_URI": URL}, "warning", ["IDS-512"]),
        ({"ALIBABA_CLOUD_CREDENTIALS_URI": URL, "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"}, "ok", []),
    ],
)
async def test_own_environment(variables: dict[str, str], state: str, found: list[str], scenario: Scenario) -> None:
    """Without an application's variables, this process's own are examined where an application would use them."""
    scenario.own_environment = True
    scenario.environ.update(variables)

    step = next(step for step in await scenario.steps() if step.name == "client environment")

    assert (step.state, [finding.code for finding in step.findings]) == (state, found)


async def test_broken_endpoint_is_a_warning_beside_a_working_one(scenario: Scenario) -> None:
    """Of two STS endpoints, a broken one is a warning, and the exchange runs."""
    failover(scenario)
    steps = await scenario.steps()

    shown = [(step.state, [each.state for each in step.findings]) for step in steps if step.name == "endpoint"]
    assert shown == [("ok", []), ("warning", ["warning"]), ("ok", [])]
    assert states(steps)["exchange"] == "ok"


async def test_session_names_the_clients_that_need_longer_ones(scenario: Scenario) -> None:
    """The facts of the session have each client that fetches on every call, and the length that it needs."""
    session = next(step for step in await scenario.steps() if step.name == "session")

    needs = {each["client"]: each["needs_sessions_of"] for each in session.facts["fetch_on_every_call"]}
    assert needs["OSS Java EcsRamRoleCredentialsProvider"] == 7200
    assert session.findings == []


async def test_socket_that_refuses_without_a_listener(scenario: Scenario) -> None:
    """Without an operations listener, a socket that refuses is a finding, and one where nobody listens is none."""
    scenario.put("/server", {"adminSocket": "/run/admin.sock", "ops": None})
    scenario.admin = ConfigError("/run/admin.sock: permission denied", error_code="IDS-517")
    assert states(await scenario.steps())["sidecar"] == "warning"

    scenario.admin = Unreachable("/run/admin.sock: connection refused", error_code="IDS-503")
    assert states(await scenario.steps())["sidecar"] == "skipped"


async def test_another_program_at_the_listener_is_broken(scenario: Scenario) -> None:
    """Another program at the address of the operations listener keeps the sidecar from starting: IDS-502."""
    scenario.foreign = True
    scenario.sidecars.remove(7118)
    (step,) = [each for each in await scenario.steps() if each.name == "sidecar"]

    assert (step.state, [each.code for each in step.findings]) == ("broken", ["IDS-502"])


@pytest.mark.parametrize(
    ("key", "port"),
    [("server.bind", 7117), ("server.metadata", 8080), ("server.ops", 7118)],
    ids=lambda each: str(each),
)
@pytest.mark.parametrize("running", [True, False], ids=["beside a sidecar", "without a sidecar"])
async def test_another_program_at_any_address_is_broken(key: str, port: int, running: bool, scenario: Scenario) -> None:
    """Each address of the configuration at which another program listens is a finding with its key and a cure."""
    scenario.put("/server", {"metadata": "127.0.0.1:8080"})
    others = {7117: "credentials", 8080: "metadata", 7118: "ops"}
    scenario.taken |= set(others)
    scenario.sidecars = set(others) - {port}
    if running:
        listening = {name: f"http://127.0.0.1:{number}" for number, name in others.items() if number != port}
        scenario.running["listeners"] = listening | {"admin": "@admin", "other": "http://[x"}
    else:
        scenario.state = {}
    (step,) = [each for each in await scenario.steps() if each.name == "sidecar"]

    (found,) = step.findings
    assert (step.state, found.code) == ("broken", "IDS-502")
    assert found.message == f"{key}: another program listens on 127.0.0.1:{port}"
    assert found.cure.endswith(f"or write another address into {key}")


async def test_wildcard_listener_of_the_sidecar_is_its_own(scenario: Scenario) -> None:
    """A running sidecar that listens on every address holds the addresses of the configuration, too."""
    scenario.running["listeners"] = {"credentials": "http://0.0.0.0:7117", "ops": "http://[::]:7118"}
    scenario.sidecars = set()

    assert states(await scenario.steps())["sidecar"] == "ok"


async def test_another_program_at_the_admin_socket_is_broken(scenario: Scenario) -> None:
    """What holds the path of the admin socket keeps the sidecar from starting: IDS-502 with the key."""
    scenario.put("/server", {"adminSocket": "/run/admin.sock"})
    scenario.admin = Unreachable("/run/admin.sock: exists, and is no socket", error_code="IDS-502")
    (step,) = [each for each in await scenario.steps() if each.name == "sidecar"]

    assert (step.state, [each.code for each in step.findings]) == ("broken", ["IDS-502"])
    assert "another address into server.adminSocket" in step.findings[0].cure


def test_admin_socket_that_is_no_sidecar(tmp_path: Path) -> None:
    """A file at the path, and a program that answers otherwise than a sidecar, have the code of a taken address."""
    plain = tmp_path / "file.sock"
    plain.write_text("")
    with pytest.raises(Unreachable, match="is no socket") as caught:
        running.admin_status(str(plain))
    assert caught.value.error_code == "IDS-502"

    path = str(tmp_path / "other.sock")
    with serving(socketserver.UnixStreamServer(path, Foreign)), pytest.raises(Unreachable) as caught:
        running.admin_status(path)
    assert caught.value.error_code == "IDS-502"


def test_another_program_is_no_sidecar() -> None:
    """A program that answers otherwise than a sidecar has a code of its own."""
    with (
        serving(socketserver.TCPServer(("127.0.0.1", 0), Foreign)) as server,
        pytest.raises(Unreachable, match="another program listens there") as caught,
    ):
        running.status(*server.server_address)  # type: ignore[misc]  # an IPv4 address

    assert caught.value.error_code == "IDS-502"


class Foreign(socketserver.StreamRequestHandler):
    """Answers each request with a page."""

    def handle(self) -> None:
        """Answer."""
        self.rfile.readline()
        self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n<html>")


def test_no_sidecar_is_unreachable() -> None:
    """Where nothing listens, the error has the code of a sidecar that does not run."""
    with pytest.raises(Unreachable) as caught:
        running.status("127.0.0.1", 1)

    assert caught.value.error_code == "IDS-503"


@pytest.mark.parametrize(
    "url",
    [
        *("http://[::1", "http://h:99999/", "http://h:x/", "http://\x1b[31m/", "http://[fe80::1%25\x1b]/", "//", "h"),
        *("http:///credentials", "http://\u2100/", "http://a..b/", f"http://{'a' * 70}/", "http://a b/", "a\0b"),
    ],
)
async def test_texts_that_are_no_url(url: str, scenario: Scenario) -> None:
    """Whatever text stands in the application's variable, it is a finding, and all of the output prints."""
    scenario.client["ALIBABA_CLOUD_CREDENTIALS_URI"] = url
    steps = {step.name: step for step in await scenario.steps()}
    codes = {each.code for name in ("client environment", "caller") for each in steps[name].findings}

    assert codes & {"IDS-508", "IDS-514", "IDS-524", "IDS-525"}
    assert prints("\n".join(line for step in steps.values() for line in output.lines(step)))


@pytest.mark.parametrize("host", ["a..b", "a" * 70])
def test_names_that_are_none(host: str) -> None:
    """No program listens at a name that cannot exist."""
    assert running.connects(host, 80) is False


@pytest.mark.parametrize("path", ["/credentials", "/credentials/p2"])
async def test_a_url_names_one_of_two_profiles(path: str, scenario: Scenario) -> None:
    """A caller with the URL of one profile is examined for this profile alone, and its path is right."""
    scenario.config = configuration("default", "p2")
    other = "default" if path.endswith("p2") else "p2"
    scenario.config["profiles"][other]["callers"] = {"uids": [2000]}
    scenario.running["profiles"] = [{"profile": name, "state": "fresh"} for name in ("default", "p2")]
    scenario.client["ALIBABA_CLOUD_CREDENTIALS_URI"] = URL.removesuffix("/credentials") + path

    steps = await scenario.steps()

    assert [finding for step in steps for finding in step.findings] == []
    assert {step.profile: step.state for step in steps if step.name == "caller"}[other] == "skipped"


async def test_variable_of_the_running_sidecar_alone_is_a_warning(scenario: Scenario) -> None:
    """A secret that only the running sidecar's terminal has is missing here alone; without a sidecar, it is broken."""
    scenario.environ.pop("IDAAS_SECRET")
    (found,) = next(step for step in await scenario.steps() if step.name == "configuration").findings
    cure = "set the variable to the secret in this terminal, too: the running sidecar has it"
    assert (found.state, found.code, found.cure) == ("warning", "IDS-108", cure)

    scenario.state["state"] = "denied"
    (found,) = next(step for step in await scenario.steps() if step.name == "configuration").findings
    assert (found.state, found.cure) == ("broken", "set the variable to the secret, or name another")


@pytest.mark.parametrize(("fresh", "state"), [("a.b", "warning"), ("a", "broken")])
async def test_variable_of_the_running_sidecar_belongs_to_one_profile(
    fresh: str, state: str, scenario: Scenario
) -> None:
    """The state of a profile says nothing of the variable of another one, whatever dots their names have."""
    scenario.config = configuration("a", "a.b")
    scenario.environ.pop("IDAAS_SECRET")
    scenario.environ["OF_A"] = CLIENT_SECRET
    scenario.config["profiles"]["a"]["identity"]["authnConfiguration"]["clientSecretEnvVarName"] = "OF_A"
    scenario.running["profiles"] = [{"profile": fresh, "state": "fresh"}]
    (found,) = next(step for step in await scenario.steps() if step.name == "configuration").findings

    assert found.message.partition("config.json: ")[2].startswith('profiles."a.b".identity.')
    assert (found.state, found.code) == (state, "IDS-108")


async def test_other_fault_of_a_variable_is_no_warning(scenario: Scenario) -> None:
    """A variable of this terminal that is set and cannot be used is broken, also beside a sidecar that works."""
    scenario.environ["IDAAS_SECRET"] = "\udcff"
    (found,) = next(step for step in await scenario.steps() if step.name == "configuration").findings

    assert (found.state, found.code) == ("broken", "IDS-108")


async def test_running_sidecar_names_the_missing_file(scenario: Scenario) -> None:
    """Without a configuration, the cure names the running sidecar's file."""
    scenario.path, scenario.running = None, {"config": "/etc/team/config.json"}
    steps = await scenario.steps()

    assert steps[0].findings[0].cure == "name the running sidecar's file: --config /etc/team/config.json"
    assert [(each.code, each.follows) for each in steps[-1].findings] == [("IDS-506", ("IDS-101",))]
