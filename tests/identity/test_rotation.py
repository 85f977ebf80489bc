"""Rotation of keys, certificates and tokens: the next fetch uses the new ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from app.core.errors import Unreachable
from app.core.events import IdentityExpiry
from app.emulator.world.world import CLIENT_ID

from ..clock import Clock
from ..conftest import Offline, exchange, running
from ..workload import Workload
from .identities import oidc_token, one_profile, pca, pkcs7, private_key_jwt

Build = Callable[..., Offline]


async def fetch_around(
    workload: Workload, offline: Build, identity: dict[str, Any], change: Callable[[], object]
) -> Offline:
    """Fetch, call `change`, and fetch again with the same sidecar after its token has expired."""
    sidecar = offline(one_profile(identity, exchange()), workload.environ)
    await sidecar.fetch()
    change()
    sidecar.clock.skip(1200)
    await sidecar.fetch()
    return sidecar


async def test_rotated_private_key_is_used(workload: Workload, offline: Build) -> None:
    """After a rotation the assertion is signed with the new key; the emulator would refuse the old one."""
    identity = private_key_jwt(workload)

    await fetch_around(workload, offline, identity, lambda: workload.register_key(CLIENT_ID))

    assert [call.outcome for call in workload.emulator.journal] == ["ok"] * 4


async def test_rotated_certificate_is_used(workload: Workload, offline: Build) -> None:
    """After certificate, key and chain are replaced, the expiry of the new certificate is reported."""
    identity = pca(workload)

    sidecar = await fetch_around(workload, offline, identity, lambda: pca(workload, days=60))

    expiries = [event.not_after for event in sidecar.events if isinstance(event, IdentityExpiry)]
    assert len(expiries) == 2
    assert expiries[1] - expiries[0] == 30 * 86400


async def test_key_rotation_does_not_disturb_readers(workload: Workload, offline: Build, clock: Clock) -> None:
    """A refresher takes the new key at its next refresh, and every read in between gets valid credentials."""
    sidecar = offline(one_profile(private_key_jwt(workload), exchange()), workload.environ)
    refresher = sidecar.refreshers["default"]
    held = []
    async with running(refresher):
        await refresher.settled()
        for _ in range(5):
            workload.register_key(CLIENT_ID)
            for _ in range(4):
                clock.skip(await clock.asleep() / 4)
                held.append(refresher.credentials())
            await clock.wake()
            await refresher.settled()

    assert all(item.expires_at > item.issued_at for item in held)
    assert len({item.access_key_id for item in held}) == 5
    assert {call.outcome for call in workload.emulator.journal} == {"ok"}


async def test_half_replaced_certificate_is_retried(workload: Workload, offline: Build) -> None:
    """A new certificate with the old key causes no request, and the error is transient."""
    sidecar = offline(one_profile(pca(workload), exchange()), workload.environ)
    workload.write_file("tls.crt", workload.emulator.issue_certificate(CLIENT_ID).leaf_pem)

    message = "the private key does not belong to the certificate in .*/tls.crt; write the key and the certificate"
    with pytest.raises(Unreachable, match=message):
        await sidecar.fetch()

    assert not workload.emulator.journal


async def test_rotated_cluster_token_is_used(workload: Workload, offline: Build) -> None:
    """After kubelet writes a new token, the next request carries it."""
    identity = oidc_token(workload)

    await fetch_around(
        workload, offline, identity, lambda: workload.write_file("token", workload.emulator.workload_token(jti="2"))
    )

    sent = [call.fields["client_assertion"] for call in workload.emulator.journal if call.kind == "token"]
    assert len(set(sent)) == 2


async def test_identity_document_is_requested_each_time(workload: Workload, offline: Build) -> None:
    """Each token request carries a new identity document, signed at that time."""
    await fetch_around(workload, offline, pkcs7(workload), lambda: None)

    audiences = [call.fields["audience"] for call in workload.emulator.journal if "audience" in call.fields]
    times = [json.loads(audience)["signingTime"] for audience in audiences]
    assert times[1] - times[0] == 1200
