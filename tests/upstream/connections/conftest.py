"""A CA, and a directory of its certificates."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A CA of this module."""
    return trustme.CA()


@pytest.fixture
def files(tmp_path: Path, authority: trustme.CA) -> Path:
    """A directory with a CA, two certificates with their keys, and files that are neither."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    for name in ("client", "other"):
        issued = authority.issue_cert(f"{name}.example.com")
        key = issued.private_key_pem.bytes()
        leaf = issued.cert_chain_pems[0].bytes()
        (tmp_path / f"{name}.crt").write_bytes(leaf)
        (tmp_path / f"{name}.key").write_bytes(key)
        (tmp_path / f"{name}.both").write_bytes(key + leaf)
        encrypted = load_pem_private_key(key, None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"of-key")
        )
        (tmp_path / f"{name}.encrypted").write_bytes(encrypted)
    (tmp_path / "text").write_text("words")
    (tmp_path / "oct.jwk").write_text('{"kty": "oct", "k": "c2VjcmV0"}')
    (tmp_path / "empty").touch(mode=0o600)
    (tmp_path / "large").write_bytes(b"x" * 1_048_577)
    return tmp_path
