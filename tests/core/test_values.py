"""Values that several packages share: what a state means, and which members are secret."""

from __future__ import annotations

from typing import get_args

import pytest

from app.core.values import STATES, Credentials, State, Status, Token, TokenUse


@pytest.mark.parametrize("state", get_args(State))
def test_fresh_and_stale_profiles_are_usable(state: State) -> None:
    """Every state has a meaning, and a profile has credentials to serve in two of them."""
    status = Status("default", True, state, None, 0.0, None, 0, None)

    assert (
        list(STATES)
        == ["starting", "fresh", "stale", "denied", "misconfigured", "expired", "dropped"]
        == list(get_args(State))
    )
    assert status.usable is (state in ("fresh", "stale"))
    assert status.last_error_permanent is False


def test_repr_hides_secrets() -> None:
    """The repr of a token and of credentials has nothing that can be presented."""
    assert repr(Token("s3cr3t", 1.0)) == "Token(expires_at=1.0)"
    assert repr(Credentials("STS.id", "s3cr3t", "t0ken", 1.0, 2.0)) == (
        "Credentials(access_key_id='STS.id', issued_at=1.0, expires_at=2.0, request_id='')"
    )


def test_token_uses_are_those_of_a_token_response() -> None:
    """The token that STS gets is named as in the token response."""
    assert get_args(TokenUse) == ("access_token", "id_token")
