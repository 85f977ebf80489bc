"""Misconfigurations of the running sidecar, of callers and of applications."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from app.core.errors import ConfigError, SidecarError, Unreachable
from app.system.local_http import IS_IT_RUNNING

from ..conftest import configuration
from .scenario import URL, Case, Scenario

KEY = "LTAI0000000000000000demo"


def client(name: str, code: str, says: str, variable: str, wrong: str | None, right: str | None = None) -> Case:
    """Return a case of one variable of the application."""

    def put(value: str | None) -> Any:
        def change(scenario: Scenario) -> None:
            scenario.client.pop(variable, None)
            if value is not None:
                scenario.client[variable] = value

        return change

    return Case(name, code, says, put(wrong), put(right))


def client_file(name: str, switch: str, value: str, before: str = "") -> Case:
    """
    Return a case of a file in the application's home directory, which a variable switches off.

    `before`: what the variable has at first, HOME for the home directory.
    """

    def breaks(scenario: Scenario) -> None:
        if before:
            scenario.client[switch] = before.replace("HOME", str(scenario.directory))
        path = scenario.directory / name
        path.parent.mkdir()
        path.write_text("{}")
        scenario.client["HOME"] = str(scenario.directory)

    says = f"set {switch}={value}"
    return Case(
        f"{name} {before}".strip(), "IDS-515", says, breaks, lambda scenario: scenario.client.update({switch: value})
    )


def other_profile_file(scenario: Scenario) -> None:
    """Name a file of aliyun-cli's profiles in a variable."""
    path = scenario.directory / "team.json"
    path.write_text("{}")
    scenario.client["ALIBABA_CLOUD_CONFIG_FILE"] = str(path)


def running(name: str, code: str, says: str, wrong: dict[str, Any]) -> Case:
    """Return a case of the running sidecar's status."""
    return Case(
        name,
        code,
        says,
        lambda scenario: scenario.running.update(wrong),
        lambda scenario: scenario.running.clear(),
    )


def state(name: str, code: str, says: str, wrong: str) -> Case:
    """Return a case of a profile's state."""
    return Case(
        name,
        code,
        says,
        lambda scenario: scenario.state.update(state=wrong, last_error="the cloud said no"),
        lambda scenario: scenario.state.update(state="fresh", last_error=None),
    )


def host(scenario: Scenario) -> None:
    """Let the application use a name that is not allowed."""
    scenario.client["ALIBABA_CLOUD_CREDENTIALS_URI"] = URL.replace("127.0.0.1", "sidecar.local")


def allow_host(scenario: Scenario) -> None:
    """Add the name to the allowed hosts."""
    scenario.put("/access", {"allowedHosts": ["127.0.0.1", "sidecar.local"]})


def name_alone(scenario: Scenario) -> None:
    """Allow a name, but not the listener's address, which the application's URI has."""
    scenario.put("/access", {"allowedHosts": ["sidecar.local"]})


TOKEN = "0123456789abcdef"


def path_token(scenario: Scenario) -> None:
    """Require a path token."""
    scenario.environ["PATH_TOKEN"] = TOKEN
    scenario.put("/access", {"pathToken": {"envVarName": "PATH_TOKEN"}})


def url_with_token(scenario: Scenario) -> None:
    """Let the application use the path token."""
    scenario.client["ALIBABA_CLOUD_CREDENTIALS_URI"] = URL.replace("/credentials", f"/{TOKEN}/credentials")


def short_path_token(scenario: Scenario) -> None:
    """Require a path token that is too short."""
    path_token(scenario)
    url_with_token(scenario)
    scenario.environ["PATH_TOKEN"] = "short"


def long_path_token(scenario: Scenario) -> None:
    """Set a path token that is long enough."""
    scenario.environ["PATH_TOKEN"] = TOKEN


CREDENTIALS_URI = "ALIBABA_CLOUD_CREDENTIALS_URI"


def socket(name: str, code: str, says: str, error: SidecarError) -> Case:
    """Return a case of the admin socket, which fails although the operations listener answers."""

    def breaks(scenario: Scenario) -> None:
        scenario.put("/server", {"adminSocket": "/run/idaas-sidecar/admin.sock"})
        scenario.admin = error

    return Case(name, code, says, breaks, lambda scenario: setattr(scenario, "admin", None))


