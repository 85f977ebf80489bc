"""The workload that a test authenticates: its files, its environment, and the cloud that knows its keys."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app.emulator import Emulator, PublicKey
from app.emulator.world.world import CLIENT_SECRET, OIDC_CLIENT_SECRET, SCOPE


class Workload:
    """A directory for files, environment variables, the requested scope, a workload token, and the emulated cloud."""

    def __init__(self, directory: Path, emulator: Emulator) -> None:
        self.directory = directory
        self.emulator = emulator
        self.environ = {"IDAAS_SECRET": CLIENT_SECRET, "OIDC_SECRET": OIDC_CLIENT_SECRET, "HOME": str(directory)}
        self.scope = SCOPE
        self.token = emulator.workload_token()

    def write_file(self, name: str, text: str) -> str:
        """Write a file and return its path."""
        path = self.directory / name
        path.write_text(text)
        return str(path)

    def register_key(self, client_id: str) -> str:
        """Replace the client's registered key by a new one, and return the path of its private half."""
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        world = self.emulator.world
        client = replace(world.clients[client_id], public_keys=(PublicKey(public.decode()),))
        self.emulator.world = replace(world, clients={**world.clients, client_id: client})
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return self.write_file("key.pem", private.decode())
