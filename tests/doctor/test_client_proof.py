"""The cure of a client that the token endpoint refuses."""

from __future__ import annotations

import msgspec
import pytest

from app.doctor.client_proof import cure
from app.identity.idaas import IdaasIdentity
from app.identity.identities import Identity

from ..conftest import identity


def configured(**method: str) -> Identity:
    """Return an identity of IDaaS with an authentication method."""
    return msgspec.convert(identity(authnConfiguration=method), IdaasIdentity)


@pytest.mark.parametrize(
    ("method", "says"),
    [
        (
            {"authnMethod": "CLIENT_SECRET_POST", "clientSecretFile": "/run/secrets/client"},
            "a current secret from the application's page into p.clientId and the file /run/secrets/client",
        ),
        (
            {"authnMethod": "CLIENT_SECRET_JWT", "clientSecretEnvVarName": "CLIENT_SECRET"},
            "into p.clientId and the variable CLIENT_SECRET",
        ),
        (
            {
                "authnMethod": "PRIVATE_KEY_JWT",
                "privateKeyFile": "/run/secrets/key.pem",
                "privateKeyPasswordEnvVarName": "PASSWORD",
            },
            "into p.clientId, and register there the key that is in the file /run/secrets/key.pem, or",
        ),
        ({"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "s3cr3t-Value"}, "and the variable"),
    ],
)
def test_cure_names_where_the_proof_comes_from(method: dict[str, str], says: str) -> None:
    """The cure names the variable or file of this profile, and no clock that is right. It shows no secret."""
    found = cure(configured(**method), "p", "", clock_is_off=False)

    assert says in found
    assert "clock" not in found
    assert "s3cr3t" not in found
    assert "PASSWORD" not in found


def test_cure_of_an_assertion_begins_with_a_clock_that_is_off() -> None:
    """A signed assertion may be refused for its time; a secret is not."""
    key = configured(authnMethod="PRIVATE_KEY_JWT", privateKeyFile="/run/secrets/key.pem")
    secret = configured(authnMethod="CLIENT_SECRET_POST", clientSecretFile="/run/secrets/client")

    assert cure(key, "p", "", clock_is_off=True).startswith("synchronise this machine's clock; then copy clientId")
    assert "clock" not in cure(secret, "p", "", clock_is_off=True)
