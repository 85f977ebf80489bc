"""app/config/decode.py: the limits of numbers in messages, and characters that no value can have."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from msgspec import Meta

from app.config.decode import Decoder, convert
from app.core.errors import ConfigError
from app.core.record import Record
from app.identity.oidc_client import OidcClientIdentity

from ..conftest import configuration
from .configurations import Load, profile, refusal

LONG = 9_007_199_254_740_993


class Limits(Record, frozen=True):
    """Numbers with limits."""

    least: Annotated[int, Meta(ge=1_234_567_890_123_456)] = 1_234_567_890_123_456
    above: Annotated[float, Meta(gt=0.1234567)] = 1
    most: Annotated[int, Meta(le=LONG)] = 1


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"least": 1}, "least: must be at least 1234567890123456"),
        ({"above": 0.1}, "above: must be more than 0.1234567"),
        ({"most": LONG + 1}, f"most: must be at most {LONG}"),
    ],
)
def test_a_limit_has_all_its_digits(members: dict[str, float], message: str) -> None:
    """A message has every digit of a limit: a rounded one would be refused again."""
    with pytest.raises(ConfigError) as caught:
        convert(members, Limits)

    assert str(caught.value) == message


def test_unset_variable_is_the_only_mistake_of_its_key() -> None:
    """A value whose variable is not set has no further mistake: what is missing cannot be judged."""
    decoder = Decoder("c.json", {}, variables=True)

    decoder.members({"clientId": "${UNSET}", "clientAuthentication": {"method": "${UNSET}"}}, OidcClientIdentity, "p")

    unset = "the environment variable UNSET is not set or empty"
    assert decoder.mistakes == [f"p.clientId: {unset}", f"p.clientAuthentication.method: {unset}"]


@pytest.mark.parametrize(
    ("place", "changed"),
    [
        ("cache.directory", {"cache": {"directory": "/a\0b", "keyFile": "/k"}}),
        ("cache.keyFile", {"cache": {"directory": "/a", "keyFile": "/k\0"}}),
        ("server.adminSocket", {"server": {"adminSocket": "/a\0"}}),
        ("tls.caFile", {"tls": {"caFile": "\0"}}),
        ("profiles.default.files[0].path", {"profiles": {"default": profile(files=[{"path": "/a\0"}])}}),
        (
            "profiles.default.identity.command[1]",
            {"profiles": {"default": profile(identity={"type": "command", "command": ["/bin/true", "a\0b"]})}},
        ),
    ],
)
def test_nul_character(place: str, changed: dict[str, Any], loaded: Load) -> None:
    """A NUL in a value is a mistake: the system's functions raise ValueError for it."""
    assert refusal(loaded, configuration(**changed)) == (
        f"{place}: has a NUL character; remove the character, \\u0000 in JSON"
    )
