"""The trust and the client certificate of a connection with test files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.upstream.connections.tls import Trust
from app.upstream.keys.client_certificate import ClientCertificate

PLACE = "exchange.connection"


def trust(files: Path, ca: str | None = None, environ: dict[str, str] | None = None, **changes: Any) -> Trust:
    """Return the trust of a connection with a CA file."""
    return Trust(str(files / ca) if ca else None, "tls.caFile", environ or {}, **changes)


def client(files: Path, certificate: str, key: str | None, password: str | None = None) -> ClientCertificate:
    """Return a client certificate by the names of its files."""
    return ClientCertificate(
        str(files / certificate),
        str(files / key) if key else None,
        (lambda: password) if password is not None else None,
        f"{PLACE}.certificateFile",
        f"{PLACE}.privateKeyFile" if key else f"{PLACE}.certificateFile",
    )


def presenting(files: Path, certificate: str, key: str | None, password: str | None = None) -> Trust:
    """Return the trust of a connection with a client certificate."""
    return trust(files, "ca.pem", client=client(files, certificate, key, password))
