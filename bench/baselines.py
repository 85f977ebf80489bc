"""The baselines: nginx and a static Go server. Both serve the bytes that the sidecar serves."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from client import free_port, until_200
from processes import started

NGINX = "needs nginx (apt-get install nginx-light)"
GO = "needs go (apt-get install golang-go)"
PATH = "/credentials"

NGINX_CONF = """
daemon off;
master_process off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    server_tokens off;
    etag off;
    sendfile on;
    keepalive_requests 100000000;
    types {{ }}
    default_type "application/json; charset=utf-8";
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=2048;
        root {directory}/www;
        add_header Cache-Control no-store;
    }}
}}
"""


@contextlib.contextmanager
def nginx(body: bytes, directory: Path) -> Iterator[tuple[int, int]]:
    """Run one nginx process that serves `body` as a static file; yield its process id and port."""
    port = free_port()
    www = directory / "www"
    www.mkdir()
    (www / PATH[1:]).write_bytes(body)
    conf = directory / "nginx.conf"
    conf.write_text(NGINX_CONF.format(directory=directory, port=port))
    binary = nginx_binary() or "nginx"
    with started([binary, "-p", str(directory), "-e", str(directory / "error.log"), "-c", str(conf)]) as process:
        until_200(port, PATH, since=time.perf_counter())
        yield process.pid, port


def nginx_binary() -> str | None:
    """Return the path of nginx. Debian installs it in a directory that is on root's PATH only."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def build_go(directory: Path) -> Path | None:
    """Compile static.go and return its path, or None without Go."""
    if shutil.which("go") is None:
        return None
    binary = directory / "static"
    source = Path(__file__).with_name("static.go")
    subprocess.run(["go", "build", "-o", str(binary), str(source)], check=True)
    return binary


@contextlib.contextmanager
def go_server(binary: Path, body: bytes, directory: Path) -> Iterator[tuple[int, int]]:
    """Run one process that serves `body` from memory; yield its process id and port."""
    port = free_port()
    file = directory / "credential.json"
    file.write_bytes(body)
    with started([str(binary), f"127.0.0.1:{port}", str(file)]) as process:
        until_200(port, PATH, since=time.perf_counter())
        yield process.pid, port
