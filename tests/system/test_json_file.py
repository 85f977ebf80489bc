"""Broken JSON: a string without an end."""

from __future__ import annotations

import pytest

from app.core.errors import ConfigError
from app.system.json_file import LARGEST, parse_object


@pytest.mark.parametrize("tolerant", [False, True])
@pytest.mark.parametrize("end", ["", "\\", ' // x, } /* "'], ids=["quotes", "backslash", "comment"])
def test_string_without_an_end(end: str, tolerant: bool) -> None:
    """
    The string takes the rest of the text, and it is the one mistake.

    As many escaped quotes as a file may have would take hours if each were tried as the beginning of a string.
    """
    raw = b'{"a": "' + b'\\"' * (LARGEST // 2 - 20) + end.replace('"', '\\"').encode()

    with pytest.raises(ConfigError) as caught:
        parse_object(raw, "f", tolerant=tolerant)

    (mistake,) = caught.value.mistakes
    assert mistake.cause.startswith("f:1:7: not JSON: ")
