"""How requests reach one server, as settings."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .base import OtherFile, ProofFile, Strict

Milliseconds = Annotated[int, Meta(ge=2000, le=60000)]


class Connection(Strict, frozen=True):
    """Settings of the connection to one server, if they differ from the rest of the file: trust, proxy, mutual TLS."""

    ca_file: Annotated[
        OtherFile | None,
        Meta(description="CA certificates to trust for this server: PEM or DER, also as base64. null: `tls.caFile`."),
    ] = None
    proxy: Annotated[
        str | None,
        Meta(description="HTTP proxy for this server. `none`: no proxy. null: the `proxy` of the file."),
    ] = None
    certificate_file: Annotated[
        ProofFile | None,
        Meta(
            description="Client certificate for mutual TLS, followed by its issuers: PEM, DER or PKCS#12, also as "
            "base64. A changed file is read again."
        ),
    ] = None
    private_key_file: Annotated[
        ProofFile | None,
        Meta(
            description="Private key of the client certificate: PEM, DER, JWK or PKCS#12, also as base64. null: it is "
            "in `certificateFile`."
        ),
    ] = None
    private_key_password_env_var_name: Annotated[
        str | None,
        Meta(description="Environment variable that holds the password of an encrypted private key or a PKCS#12."),
    ] = None


class HttpConfiguration(Strict, frozen=True):
    """Time limits of requests to the token endpoint, under the IDaaS SDK's names."""

    connect_timeout: Annotated[Milliseconds, Meta(description="Milliseconds to connect.")] = 5000
    read_timeout: Annotated[Milliseconds, Meta(description="Milliseconds to the next byte.")] = 10000
    unsafe_ignore_ssl_cert: Annotated[
        bool, Meta(description="Disable TLS verification. A warning at start and a metric report it.")
    ] = False
