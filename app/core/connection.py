"""How one leg reaches its server, as settings."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .base import OtherFile, ProofFile, Strict

Milliseconds = Annotated[int, Meta(ge=2000, le=60000)]


class Connection(Strict, frozen=True):
    """How one leg reaches its server where that differs from the rest: trust, proxy, mutual TLS."""

    ca_file: Annotated[
        OtherFile | None, Meta(description="PEM bundle to trust on this leg alone; null: tls.caFile.")
    ] = None
    proxy: Annotated[
        str | None,
        Meta(description='http(s) proxy of this leg; "none": none at all; null: the one of the whole file.'),
    ] = None
    certificate_file: Annotated[
        ProofFile | None,
        Meta(description="Client certificate for mutual TLS, PEM, leaf first; read again when it has changed."),
    ] = None
    private_key_file: Annotated[
        ProofFile | None,
        Meta(description="Its private key, PEM; null: it stands in certificateFile."),
    ] = None
    private_key_password_env_var_name: Annotated[
        str | None, Meta(description="Environment variable that holds the password of an encrypted key.")
    ] = None


class HttpConfiguration(Strict, frozen=True):
    """Limits of the calls to the token endpoint, in milliseconds, as the IDaaS SDK names them."""

    connect_timeout: Annotated[Milliseconds, Meta(description="Milliseconds to connect.")] = 5000
    read_timeout: Annotated[Milliseconds, Meta(description="Milliseconds to the next byte.")] = 10000
    unsafe_ignore_ssl_cert: Annotated[
        bool, Meta(description="Switches TLS verification off. Warned about at start and in metrics.")
    ] = False