def denied_over_socket(scenario: Scenario) -> None:
    """Let the admin socket report a refusal with its entry of the errors index."""
    scenario.put("/server", {"adminSocket": "/run/idaas-sidecar/admin.sock", "ops": None})
    failure = {"error_code": "IDS-412", "message": "HTTP 404", "cloud_message": "no role", "cure": "correct roleArn"}
    shown = 'HTTP 404: correct roleArn; it says "no role"'
    scenario.state |= {"state": "denied", "last_error": shown, "failure": failure}


def denied_without_socket(scenario: Scenario) -> None:
    """Let the operations listener report the same; the command `refresh` needs an admin socket."""
    denied_over_socket(scenario)
    scenario.put("/server", {})


def other_path_token(scenario: Scenario) -> None:
    """Let the application use another path token than the sidecar's."""
    path_token(scenario)
    scenario.client[CREDENTIALS_URI] = URL.replace("/credentials", "/fedcba9876543210/credentials")


def two_profiles(scenario: Scenario, uids: tuple[int, ...] = (2000,)) -> None:
    """Add a second profile, which only these users may have: by default only another one than the caller."""
    scenario.config = configuration("default", "p2")
    scenario.config["profiles"]["p2"]["callers"] = {"uids": list(uids)}
    scenario.running["profiles"] = [{"profile": name, "state": "fresh"} for name in ("default", "p2")]


