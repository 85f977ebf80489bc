"""Spellings of this machine's own addresses: no request to one leaves through a proxy."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from ..ports import unused_port
from .cloud import ENV, config
from .processes import EmulatedCloud, environment, run

NOWHERE = EmulatedCloud(None, "http://127.0.0.1:1", "", "https://idaas.test", Path())  # type: ignore[arg-type]


def configured(directory: Path, endpoint: str) -> Path:
    """Return a configuration whose client secret goes to this token endpoint, and whose limits are short."""
    settings = config(NOWHERE)
    identity = settings["profiles"]["default"]["identity"]
    identity |= {"tokenEndpoint": endpoint, "httpConfiguration": {"connectTimeout": 2000, "readTimeout": 2000}}
    path = directory / "config.json"
    path.write_text(json.dumps(settings))
    return path


@pytest.mark.parametrize(
    "host", ["[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::]", "0.0.0.0", "localhost.", "x.localhost", "ip6-localhost"]
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
def test_proxy_gets_no_request_to_this_machine(host: str, variable: str, tmp_path: Path) -> None:
    """The proxy of the environment gets no connection for a token endpoint on this machine."""
    path = configured(tmp_path, f"https://{host}:{unused_port()}/token")
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        env = environment(tmp_path, **ENV, **{variable: f"http://127.0.0.1:{proxy.getsockname()[1]}"})
        result = run("get", "--config", str(path), env=env)
        proxy.setblocking(False)
        with pytest.raises(BlockingIOError):
            proxy.accept()

    assert result.code == 4
    assert "proxy" not in result.error_line


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "127.0.0.1.", "a.."])
def test_host_that_is_no_name(host: str, tmp_path: Path) -> None:
    """A number as a host is another spelling of an address, and a mistake of the configuration."""
    path = configured(tmp_path, f"https://{host}/token")
    result = run("get", "--config", str(path), env=environment(tmp_path, **ENV))

    assert result.code == 2
    assert (
        f"'https://{host}/token' has a host that is neither a valid DNS name nor an address; correct"
        in result.error_line
    )
