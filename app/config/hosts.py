"""The hosts by which clients may name the sidecar."""

from __future__ import annotations

from ..core.addresses import bracketed, canonical_host, listen_address
from .settings import ALLOWED_HOSTS, Settings


def allowed_hosts(settings: Settings) -> frozenset[str]:
    """
    Return the accepted hosts of a Host header, in the spelling of `canonical_host`.

    These are the hosts of `access.allowedHosts`. If the key has its default, the listeners' addresses are added.
    """
    hosts, server = list(settings.access.allowed_hosts), settings.server
    if hosts == list(ALLOWED_HOSTS):
        for key, address in (("bind", server.bind), ("metadata", server.metadata), ("ops", server.ops)):
            if address is not None:
                hosts.append(bracketed(listen_address(address, f"server.{key}")[0]))
    return frozenset(map(canonical_host, hosts))
