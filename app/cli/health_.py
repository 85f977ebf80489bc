"""`health`: one GET to the running sidecar, for images without curl.

It reads two keys of the configuration without checking the rest, and imports neither the loader nor an HTTP client: a
probe that runs every few seconds must cost milliseconds.
"""

from __future__ import annotations

import json
import re
import socket
import sys
from argparse import Namespace
from collections.abc import Mapping

DEFAULT_PATH = "/etc/idaas-sidecar/config.json"
DEFAULT_OPS = "127.0.0.1:7118"
SECONDS = 3.0


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    named = arguments.config or environ.get("IDAAS_SIDECAR_CONFIG")
    try:
        address = ops_address(named or DEFAULT_PATH, required=named is not None)
        status, body = _get(*address, "/readyz" if arguments.ready else "/livez")
    except (OSError, ValueError) as error:
        print(f"idaas-sidecar health: {error}", file=sys.stderr)
        return 1
    print(body)
    return 0 if status == 200 else 1


def ops_address(path: str, *, required: bool) -> tuple[str, int]:
    """Whom to ask. Raises ValueError or OSError."""
    address = DEFAULT_OPS
    try:
        with open(path, "rb") as file:
            address = _configured(json.load(file))
    except FileNotFoundError:
        if required:
            raise
    except ValueError as error:
        raise ValueError(f"{path}: {error}; see idaas-sidecar config --config {path}") from None
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    # A wildcard is where one listens, not whom one asks; and names are not looked up.
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "localhost": "127.0.0.1"}.get(host, host), int(port)  # noqa: S104


def _configured(config: object) -> str:
    server = config.get("server", {}) if isinstance(config, dict) else None
    address = server.get("ops", DEFAULT_OPS) if isinstance(server, dict) else None
    if not isinstance(address, str) or not re.fullmatch(r".+:[0-9]{1,5}", address):
        raise ValueError("server.ops is null or no address, so there is nobody to ask")
    return address


def _get(host: str, port: int, path: str) -> tuple[int, str]:
    asked = f"[{host}]" if ":" in host else host
    try:
        answer = _exchange(host, port, f"GET {path} HTTP/1.1\r\nHost: {asked}\r\nConnection: close\r\n\r\n".encode())
    except OSError as error:
        why = "no answer in time" if isinstance(error, TimeoutError) else error.strerror or error
        raise OSError(f"{host}:{port}: {why}; does the sidecar run?") from None
    found = re.match(rb"HTTP/1\.1 ([0-9]{3}).*?\r\n\r\n(.*)", answer, re.DOTALL)
    if found is None:
        raise ValueError(f"{host}:{port}: no HTTP answer; does something else listen there?")
    return int(found[1]), found[2].decode(errors="replace")


def _exchange(host: str, port: int, request: bytes) -> bytes:
    # Not create_connection, which imports a codec for names that are not ASCII before it looks at the address.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(SECONDS)
        connection.connect((host, port))
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(4096), b""))
