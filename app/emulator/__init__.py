"""
The emulated cloud: Alibaba Cloud IDaaS and STS as one ASGI application that verifies every request.

    world = World.default()
    emulator = Emulator(world)
    emulator.faults.add(Fault("sts", status=503))

Tests use it in process (`httpx.ASGITransport(app=emulator)`) or on real sockets through `listening`.

The package imports nothing of the sidecar. The two implementations of one contract meet on the wire alone, so that a
mistake in one is not copied into its own check.
"""

from .application import FAULT_HEADER, Emulator
from .crypto.pki import IssuedCertificate
from .http.faults import DroppedError, Fault, Faults
from .http.journal import Call, Journal
from .http.response import MARKER_HEADER
from .listeners import ListenAddress, Sockets, bind, listening
from .world.entities import (
    AccessKey,
    Client,
    FederatedCredential,
    ManagedRole,
    Provider,
    PublicKey,
    ResourceServer,
    Role,
    Secret,
    WorldError,
)
from .world.world import World

__all__ = [
    "FAULT_HEADER",
    "MARKER_HEADER",
    "AccessKey",
    "Call",
    "Client",
    "DroppedError",
    "Emulator",
    "Fault",
    "Faults",
    "FederatedCredential",
    "IssuedCertificate",
    "Journal",
    "ListenAddress",
    "ManagedRole",
    "Provider",
    "PublicKey",
    "ResourceServer",
    "Role",
    "Secret",
    "Sockets",
    "World",
    "WorldError",
    "bind",
    "listening",
]
