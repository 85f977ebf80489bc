"""The status page in a real Chromium: accessible by axe-core's rules, readable on a phone, in light and in dark."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

from app.serve import errors_page
from app.serve.status_page import render
from app.serve.status_style import DARK as DARK_COLOURS
from app.serve.status_style import LIGHT as LIGHT_COLOURS

from ..status_sample import PROBLEMS, STATUS
from .chromium import CAN_BE_NARROW, CHROMIUM, DARK, LIGHT, MISSING, dumped

ROOT = Path(__file__).parents[2]
AXE = ROOT / ".interop/node/node_modules/axe-core/axe.min.js"
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=MISSING)

NARROW = pytest.mark.skipif(not CAN_BE_NARROW, reason=MISSING)
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
MEASURE = """({
  width: document.documentElement.scrollWidth, window: innerWidth, title: document.title,
  page: getComputedStyle(document.body).backgroundColor,
  bar: document.querySelector("progress").getBoundingClientRect().width,
})"""


def seen(markup: str, expression: str, home: Path, *options: str, script: str = "") -> Any:
    """Return what a JavaScript expression says about the rendered page, which has no script of its own."""
    page = home / "page.html"
    result = f"Promise.resolve({expression}).then((value) => {{ seen.textContent = JSON.stringify(value); }})"
    end = f"<script>{script}</script><script>const seen = document.createElement('pre'); {result}.catch((error) => {{"
    end += " seen.textContent = JSON.stringify(String(error)); }).then(() => { seen.id = 'seen';"
    end += " document.body.append(seen); });</script>"
    page.write_text(markup.replace("</html>", f"{end}</html>"))
    document = dumped(page.as_uri(), home, *options)
    found = re.search(r'<pre id="seen">(.*?)</pre>', document, re.DOTALL)
    assert found is not None, document[-2000:]
    return json.loads(html.unescape(found[1]))


@pytest.mark.skipif(not AXE.exists(), reason="skipped: needs axe-core (make interop-install)")
@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(
    "size", [pytest.param("1100,900", id="desk"), pytest.param("320,900", id="phone", marks=NARROW)]
)
@pytest.mark.parametrize(
    "markup", [render(STATUS), render(PROBLEMS), errors_page.render("1.0")], ids=["healthy", "problems", "errors"]
)
def test_axe_finds_nothing(markup: str, size: str, scheme: str, tmp_path: Path) -> None:
    """axe-core finds no violation of WCAG 2.2 A and AA or of its best practices, and judges the contrast of texts."""
    expression = f"""axe.run(document, {{runOnly: {json.dumps(RULES)}}}).then((r) => ({{
      violations: r.violations.map((v) => [v.id, v.nodes.map((n) => n.html + " " + n.failureSummary)]),
      unsure: r.incomplete.map((v) => [v.id, v.nodes.map((n) => n.html)]), passes: r.passes.map((v) => v.id)}}))"""
    window = f"--window-size={size}"
    found = seen(markup, expression, tmp_path, scheme, window, script=AXE.read_text())

    assert found["violations"] == []
    # On a phone, wide tables scroll by themselves: the contrast of cells that are out of sight is judged on the desk.
    hidden = {"color-contrast"} if size.startswith("320") else set()
    assert {rule for rule, _ in found["unsure"]} <= hidden
    assert {"color-contrast", "landmark-one-main", "html-has-lang", "document-title"} <= set(found["passes"])


@pytest.mark.skipif(not AXE.exists(), reason="skipped: needs axe-core (make interop-install)")
def test_axe_knows_that_the_page_reloads(tmp_path: Path) -> None:
    """The reload that the reader turned on is the one thing that axe reports then; a link at the top pauses it."""
    expression = f"axe.run(document, {{runOnly: {json.dumps(RULES)}}}).then((r) => r.violations.map((v) => v.id))"

    assert seen(render(STATUS, refresh=True), expression, tmp_path, LIGHT, script=AXE.read_text()) == ["meta-refresh"]


@pytest.mark.parametrize(("scheme", "colours"), [(LIGHT, LIGHT_COLOURS), (DARK, DARK_COLOURS)], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1100, pytest.param(320, marks=NARROW)])
def test_the_page_fits(width: int, scheme: str, colours: dict[str, str], tmp_path: Path) -> None:
    """The page follows the preferred colours, and needs no horizontal scrolling from 320 pixels (WCAG 2.2, 1.4.10)."""
    found = seen(render(PROBLEMS), MEASURE, tmp_path, scheme, f"--window-size={width},900")
    red, green, blue = (int(colours["page"][index : index + 2], 16) for index in (1, 3, 5))

    assert found["window"] == width
    assert found["width"] <= width
    assert found["bar"] > width / 2
    assert found["page"] == f"rgb({red}, {green}, {blue})"
    assert found["title"] == "shop/orders-0: not ready – idaas-sidecar"
