"""Mutual TLS and trust per leg, over real sockets: what is shown, what is believed, and that files may change."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from app.config.loader import load
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
    """The emulated cloud, which asks for client certificates, and the files of one client."""

    emulator: Emulator
    directory: Path
    ca_file: str
    tls_url: str

    def write(self, name: str = OIDC_CLIENT_ID, authority: Authority | None = None, **details: Any) -> None:
        """A new certificate and key in the client's files."""
        issued = authority.issue(name) if authority else self.emulator.issue_certificate(name, **details)
        (self.directory / "tls.crt").write_text(issued.leaf_pem + issued.chain_pem)
        (self.directory / "tls.key").write_text(issued.key_pem)

    def cloud(self, events: list[Event] | None = None, *, identity: Any = None, exchange: Any = None) -> Pipeline:
        """Our outbound half; `identity` and `exchange` change their connections."""
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
        loaded = load(str(path), ENVIRON, hostname="host-1", now=time.time)
        observe = (events if events is not None else []).append
        return Pipeline(loaded.settings, ENVIRON, clocks=Clocks(), observe=observe)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    sockets = bind()
    emulator = Emulator(World.default(issuer=f"{sockets.tls_url}/api/v2/iauths_system/oauth2"))
    async with listening(emulator, directory=tmp_path, sockets=sockets, client_ca=emulator.workload_ca) as where:
        site = Site(emulator, tmp_path, str(where.ca_file), where.tls_url)
        site.write()
        yield site


async def test_the_certificate_proves_the_client(site: Site) -> None:
    """By discovery, with the certificate of the connection and nothing else; when it ends is told."""
    events: list[Event] = []
    cloud = site.cloud(events)
    try:
        await cloud.fetch("default")
    finally:
        await cloud.aclose()

    form = next(call for call in site.emulator.journal if "grant_type" in call.fields).fields
    (end,) = [event for event in events if isinstance(event, IdentityExpiry)]
    assert not form.keys() & {"client_secret", "client_assertion", "authorization"}
    assert end.kind == "tlsCertificate"
    assert 29 * 86400 < end.not_after - time.time() < 31 * 86400


async def test_a_rotated_certificate_is_shown_next(site: Site) -> None:
    """The files change under a running sidecar: the next request shows the new ones, with no restart."""
    # Tokens of a minute are never handed out twice, so that each fetch proves itself anew.
    site.emulator.world = replace(site.emulator.world, token_seconds=60)
    cloud = site.cloud()
    try:
        await cloud.fetch("default")
        site.write("somebody")
        with pytest.raises(Refused, match="invalid_client"):
            await cloud.fetch("default")
        site.write()
        await cloud.fetch("default")
    finally:
        await cloud.aclose()


async def test_another_authoritys_certificate(site: Site) -> None:
    """A certificate that the server does not know ends the connection."""
    site.write(authority=Authority("somebody else", time.time))
    cloud = site.cloud()
    try:
        with pytest.raises(Unreachable):
            await cloud.fetch("default")
    finally:
        await cloud.aclose()


async def test_each_leg_believes_its_own_authority(site: Site) -> None:
    """The identity's leg trusts the server's CA, the exchange's leg another one, and says so."""
    (site.directory / "other.pem").write_text(site.emulator.workload_ca)
    cloud = site.cloud(exchange={"caFile": f"{site.directory}/other.pem"})
    try:
        with pytest.raises(
            Unreachable, match=f"{site.tls_url}/: could not connect: the server's certificate is not from a trusted CA"
        ):
            await cloud.fetch("default")
    finally:
        await cloud.aclose()

    assert [call.kind for call in site.emulator.journal] == ["workload", "workload"]


@pytest.mark.parametrize(
    ("write", "words"),
    [
        ({"tls.key": "no key"}, "no usable certificate with its key"),
        ({"tls.crt": "no certificate"}, "no usable certificate with its key"),
        ({"tls.crt": "", "tls.key": ""}, "no usable certificate with its key"),
    ],
)
def test_files_that_are_none(write: dict[str, str], words: str, tmp_path: Path) -> None:
    """A certificate that cannot be used is found at start, with the key that names it."""
    emulator = Emulator(World.default())
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text(emulator.workload_ca)
    site = Site(emulator, tmp_path, str(ca_file), "https://127.0.0.1:1")
    site.write()
    for name, text in write.items():
        (tmp_path / name).write_text(text)

    with pytest.raises(ConfigError, match=rf"identity.connection.certificateFile: .*tls.crt: {words}"):
        site.cloud()


def test_a_key_of_another_certificate(tmp_path: Path) -> None:
    """Certificate and key that do not belong together."""
    emulator = Emulator(World.default())
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text(emulator.workload_ca)
    site = Site(emulator, tmp_path, str(ca_file), "https://127.0.0.1:1")
    site.write()
    (tmp_path / "tls.key").write_text(emulator.issue_certificate().key_pem)

    with pytest.raises(ConfigError, match="the key does not belong to the certificate"):
        site.cloud()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"privateKeyPasswordEnvVarName": "PASSWORD"}, None),
        ({"privateKeyPasswordEnvVarName": "WRONG"}, "no usable certificate with its key"),
        ({"privateKeyPasswordEnvVarName": "NOT_SET"}, "environment variable NOT_SET is not set"),
        ({}, "no usable certificate with its key"),
    ],
)
def test_an_encrypted_key(more: dict[str, str], words: str | None, tmp_path: Path) -> None:
    """Its password is a variable's; a wrong one or none is found at start, and nobody is asked on a terminal."""
    emulator = Emulator(World.default())
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text(emulator.workload_ca)
    site = Site(emulator, tmp_path, str(ca_file), "https://127.0.0.1:1")
    site.write()
    key = load_pem_private_key((tmp_path / "tls.key").read_bytes(), None)
    encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"of-key"))
    (tmp_path / "tls.key").write_bytes(encrypted)

    if words is None:
        assert site.cloud(identity=more)
        return
    with pytest.raises(ConfigError, match=words):
        site.cloud(identity=more)
