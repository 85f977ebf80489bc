"""A page in a real Chromium gets no credentials: neither by a script, nor as a resource, nor by a visit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..http_server import Handler, HttpServer, serving
from .chromium import CHROMIUM, MISSING, dumped
from .processes import Demo, demo
from .wire import fetch

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=MISSING)

PAGE = """<!DOCTYPE html><title>page</title><body><pre id="seen"></pre><script>
const url = "URL", seen = document.getElementById("seen");
const note = (name) => (result) => { seen.textContent += name + "=" + result + ";"; };
const attempt = (name, options) =>
  fetch(url, options).then((r) => r.type + r.status).catch(() => "refused").then(note(name));
const element = (name, source) => new Promise((resolve) => {
  const made = document.createElement(name);
  made.onload = made.onerror = (event) => { note(name)(event.type); resolve(); };
  made[source] = url;
  document.body.append(made);
});
Promise.all([
  attempt("cors", {}), attempt("no-cors", {mode: "no-cors"}), attempt("post", {method: "POST", body: "a"}),
  attempt("header", {headers: {"X-aliyun-ecs-metadata-token": "a"}}),
  element("img", "src"), element("script", "src"), element("iframe", "src"),
]).then(() => note("end")("yes"));
</script>"""


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A running demo."""
    with demo(home=tmp_path_factory.mktemp("browser")) as running:
        yield running


@contextmanager
def page(url: str) -> Iterator[str]:
    """Serve a page whose script tries to read `url`; yields the page's own address."""

    class Page(Handler):
        def do_GET(self) -> None:
            body = PAGE.replace("URL", url).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(HttpServer(Page)) as server:
        yield f"http://127.0.0.1:{server.server_port}/"


@pytest.mark.parametrize("target", ["/credentials", "/latest/meta-data/ram/security-credentials/default"])
def test_page(sidecar: Demo, target: str, tmp_path: Path) -> None:
    """Scripts, images and frames of a page are refused: a request without CORS gets 403, which the page cannot read."""
    with page(sidecar.metadata_url + target) as address:
        document = dumped(address, tmp_path)

    assert "end=yes" in document, document
    assert "cors=refused" in document
    assert "header=refused" in document
    assert "STS." not in document
    assert set(served_statuses(sidecar)) == {"403"}


def test_visit(sidecar: Demo, tmp_path: Path) -> None:
    """The address of the credentials, opened in the browser, shows an error and no credentials."""
    document = dumped(f"{sidecar.metadata_url}/credentials", tmp_path)

    assert "AccessDenied" in document or "Forbidden" in document, document
    assert "STS." not in document


def served_statuses(sidecar: Demo) -> list[str]:
    """Return the statuses of the responses that the credentials listener gave."""
    lines = fetch(sidecar.ops_url, "/metrics").body.decode().splitlines()
    return [
        line.partition('code="')[2].partition('"')[0]
        for line in lines
        if line.startswith("idaas_sidecar_requests_total{") and 'listener="ops"' not in line
    ]
