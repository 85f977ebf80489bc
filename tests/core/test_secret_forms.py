"""Values with the name of a secret, in the forms that configurations and answers have."""

from __future__ import annotations

import pytest

from app.core.display import displayed
from app.upstream.redaction import HIDDEN, redacted


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ('{"client_secret": "c4n,Ary"}', '{"client_secret": "', '"}'),
        ('{"password":"c4n\\"Ary"}', '{"password":"', '"}'),
        ("--password=c4n%26Ary --x", "--password=", " --x"),
        ("a=1%26client_secret%3Dc4nAry%26b", "a=1%26client_secret%3D", "%26b"),
        ("&quot;api_key&quot;:&quot;c4n&amp;Ary&quot;", "&quot;api_key&quot;:&quot;", "&quot;"),
        ('{"token": ""} client_secret=c4nAry;b', '{"token": ""} client_secret=', ";b"),
    ],
    ids=["JSON", "quote in JSON", "option", "URL in a URL", "HTML", "after an empty value"],
)
def test_named_value_is_hidden_to_its_end(text: str, begin: str, end: str) -> None:
    """The whole value is hidden, and nothing else, in a configuration as in a server's words."""
    assert displayed("", text) == f"{begin}***{end}"
    assert redacted(text, ()) == f"{begin}{HIDDEN}{end}"
