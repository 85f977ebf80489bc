"""
The emulated cloud: Alibaba Cloud IDaaS and STS as one ASGI application that verifies what it is sent.

    world = World.default()
    emulator = Emulator(world)
    emulator.faults.add(Fault("sts", status=503))

For tests in process (`httpx.ASGITransport(app=emulator)`), and on real sockets through `listening`. It
imports nothing of the sidecar: two implementations of one contract that meet on the wire, so a mistake is not
copied into its own check.
"""

from .application import FAULT_HEADER, Emulator
from .crypto.pki import IssuedCertificate
from .http.faults import DroppedError, Fault, Faults
from .http.journal import Call, Journal
from .http.response import MARK_HEADER
from .listeners import Listening, Sockets, bind, listening
from .world.world import (
    AccessKey,
    Client,
    Federated,
    ManagedRole,
    Provider,
    PublicKey,
    ResourceServer,
    Role,
    Secret,
    World,
    WorldError,
)

__all__ = [
    "FAULT_HEADER",
    "MARK_HEADER",
    "AccessKey",
    "Call",
    "Client",
    "DroppedError",
    "Emulator",
    "Fault",
    "Faults",
    "Federated",
    "IssuedCertificate",
    "Journal",
    "Listening",
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
