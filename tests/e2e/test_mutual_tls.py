"""Mutual TLS and trust per connection, over real sockets: the certificate sent, the CA trusted, rotation."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from cryptography.x509 import load_pem_x509_certificates

from app.config.loader import Loaded, load
from app.core.clocks import Clocks
from app.core.errors import ConfigError, Refused, Unreachable
from app.core.events import Event, IdentityExpiry
from app.emulator import Emulator, World, bind, listening
from app.emulator.crypto.pki import Authority
from app.emulator.world.world import OIDC_CLIENT_ID, WORKLOAD_PROVIDER_ARN, role_arn, workload_issuer
from app.refresh.pipeline import Pipeline

ENVIRON = {"PASSWORD": "of-key", "WRONG": "of-another"}


@dataclass
class Site:
    """The emulated cloud, which requests client certificates, and the files of one client."""

    emulator: Emulator
    directory: Path
    ca_file: str
    tls_url: str

    def write(self, name: str = OIDC_CLIENT_ID, authority: Authority | None = None, **details: Any) -> None:
        """Write a new certificate and key to the client's files."""
        issued = authority.issue(name) if authority else self.emulator.issue_certificate(name, **details)
        (self.directory / "tls.crt").write_text(issued.leaf_pem + issued.chain_pem)
        (self.directory / "tls.key").write_text(issued.key_pem)

    def pipeline(self, events: list[Event] | None = None, *, identity: Any = None, exchange: Any = None) -> Pipeline:
        """Return a pipeline; `identity` and `exchange` change the settings of their connections."""
        loaded = self.load(identity=identity, exchange=exchange)
        observe = (events if events is not None else []).append
        return Pipeline(loaded.settings, ENVIRON, clocks=Clocks(), observe=observe)

    def load(self, *, identity: Any = None, exchange: Any = None, patient: bool = False) -> Loaded:
        """Return the configuration. `patient`: as `serve` loads it, which waits for files."""
        files = {"certificateFile": f"{self.directory}/tls.crt", "privateKeyFile": f"{self.directory}/tls.key"}
        profile = {
            "identity": {
                "type": "oidcClient",
                "issuer": workload_issuer(self.emulator.world),
                "clientId": OIDC_CLIENT_ID,
                "clientAuthentication": {"method": "tls_client_auth"},
                "connection": {"caFile": self.ca_file} | files | (identity or {}),
            },
            "exchange": {
                "roleArn": role_arn("default"),
                "oidcProviderArn": WORKLOAD_PROVIDER_ARN,
                "endpoints": [self.tls_url],
                "connection": {"caFile": self.ca_file} | (exchange or {}),
            },
        }
        path = self.directory / "config.json"
        path.write_text(json.dumps({"configVersion": "1.0", "profiles": {"default": profile}}))
        return load(str(path), ENVIRON, hostname="host-1", now=time.time, patient=patient)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """An emulated cloud on real sockets and a client with a certificate."""
    sockets = bind()
    emulator = Emulator(World.default(issuer=f"{sockets.tls_url}/api/v2/iauths_system/oauth2"))
    async with listening(emulator, directory=tmp_path, sockets=sockets, client_ca=emulator.workload_ca) as where:
        site = Site(emulator, tmp_path, str(where.ca_file), where.tls_url)
        site.write()
        yield site


@pytest.fixture
def offline_site(tmp_path: Path) -> Site:
    """A client with a certificate whose cloud does not listen."""
    emulator = Emulator(World.default())
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text(emulator.workload_ca)
    site = Site(emulator, tmp_path, str(ca_file), "https://127.0.0.1:1")
    site.write()
    return site


async def test_certificate_authenticates_the_client(site: Site) -> None:
    """The certificate alone authenticates the client, at a discovered endpoint, and its expiry is an event."""
    events: list[Event] = []
    pipeline = site.pipeline(events)
    try:
        await pipeline.fetch("default")
    finally:
        await pipeline.aclose()

    form = next(call for call in site.emulator.journal if "grant_type" in call.fields).fields
    (expiry,) = [event for event in events if isinstance(event, IdentityExpiry)]
    assert not form.keys() & {"client_secret", "client_assertion", "authorization"}
    assert expiry.kind == "tlsCertificate"
    assert 29 * 86400 < expiry.not_after - time.time() < 31 * 86400


