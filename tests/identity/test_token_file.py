"""A token in a file that another program writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.core.checks import require
from app.core.errors import ConfigError, NotThereYet, Refused, Unreachable
from app.core.events import IdentityExpiry
from app.core.values import Token
from app.emulator import Emulator
from app.emulator.world.world import WORKLOAD_PROVIDER_ARN
from app.identity import token_file
from app.identity.foreign_token import ForeignToken
from app.identity.token_file import TokenFileIdentity

from ..clock import Clock
from ..conftest import Offline, exchange
from .contexts import HungDisk, context
from .identities import one_profile
from .test_jwt_claims import token

Build = Callable[..., Offline]


async def test_token_file_is_read_at_each_refresh(offline: Build, emulator: Emulator, tmp_path: Path) -> None:
    """The token of a file is sent without white space, and the file is read again at the next refresh."""
    path = tmp_path / "token"
    token_source = offline()
    await token_source.fetch()
    value = emulator.journal[1].fields["OIDCToken"]
    path.write_text(f"\n{value}\n")
    sidecar = offline(one_profile({"type": "tokenFile", "tokenFile": str(path)}, exchange()))

    assert (await sidecar.fetch()).access_key_id
    assert emulator.journal[-1].fields["OIDCToken"] == value
    token_source.clock.skip(1000)
    await token_source.fetch()
    renewed = emulator.journal[-1].fields["OIDCToken"]
    path.write_text(renewed)
    await sidecar.fetch()

    assert emulator.journal[-1].fields["OIDCToken"] == renewed != value
    assert [event.kind for event in sidecar.events if isinstance(event, IdentityExpiry)] == ["tokenFile"] * 2


async def test_token_of_a_file_is_not_kept(offline: Build, emulator: Emulator, tmp_path: Path) -> None:
    """A token that is replaced while the previous one is valid is used at once."""
    path = tmp_path / "token"
    tokens = [emulator.workload_token(jti=jti) for jti in ("1", "2", "2")]
    identity = {"type": "tokenFile", "tokenFile": str(path)}
    sidecar = offline(one_profile(identity, exchange(oidcProviderArn=WORKLOAD_PROVIDER_ARN)))
    for value in tokens:
        path.write_text(value)
        await sidecar.fetch()

    assert [call.fields["OIDCToken"] for call in emulator.journal] == tokens


async def test_expired_token_file_is_not_sent(offline: Build, emulator: Emulator, clock: Clock, tmp_path: Path) -> None:
    """An expired token of a file is not sent, and the error names the program that writes the file."""
    path = tmp_path / "token"
    await offline().fetch()
    path.write_text(emulator.journal[1].fields["OIDCToken"])
    sidecar = offline(one_profile({"type": "tokenFile", "tokenFile": str(path)}, exchange()))
    clock.skip(1201)

    with pytest.raises(Unreachable, match="has expired; the program that writes it is late"):
        await sidecar.fetch()


NOW = 1_767_323_045.0
PLACE = "identity.tokenFile"


def source(text: str, *, is_synchronised: bool = True) -> ForeignToken:
    """Return the source of the token `text`, at NOW."""
    return ForeignToken(lambda: text, PLACE, lambda: NOW, lambda: is_synchronised)


@pytest.mark.parametrize(
    ("claims", "is_synchronised", "expires_at"),
    [
        ({"exp": NOW + 1}, True, NOW + 1),
        ({"exp": NOW}, False, NOW),
        ({"exp": NOW - 60}, False, NOW - 60),
        ({}, True, NOW),
    ],
    ids=["valid", "ends now, by an unknown clock", "expired by an unknown clock", "without an end"],
)
async def test_token_is_presented(claims: dict[str, float], is_synchronised: bool, expires_at: float) -> None:
    """A token is presented until its end; where the cloud's time is unknown, the cloud judges."""
    text = token(claims)

    assert await source(text, is_synchronised=is_synchronised).token() == Token(text, expires_at)


