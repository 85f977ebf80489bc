"""A second request after a refusal of the client: with another proof, or not at all."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from app.core.errors import Refused, Unreachable
from app.identity.client_auth import Proof, jwt_bearer
from app.identity.token_endpoint import TokenEndpoint, constant

from ..upstream.fake_http import FakeHttp, answer
from .contexts import NOW
from .test_jwt_claims import token

URL = "https://idp.example.com/token"
REFUSED = answer({"error": "invalid_client"}, 401)
TOKEN = answer({"access_token": token({}), "expires_in": 60})


class Proofs:
    """Makes proofs of these assertions, one after the other."""

    def __init__(self, *assertions: str) -> None:
        self._assertions = iter(assertions)

    async def prove(self, endpoint: str) -> Proof:
        """Return the next proof."""
        assert endpoint == URL
        return jwt_bearer(next(self._assertions))


async def sent(http: FakeHttp, *assertions: str) -> list[str]:
    """Request a token with these proofs, and return the assertions that were sent."""
    endpoint = TokenEndpoint(http, constant(URL), "client", Proofs(*assertions), lambda: NOW)
    try:
        await endpoint.request({"grant_type": "client_credentials"})
    finally:
        found = [each.fields["client_assertion"] for each in http.sent]
    return found


async def test_type_of_the_token_is_no_secret() -> None:
    """A message does not quote a token type that repeats the client's proof."""
    said = replace(answer({"access_token": token({}), "token_type": "the-assertion"}), sent=("the-assertion",))

    with pytest.raises(Unreachable, match=r"a token of type \(unreadable\), not Bearer$"):
        await sent(FakeHttp(said), "the-assertion")


async def test_claims_repeat_no_proof() -> None:
    """A token whose subject is the client's proof is refused; one whose subject is the client is used."""
    http = FakeHttp(
        *(replace(answer({"access_token": token({"sub": sub}), "expires_in": 60}), sent=("client-proof",)) for sub in
          ("client", "client-proof"))
    )  # fmt: skip

    assert await sent(http, "client-proof") == ["client-proof"]
    with pytest.raises(Unreachable, match="the sub of the access_token repeats a secret of the request"):
        await sent(http, "client-proof")


async def test_other_proof_is_sent() -> None:
    """A token that its writer has just replaced, and a new assertion, are sent at once."""
    assert await sent(FakeHttp(REFUSED, TOKEN), "old", "new") == ["old", "new"]


@pytest.mark.parametrize("answers", [(REFUSED,), (answer({"error": "invalid_grant"}, 400),)])
async def test_same_proof_is_not_sent_again(answers: tuple[object, ...]) -> None:
    """A proof that was refused and that is the same when it is read again is sent once."""
    http = FakeHttp(*answers)  # type: ignore[arg-type]
    with pytest.raises(Refused):
        await sent(http, "old", "old")

    assert len(http.sent) == 1