@pytest.mark.parametrize("form", ["DER", "PKCS#12", "base64 of PEM"])
async def test_forms_of_certificate_and_key(form: str, site: Site) -> None:
    """Certificate and key are presented in the forms that portals export, and their expiry is an event."""
    certificate, key = site.directory / "tls.crt", site.directory / "tls.key"
    chain = load_pem_x509_certificates(certificate.read_bytes())
    private = load_pem_private_key(key.read_bytes(), None)
    assert isinstance(private, EllipticCurvePrivateKey)
    if form == "DER":  # the key alone: a server that knows only the root needs the whole chain
        key.write_bytes(private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"of-key")))
    elif form == "PKCS#12":
        bundle = serialize_key_and_certificates(b"a", private, chain[0], chain[1:], BestAvailableEncryption(b"of-key"))
        certificate.write_bytes(bundle)
        key.write_bytes(bundle)
    else:
        certificate.write_bytes(base64.b64encode(certificate.read_bytes()))
        key.write_bytes(base64.encodebytes(key.read_bytes()))
    password = {} if form == "base64 of PEM" else {"privateKeyPasswordEnvVarName": "PASSWORD"}
    events: list[Event] = []
    pipeline = site.pipeline(events, identity=password)
    try:
        await pipeline.fetch("default")
    finally:
        await pipeline.aclose()

    end = chain[0].not_valid_after_utc.timestamp()
    assert [event.not_after for event in events if isinstance(event, IdentityExpiry)] == [end]


async def test_rotated_certificate_is_used_next(site: Site) -> None:
    """The next request after a change of the files uses the new certificate, without a restart."""
    # A token that lives for a minute is not reused, so that each fetch authenticates again.
    site.emulator.world = replace(site.emulator.world, token_seconds=60)
    pipeline = site.pipeline()
    try:
        await pipeline.fetch("default")
        site.write("another-client")
        with pytest.raises(Refused, match="invalid_client"):
            await pipeline.fetch("default")
        site.write()
        await pipeline.fetch("default")
    finally:
        await pipeline.aclose()


async def test_certificate_of_another_ca(site: Site) -> None:
    """A certificate of a CA that the server does not know ends the connection."""
    site.write(authority=Authority("another CA", time.time))
    pipeline = site.pipeline()
    try:
        with pytest.raises(Unreachable):
            await pipeline.fetch("default")
    finally:
        await pipeline.aclose()


async def test_each_connection_has_its_own_ca(site: Site) -> None:
    """The exchange's connection trusts only its own CA, and the error names the endpoint and the cause."""
    (site.directory / "other.pem").write_text(site.emulator.workload_ca)
    pipeline = site.pipeline(exchange={"caFile": f"{site.directory}/other.pem"})
    try:
        with pytest.raises(
            Unreachable, match=f"{site.tls_url}/: could not connect: the server's certificate is not from a trusted CA"
        ):
            await pipeline.fetch("default")
    finally:
        await pipeline.aclose()

    assert [call.kind for call in site.emulator.journal] == ["workload", "workload"]


@pytest.mark.parametrize(
    ("write", "message"),
    [
        ({"tls.key": "not a key"}, "privateKeyFile: .*tls.key: no usable private key"),
        ({"tls.crt": "not a certificate"}, "certificateFile: .*tls.crt: no usable certificate"),
    ],
)
def test_unusable_files(write: dict[str, str], message: str, offline_site: Site, tmp_path: Path) -> None:
    """A certificate or key that cannot be used is an error at start that names the configuration key."""
    for name, text in write.items():
        (tmp_path / name).write_text(text)

    with pytest.raises(ConfigError, match=f"identity.connection.{message}"):
        offline_site.pipeline()


@pytest.mark.parametrize("name", ["tls.crt", "tls.key", "ca.pem"])
def test_empty_file_is_waited_for(name: str, offline_site: Site, tmp_path: Path) -> None:
    """A program that writes certificates may make an empty file first: the start waits, as for one that is missing."""
    (tmp_path / name).write_bytes(b"")

    warnings = offline_site.load(patient=True).warnings

    assert {each.error_code for each in warnings} == {"IDS-124"}
    assert all(each.endswith(f"/{name}: empty; waiting for the program that writes it") for each in warnings)


def test_key_of_another_certificate(offline_site: Site, tmp_path: Path) -> None:
    """A key that does not belong to the certificate is an error at start."""
    (tmp_path / "tls.key").write_text(offline_site.emulator.issue_certificate().key_pem)

    with pytest.raises(ConfigError, match="the key does not belong to the certificate"):
        offline_site.pipeline()


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ({"privateKeyPasswordEnvVarName": "PASSWORD"}, None),
        ({"privateKeyPasswordEnvVarName": "WRONG"}, "the password is wrong, or the key damaged"),
        ({"privateKeyPasswordEnvVarName": "NOT_SET"}, "environment variable NOT_SET is not set"),
        ({}, "it is encrypted; name its password with privateKeyPasswordEnvVarName"),
    ],
)
def test_encrypted_key(password: dict[str, str], message: str | None, offline_site: Site, tmp_path: Path) -> None:
    """The password of a key comes from a variable; a wrong or missing one is an error at start, without a prompt."""
    key = load_pem_private_key((tmp_path / "tls.key").read_bytes(), None)
    encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"of-key"))
    (tmp_path / "tls.key").write_bytes(encrypted)

    if message is None:
        assert offline_site.pipeline(identity=password)
        return
    with pytest.raises(ConfigError, match=message):
        offline_site.pipeline(identity=password)
