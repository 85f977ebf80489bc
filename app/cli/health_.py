"""`health`: one GET to the running sidecar, for images without curl.

It reads two keys of the configuration without checking the rest, and imports neither the loader nor an HTTP client: a
probe that runs every few seconds must cost milliseconds.
"""

from __future__ import annotations

import json
import socket
import sys
from argparse import Namespace
from collections.abc import Mapping

DEFAULT_PATH = "/etc/idaas-sidecar/config.json"
DEFAULT_OPS = "127.0.0.1:7118"
SECONDS = 3.0


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    path = "/readyz" if arguments.ready else "/livez"
    named = arguments.config or environ.get("IDAAS_SIDECAR_CONFIG")
    try:
        address = _ops_address(named or DEFAULT_PATH, required=named is not None)
        status, body = _get(address, path)
    except (OSError, ValueError, KeyError) as error:
        print(f"idaas-sidecar health: {error}", file=sys.stderr)
        return 1
    print(body)
    return 0 if status == 200 else 1


def _ops_address(path: str, *, required: bool) -> tuple[str, int]:
    address = DEFAULT_OPS
    try:
        with open(path, "rb") as file:
            address = json.load(file).get("server", {}).get("ops", DEFAULT_OPS)
    except FileNotFoundError:
        if required:
            raise
    if address is None:
        raise ValueError(f"{path}: server.ops is null, so there is nobody to ask")
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    # A wildcard is where one listens, not whom one asks.
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), int(port)  # noqa: S104


def _get(address: tuple[str, int], path: str) -> tuple[int, str]:
    with socket.create_connection(address, SECONDS) as connection:
        request = f"GET {path} HTTP/1.1\r\nHost: {address[0]}\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    head, _, body = answer.decode(errors="replace").partition("\r\n\r\n")
    return int(head.split(" ", 2)[1]), body
