"""The style sheet of the status page: system fonts, light and dark, from 320 pixels of width; no foreign asset."""

from __future__ import annotations

from collections.abc import Mapping

LIGHT: Mapping[str, str] = {
    "page": "#ffffff",
    "text": "#1f2328",
    "muted": "#59636e",
    "line": "#d1d9e0",
    "link": "#0550ae",
    "track": "#d1d9e0",
    "bar": "#0550ae",
    "good": "#0f5323",
    "good-page": "#dafbe1",
    "warn": "#6b4400",
    "warn-page": "#fff8c5",
    "bad": "#9a1224",
    "bad-page": "#ffebe9",
}
"""The colours of the light page; tests/serve/test_status_page.py computes their contrast (WCAG 2.2: 1.4.3, 1.4.11)."""

DARK: Mapping[str, str] = {
    "page": "#0d1117",
    "text": "#f0f6fc",
    "muted": "#9198a1",
    "line": "#3d444d",
    "link": "#79c0ff",
    "track": "#3d444d",
    "bar": "#79c0ff",
    "good": "#7ee787",
    "good-page": "#12261e",
    "warn": "#e3b341",
    "warn-page": "#2a2211",
    "bad": "#ffa198",
    "bad-page": "#321a1d",
}
"""The colours of the dark page."""

_RULES = """
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:70rem;font:1rem/1.5 system-ui,sans-serif}
body{background:var(--page);color:var(--text)}
h1{font-size:1.4rem;margin:0;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:0 0 .5rem;overflow-wrap:anywhere}
h3{font-size:1rem;margin:1rem 0 .25rem}
p{margin:.25rem 0}
a{color:var(--link)}
a:focus-visible,[tabindex]:focus-visible{outline:3px solid var(--link);outline-offset:2px}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;margin:.5rem 0;padding:0}
nav a{display:inline-block;padding:.25rem 0}
section{border:1px solid var(--line);border-radius:.5rem;padding:1rem;margin:1rem 0}
dl{display:grid;grid-template-columns:minmax(8rem,max-content) 1fr;gap:.25rem 1rem;margin:.5rem 0}
dt,caption,.muted{color:var(--muted)}
dd{margin:0;overflow-wrap:anywhere}
progress{appearance:none;display:block;width:100%;height:.75rem;border:0;border-radius:.375rem;overflow:hidden}
progress{background:var(--track);color:var(--bar)}
progress::-webkit-progress-bar{background:var(--track)}
progress::-webkit-progress-value{background:var(--bar)}
progress::-moz-progress-bar{background:var(--bar)}
.state{display:inline-block;padding:0 .6rem;border-radius:1rem;border:1px solid;font-size:.9rem;font-weight:600}
.note{padding:.5rem .75rem;border-left:.25rem solid;margin:.5rem 0;overflow-wrap:anywhere}
.good{color:var(--good);background:var(--good-page)}
.warn{color:var(--warn);background:var(--warn-page)}
.bad{color:var(--bad);background:var(--bad-page)}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%}
caption{text-align:left;padding:.25rem 0}
th,td{text-align:left;vertical-align:top;padding:.3rem .75rem .3rem 0;border-bottom:1px solid var(--line)}
@media(max-width:32rem){dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}section{padding:.75rem}}
"""


def _colours(colours: Mapping[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in colours.items())


STYLE = (
    f":root{{color-scheme:light dark;{_colours(LIGHT)}}}"
    f"@media(prefers-color-scheme:dark){{:root{{{_colours(DARK)}}}}}{_RULES}"
)
"""The style sheet."""
