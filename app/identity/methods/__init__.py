"""The authentication methods, one file each, and their tables.

A new method needs one file with its settings class (`method.py` lists the functions), and one row here. The tag of the
class is the value of `authnMethod` (IDaaS) or `method` (any OpenID provider) that selects the method. May import the
other modules of `identity` except the identity kinds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Union

from . import (
    client_assertion,
    client_secret_basic,
    client_secret_jwt,
    client_secret_post,
    oidc,
    pca,
    pkcs7,
    plugin,
    private_key_jwt,
    tls_client_auth,
)
from .method import Method

IDAAS_METHODS: tuple[type[Method], ...] = (
    client_secret_post.IdaasClientSecretPost,
    client_secret_basic.IdaasClientSecretBasic,
    client_secret_jwt.IdaasClientSecretJwt,
    private_key_jwt.IdaasPrivateKeyJwt,
    pkcs7.IdaasPkcs7,
    oidc.IdaasOidc,
    pca.IdaasPca,
    plugin.IdaasPlugin,
)
"""The methods that `authnConfiguration.authnMethod` selects."""

OAUTH_METHODS: tuple[type[Method], ...] = (
    client_secret_basic.OAuthClientSecretBasic,
    client_secret_post.OAuthClientSecretPost,
    client_secret_jwt.OAuthClientSecretJwt,
    private_key_jwt.OAuthPrivateKeyJwt,
    client_assertion.OAuthClientAssertion,
    tls_client_auth.OAuthTlsClientAuth,
)
"""The methods that `clientAuthentication.method` selects."""

if TYPE_CHECKING:
    IdaasMethod = Method
    OAuthMethod = Method
else:  # msgspec needs the union of the classes; a type checker needs their common base class
    IdaasMethod = Union[IDAAS_METHODS]  # noqa: UP007 - a union of a tuple
    OAuthMethod = Union[OAUTH_METHODS]  # noqa: UP007