CASES = [
    socket(
        "socket of another user",
        "IDS-517",
        "run the command as the sidecar's user",
        ConfigError("/run/admin.sock: permission denied for uid 1000", error_code="IDS-517"),
    ),
    socket(
        "socket where nobody listens",
        "IDS-503",
        "restart the sidecar with this configuration",
        Unreachable("/run/admin.sock: no such file or directory", cure=IS_IT_RUNNING, error_code="IDS-503"),
    ),
    Case(
        "denied profile, over the socket",
        "IDS-504",
        'is denied: HTTP 404; it says "no role" (IDS-412) | correct roleArn; then run `idaas-sidecar refresh`',
        denied_over_socket,
        lambda scenario: scenario.state.update(state="fresh", last_error=None, failure=None),
    ),
    Case(
        "denied profile, without a socket",
        "IDS-504",
        "(IDS-412) | correct roleArn; the sidecar then tries again by itself",
        denied_without_socket,
        lambda scenario: scenario.state.update(state="fresh", last_error=None, failure=None),
    ),
    Case(
        "changed settings on trial with the cure",
        "IDS-506",
        'STS: HTTP 404; it says "gone" (IDS-412) | name a role; or restore the previous settings',
        lambda scenario: scenario.state.update(
            on_trial='STS: HTTP 404: name a role; it says "gone"',
            on_trial_code="IDS-412",
            on_trial_failure={"message": "STS: HTTP 404", "cloud_message": "gone", "cure": "name a role."},
        ),
        lambda scenario: scenario.state.update(on_trial=None, on_trial_code=None, on_trial_failure=None),
    ),
    Case(
        "changed settings on trial",
        "IDS-506",
        "correct the change",
        lambda scenario: scenario.state.update(on_trial="HTTP 404", on_trial_code="IDS-412"),
        lambda scenario: scenario.state.update(on_trial=None, on_trial_code=None),
    ),
    client(
        "localhost",
        "IDS-523",
        "127.0.0.1 instead of localhost",
        CREDENTIALS_URI,
        URL.replace("127.0.0.1", "localhost"),
        URL,
    ),
    client(
        "another machine", "IDS-524", "sidecar's address", CREDENTIALS_URI, URL.replace("127.0.0.1", "10.0.0.7"), URL
    ),
    Case(
        "nobody at the URI",
        "IDS-525",
        "start the sidecar",
        lambda scenario: scenario.listening.clear(),
        lambda scenario: scenario.listening.add(("127.0.0.1", 7117)),
    ),
    Case(
        "wrong path token",
        "IDS-509",
        "its path token is not that of access.pathToken",
        other_path_token,
        url_with_token,
    ),
    state("denied profile", "IDS-504", "the cloud said no", "denied"),
    state("misconfigured profile", "IDS-504", "is misconfigured", "misconfigured"),
    state("expired profile", "IDS-504", "expired", "expired"),
    state("stale profile", "IDS-505", "before the session expires", "stale"),
    running("another file", "IDS-506", "use --config /etc/other.json", {"config": "/etc/other.json"}),
    running("file with a space", "IDS-506", "use --config '/etc/a b.json'", {"config": "/etc/a b.json"}),
    running(
        "broken reload",
        "IDS-506",
        "line 1: not JSON (IDS-103) | correct the file",
        {"config_error": "line 1: not JSON", "config_error_code": "IDS-103"},
    ),
    running("draining sidecar", "IDS-528", "a second SIGTERM ends it at once", {"stopping": True}),
    running(
        "broken reload with its cures",
        "IDS-506",
        "a: required (IDS-106); b: not known (IDS-104) | add a; remove b",
        {
            "config_error": "a: required; add a; b: not known; remove b",
            "config_error_code": "IDS-106",
            "config_mistakes": [
                {"message": "a: required", "error_code": "IDS-106", "cure": "add a"},
                {"message": "b: not known", "error_code": "IDS-104", "cure": "remove b"},
            ],
        },
    ),
    running("pending restart", "IDS-506", "restart the sidecar", {"restart_needed": ["server.bind"]}),
    Case(
        "user without the right",
        "IDS-507",
        "callers",
        lambda scenario: scenario.put("callers", {"uids": [2000]}),
        lambda scenario: scenario.put("callers", {"uids": [2000, 1000]}),
    ),
    Case(
        "group without the right",
        "IDS-507",
        "run as a user that is named",
        lambda scenario: scenario.put("callers", {"gids": [3000]}),
        lambda scenario: setattr(scenario, "caller", replace(scenario.caller, gids=(1000, 3000))),
    ),
    Case("host that is not allowed", "IDS-508", "access.allowedHosts", host, allow_host),
    Case("own address that is not allowed", "IDS-508", "access.allowedHosts", name_alone, allow_host),
    Case(
        "path of no profile of two",
        "IDS-509",
        "its path is that of no profile; the paths are /credentials, /credentials/p2 | "
        "set ALIBABA_CLOUD_CREDENTIALS_URI to the URL of the application's profile",
        lambda scenario: (two_profiles(scenario), scenario.client.update({CREDENTIALS_URI: f"{URL}/other"})),
        lambda scenario: scenario.client.update({CREDENTIALS_URI: URL}),
    ),
    Case(
        "another port of one of two profiles",
        "IDS-514",
        "set ALIBABA_CLOUD_CREDENTIALS_URI=http://127.0.0.1:7117/credentials/p2",
        lambda scenario: (
            two_profiles(scenario, uids=(2000, 1000)),
            scenario.listening.add(("127.0.0.1", 7199)),
            scenario.client.update({CREDENTIALS_URI: "http://127.0.0.1:7199/credentials/p2"}),
        ),
        lambda scenario: scenario.client.update({CREDENTIALS_URI: f"{URL}/p2"}),
    ),
    Case(
        "path that resembles that of a profile",
        "IDS-509",
        "set ALIBABA_CLOUD_CREDENTIALS_URI=http://127.0.0.1:7117/credentials/p2",
        lambda scenario: (
            two_profiles(scenario, uids=(2000, 1000)),
            scenario.client.update({CREDENTIALS_URI: f"{URL}/p2x"}),
        ),
        lambda scenario: scenario.client.update({CREDENTIALS_URI: f"{URL}/p2"}),
    ),
    Case(
        "user without the right to the URL's profile",
        "IDS-507",
        "profiles.p2.callers",
        lambda scenario: (two_profiles(scenario), scenario.client.update({CREDENTIALS_URI: f"{URL}/p2"})),
        lambda scenario: scenario.client.update({CREDENTIALS_URI: URL}),
    ),
    client("path of the URL", "IDS-509", "/credentials", CREDENTIALS_URI, "http://127.0.0.1:7117/credential", URL),
    client("another profile", "IDS-509", "/credentials", CREDENTIALS_URI, f"{URL}/p2", URL),
    client(
        "another port", "IDS-514", "http://127.0.0.1:7117", CREDENTIALS_URI, "http://127.0.0.1:7118/credentials", URL
    ),
    client(
        "https on loopback", "IDS-514", "not an http URL", CREDENTIALS_URI, "https://127.0.0.1:7117/credentials", URL
    ),
    Case(
        "misspelt variable",
        "IDS-514",
        "ALIBABACLOUD_CREDENTIALS_URI: set, but SDKs read ALIBABA_CLOUD_CREDENTIALS_URI | rename ALIBABACLOUD_",
        lambda scenario: scenario.client.update({"ALIBABACLOUD_CREDENTIALS_URI": scenario.client.pop(CREDENTIALS_URI)}),
        lambda scenario: scenario.client.update({CREDENTIALS_URI: scenario.client.pop("ALIBABACLOUD_CREDENTIALS_URI")}),
    ),
    client(
        "port without a program",
        "IDS-525",
        "correct the port in ALIBABA_CLOUD_CREDENTIALS_URI: the sidecar listens at port 7117",
        CREDENTIALS_URI,
        URL.replace("7117", "7171"),
        URL,
    ),
    *(
        client(f"{space!r} in {name}", code, f"{name}: white space at an end", name, f"{value}{space}", value)
        for name, code, value in (
            (CREDENTIALS_URI, "IDS-514", URL),
            ("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "IDS-512", "true"),
            ("ALIBABA_CLOUD_CLI_PROFILE_DISABLED", "IDS-515", "true"),
            ("ALIBABA_CLOUD_CREDENTIALS_FILE", "IDS-515", "/dev/null"),
        )
        for space in (" ", "\r")
    ),
    client("no URI", "IDS-514", "not set", CREDENTIALS_URI, None, URL),
    client("static keys", "IDS-510", "unset ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_ID", "LTAI"),
    client("static keys of OSS", "IDS-510", "unset OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_ID", "LTAI"),
    client(
        "static keys of another program", "IDS-510", "unset ALIYUN_LOG_CLI_ACCESSID", "ALIYUN_LOG_CLI_ACCESSID", KEY
    ),
    client(
        "static keys of Java",
        "IDS-510",
        "before ALIBABA_CLOUD_CREDENTIALS_URI | remove -Dalibabacloud.accessKeyId",
        "JAVA_TOOL_OPTIONS",
        f"-Xmx1g -Dalibabacloud.accessKeyId={KEY}",
        "-Xmx1g",
    ),
    client("role of the instance", "IDS-512", "unset ALIBABA_CLOUD_ECS_METADATA", "ALIBABA_CLOUD_ECS_METADATA", "node"),
    client("RRSA", "IDS-511", "unset ALIBABA_CLOUD_OIDC_TOKEN_FILE", "ALIBABA_CLOUD_OIDC_TOKEN_FILE", "/var/token"),
    client(
        "ECS metadata",
        "IDS-512",
        "ALIBABA_CLOUD_ECS_METADATA_DISABLED=true",
        "ALIBABA_CLOUD_ECS_METADATA_DISABLED",
        None,
        "true",
    ),
    client_file(".aliyun/config.json", "ALIBABA_CLOUD_CLI_PROFILE_DISABLED", "true"),
    client_file(".alibabacloud/credentials", "ALIBABA_CLOUD_CREDENTIALS_FILE", "/dev/null"),
    client_file(".alibabacloud/credentials.ini", "ALIBABA_CLOUD_CREDENTIALS_FILE", "/dev/null"),
    client_file(".aliyun/config.json", "ALIBABA_CLOUD_CLI_PROFILE_DISABLED", "true", "false"),
    Case(
        "profile file with another name",
        "IDS-515",
        "before ALIBABA_CLOUD_CREDENTIALS_URI | set ALIBABA_CLOUD_CLI_PROFILE_DISABLED=true",
        other_profile_file,
        lambda scenario: scenario.client.update({"ALIBABA_CLOUD_CLI_PROFILE_DISABLED": "true"}),
    ),
    client_file("team/keys.ini", "ALIBABA_CLOUD_CREDENTIALS_FILE", "/dev/null", "HOME/team/keys.ini"),
    client("proxy of the client", "IDS-513", "unset HTTP_PROXY", "HTTP_PROXY", "http://proxy:3128"),
    Case("short path token", "IDS-105", "or more of A-Z", short_path_token, long_path_token),
    Case("URL without the path token", "IDS-509", "<path token>", path_token, url_with_token),
]