@pytest.mark.parametrize("expires_at", [NOW, NOW - 1])
async def test_expired_token_is_transient(expires_at: float) -> None:
    """A token that has expired by the cloud's time may be replaced by its writer at any time."""
    with pytest.raises(Unreachable) as caught:
        await source(token({"exp": expires_at})).token()

    assert str(caught.value) == f"{PLACE}: the token has expired; the program that writes it is late"
    assert caught.value.error_code == "IDS-322"


async def test_file_without_a_jwt_is_refused() -> None:
    """A file that holds something else is a definite error that quotes nothing of it."""
    with pytest.raises(Refused) as caught:
        await source("opaque").token()

    assert str(caught.value) == f"{PLACE}: the token is not a JWT"
    assert (caught.value.status, caught.value.code, caught.value.error_code) == (0, "invalid_token", "IDS-321")


@pytest.mark.parametrize(
    "written",
    [
        '"{}"',
        "Bearer {}",
        "authorization: bearer  {}",
        '{{"value": "{}"}}',
        '{{"kind": "TokenRequest", "status": {{"token": "{}"}}}}',
        '[{{"svids": [{{"svid": "{}"}}]}}]',
        '{{"data": {{"token": "{}", "ttl": 60}}}}',
        '{{"access_token": "{}"}}',
    ],
)
async def test_token_in_the_form_of_a_program(written: str) -> None:
    """A file may hold what a program printed: the token in quotes, behind `Bearer`, or in JSON."""
    text = token({"exp": NOW + 60})

    assert (await source(written.format(text)).token()).value == text


async def test_file_system_that_does_not_answer_is_transient() -> None:
    """The file is read off the event loop, with the time limit of the disk."""
    disk = HungDisk()

    with pytest.raises(Unreachable, match=r"^p\.tokenFile: /token: the file system did not answer") as caught:
        await token_file.build(TokenFileIdentity("/token"), "p", context(disk=disk)).token()

    assert (caught.value.error_code, disk.paths) == ("IDS-601", ["/token"])


def test_repr_of_a_source_shows_what_matters() -> None:
    """The repr of a source has no object of the program's machinery."""
    assert "disk" not in repr(source("opaque"))


def test_file_that_cannot_be_read_may_be_written_later(tmp_path: Path) -> None:
    """A file of any state may be replaced by its writer; a variable that is not set is an error of the settings."""
    path = tmp_path / "token"
    path.write_text("x")
    path.chmod(0o644)

    token_file.read(TokenFileIdentity(str(path)), "p", {})
    token_file.read(TokenFileIdentity(token_env_var_name="TOKEN"), "p", {"TOKEN": "x"})
    for unusable in (tmp_path / "missing", tmp_path):
        with pytest.raises(NotThereYet, match=rf"^p\.tokenFile: {unusable}: "):
            token_file.read(TokenFileIdentity(str(unusable)), "p", {})
    with pytest.raises(ConfigError, match=r"^p\.tokenEnvVarName: the environment variable TOKEN is not set"):
        token_file.read(TokenFileIdentity(token_env_var_name="TOKEN"), "p", {})


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        (TokenFileIdentity(), "p: tokenEnvVarName or tokenFile is required"),
        (TokenFileIdentity("/token", "TOKEN"), "p: tokenEnvVarName and tokenFile are both set; keep one"),
    ],
    ids=["none", "both"],
)
def test_exactly_one_key_says_where_the_token_is(identity: TokenFileIdentity, message: str) -> None:
    """The token is in a file or in a variable; nothing is read for that check."""
    with pytest.raises(ConfigError, match=f"^{message}$"):
        require(token_file.checks(identity, "p"))
    require(token_file.checks(TokenFileIdentity("/nowhere"), "p"))


@pytest.mark.parametrize("text", ["[" * 200 + "]" * 200, '{"a":' * 150 + "1" + "}" * 150])
async def test_json_without_end_of_levels(text: str) -> None:
    """Deep JSON in the place of a token is no token."""
    with pytest.raises(Refused, match="the token is not a JWT"):
        await source(text).token()


async def test_named_member_that_is_a_jwt() -> None:
    """An opaque access token beside an id token is passed over, because a foreign token must be a JWT."""
    text = token({"exp": NOW + 60})

    assert (await source(f'{{"access_token": "opaque", "id_token": "{text}"}}').token()).value == text
