"""
A pytest plugin: the sidecar in front of the emulated cloud, for the tests of programs that use its credentials.

    # conftest.py
    pytest_plugins = ["idaas_sidecar.testing"]

    # test_orders.py
    def test_upload(sidecar_env):
        ...  # the SDKs of this process find the sidecar

Fixtures:

- `sidecar` (session): the running sidecar. Pass its `env` to programs that the test starts.
- `sidecar_env`: the running sidecar, with its variables set in this process. Faults are removed after the test.
- `sidecar_options` (session): override it to change the `Options`.

Some SDKs, such as Alibaba's for Python, read the variables when they are imported. With `sidecar_at_start = true`
in pytest.ini, the sidecar starts with default options and its variables are set before tests are collected.

`running` starts a separate sidecar for one test. The plugin is not registered as an entry point, so only projects that
name the plugin load it. The plugin needs pytest, and starts the command `demo` as a process.
"""

from __future__ import annotations

import json
import os
import subprocess  # nosec B404
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

import pytest

START_SECONDS = 60.0
"""Seconds within which the sidecar must be ready, also on a busy machine."""

STOP_SECONDS = 10.0

_NO_PROXY = build_opener(ProxyHandler({}))
_PACKAGE = __name__.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class Options:
    """
    The options of the sidecar. `lifetime` is the length of a session in seconds.

    Profiles are `default`, `p2`, `p3` and so on. With the same `seed`, the emulated cloud issues the same credentials.
    """

    profiles: int = 1
    lifetime: int = 3600
    seed: int | None = 1


@dataclass(frozen=True, slots=True)
class Sidecar:
    """
    A running sidecar. `env` are the variables of a client of the profile `default`.

    `ops_url` is the base URL of probes and metrics, `metadata_url` the base URL of the ECS paths, and `config_path` the
    path of the configuration file.
    """

    credentials_uri: str
    metadata_url: str
    ops_url: str
    emulator_url: str
    config_path: Path
    env: Mapping[str, str]
    unset: Sequence[str] = field(repr=False)

    def client_environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return `environ` with the variables of `env`, and without the variables that SDKs check first."""
        return {name: value for name, value in environ.items() if name not in self.unset} | dict(self.env)

    def credentials(self, profile: str = "default") -> dict[str, Any]:
        """Return the credentials as clients get them: AccessKeyId, AccessKeySecret, SecurityToken and Expiration."""
        url = self.credentials_uri if profile == "default" else f"{self.credentials_uri}/{quote(profile)}"
        found: dict[str, Any] = _json(Request(url))  # noqa: S310 - loopback
        return found

    def inject(self, name: str | None = None, **members: Any) -> None:
        """Add a fault by its name, such as `sts-throttled`, or by its members (docs/emulator.md)."""
        query = f"?name={quote(name)}" if name is not None else ""
        self._admin("POST", f"faults{query}", members)

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._admin("DELETE", "faults")

    def calls(self) -> list[dict[str, Any]]:
        """Return the last calls to the emulated cloud, without secrets."""
        found: list[dict[str, Any]] = self._admin("GET", "journal")["calls"]
        return found

    def _admin(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.emulator_url}/_emulator/{path}", data, method=method)  # noqa: S310 - loopback
        return _json(request)


def _json(request: Request) -> Any:
    """Return the JSON of an answer. An HTTPError has the text of the response's body in its reason."""
    try:
        with _NO_PROXY.open(request, timeout=30) as response:
            return json.load(response)
    except HTTPError as error:
        body = error.read()
        reason = f"{error.reason}: {body.decode(errors='replace')}"
        raise HTTPError(error.url, error.code, reason, error.headers, BytesIO(body)) from None


@contextmanager
def running(options: Options | None = None) -> Iterator[Sidecar]:
    """Run a sidecar and its emulated cloud on free ports. The block begins when credentials are ready."""
    from .core.client_chain import (
        HIGHER_PRIORITY_VARIABLES,
    )  # imports the program, which a project without such tests does not need

    options = options or Options()
    flags = ["--port", "0", "--profiles", str(options.profiles), "--lifetime", str(options.lifetime)]
    if options.seed is not None:
        flags += ["--seed", str(options.seed)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603 # nosec B603 - this interpreter and constants
            [sys.executable, "-m", _PACKAGE, "demo", "--json", *flags],
            env=_process_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        try:
            values = _first_line(process, log)
            yield Sidecar(
                values["credentialsUri"],
                values["metadataUrl"],
                values["opsUrl"],
                values["emulatorUrl"],
                Path(values["configPath"]),
                values["env"],
                HIGHER_PRIORITY_VARIABLES,
            )
        finally:
            _stop(process)


def _process_environment() -> dict[str, str]:
    """Return the environment of this process without proxies and the clients' variables, for the sidecar."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and not name.startswith(("ALIBABA_CLOUD_", "IDAAS_SIDECAR_"))
    }
    # The sidecar must import the package of this module, whatever the working directory is.
    return kept | {
        "PYTHONPATH": os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), kept.get("PYTHONPATH"))))
    }


def _first_line(process: subprocess.Popen[bytes], log: Any) -> dict[str, Any]:
    """Return the values of the line that the sidecar prints when it is ready."""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    timer = threading.Timer(START_SECONDS, process.kill)
    timer.start()
    line = process.stdout.readline()
    late = f" within {START_SECONDS:g} s" if timer.finished.is_set() else ""
    timer.cancel()
    if not line:
        log.seek(0)
        text = log.read().decode(errors="replace")
        raise RuntimeError(f"the sidecar did not start{late}:\n{text}")
    found: dict[str, Any] = json.loads(line)
    return found


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.terminate()  # a second signal ends the drain
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


_AT_START = "sidecar_at_start"
_STARTED = pytest.StashKey[Sidecar]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the ini option."""
    parser.addini(_AT_START, "start the sidecar before tests are collected, and set its variables", "bool", False)


def pytest_configure(config: pytest.Config) -> None:
    """Start the sidecar if the ini option says so."""
    if not config.getini(_AT_START):
        return
    with ExitStack() as stack:
        sidecar = stack.enter_context(running())
        variables = stack.enter_context(pytest.MonkeyPatch.context())
        _set_variables(variables, sidecar)
        config.stash[_STARTED] = sidecar
        config.add_cleanup(stack.pop_all().close)


def _set_variables(variables: pytest.MonkeyPatch, sidecar: Sidecar) -> None:
    for name in sidecar.unset:
        variables.delenv(name, raising=False)
    for name, value in sidecar.env.items():
        variables.setenv(name, value)


@pytest.fixture(scope="session")
def sidecar_options() -> Options:
    """The options of `sidecar`. Override this fixture in a conftest.py to change them."""
    return Options()


@pytest.fixture(scope="session")
def sidecar(sidecar_options: Options, pytestconfig: pytest.Config) -> Iterator[Sidecar]:
    """A running sidecar with its emulated cloud, for the whole test session."""
    started = pytestconfig.stash.get(_STARTED, None)
    if started is not None:
        yield started
        return
    with running(sidecar_options) as running_sidecar:
        yield running_sidecar


@pytest.fixture
def sidecar_env(sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sidecar]:
    """The running sidecar, with the variables of a client set in this process. Removes faults after the test."""
    _set_variables(monkeypatch, sidecar)
    yield sidecar
    sidecar.clear_faults()
