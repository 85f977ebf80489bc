"""Text that a client copies into a header or a request line: metadata tokens and role names. Pure."""

from __future__ import annotations

import re

TOO_LONG = 256
"""Bytes: a metadata token, which every client copies into a header, must be shorter."""


def fits_header(text: str) -> bool:
    """Whether `text` is visible ASCII, not empty, and short enough for a metadata token or a role name."""
    return len(text) < TOO_LONG and re.fullmatch(r"[!-~]+", text) is not None


def describe_misfit(text: str) -> str:
    """Why `text` does not fit a header. The description contains no part of `text`."""
    if not text:
        return "an empty body"
    if len(text) >= TOO_LONG:
        return f"{len(text)} bytes, too long"
    end = "with a line end" if text.endswith(("\n", "\r")) else "with spaces or other characters"
    return f"{len(text)} bytes {end}"
