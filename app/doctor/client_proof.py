"""The cure for a refused client: the place of the profile's client id, and of its secret or key."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.display import shown_path, shown_variable
from ..identity import identities
from ..identity.identities import Identity
from ..identity.methods.keys import ClientSecretMethod
from ..identity.methods.method import Method

CLIENT_REFUSED = "IDS-301"

_SECRET = "copy clientId and a current secret from the application's page into {client} and {proof}"  # noqa: S105
_KEY = "copy clientId from the application's page into {client}, and register there the key that is in {proof}"
_OTHER = "copy clientId from the application's page into {client}, and correct {method}"


def cure(identity: Identity, place: str, endpoint: str, *, clock_is_off: bool) -> str:
    """
    Return the cure if the token endpoint at the URL `endpoint` refuses the client; empty without a client.

    `place`: the key path of the identity. A signed assertion may also be refused for its time. If the step `clock`
    found a wrong clock, the cure begins with the clock.
    """
    clients = [
        (part, where, found)
        for part, where in identities.parts(identity, place)
        if (found := identities.method_of(part, where)) is not None
    ]
    if not clients:
        return ""
    part, where, (method, method_place) = next(
        (each for each in clients if identities.own_url(each[0], each[1]) == endpoint), clients[0]
    )
    proof = " and ".join(_sources(method))
    secret = isinstance(method, ClientSecretMethod)
    text = (_SECRET if secret else _KEY if proof else _OTHER).format(
        client=f"{where}.{part.key('client_id')}", proof=proof, method=method_place
    )
    text += f", or enable the method {method.__struct_config__.tag} there"
    return text if secret or not clock_is_off else f"synchronise this machine's clock; then {text}"


def _sources(method: Method) -> Iterator[str]:
    """Yield the variables and files from which the proof is read, without the password of a key."""
    for name in method.__struct_fields__:
        value = getattr(method, name)
        if not value or "password" in name:
            continue
        if name.endswith("_env_var_name"):
            yield f"the variable {shown_variable(value)}"
        elif name.endswith("_file"):
            yield f"the file {shown_path(value)}"
