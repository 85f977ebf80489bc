"""The CAs that `setup` and `doctor` trust when they connect to an issuer without the sidecar's HTTP client."""

from __future__ import annotations

import ssl

from ..core.errors import ConfigError
from ..upstream.keys import ca_bundle


def trusting(path: str | None) -> ssl.SSLContext:
    """
    Return a context that trusts the CAs in the file at `path`, or those of the system without a path.

    Raises ConfigError. Its message names the file alone: tls.caFile or $SSL_CERT_FILE may name it.
    """
    try:
        return ca_bundle.context(path)
    except OSError as error:
        raise ConfigError(f"the CA file {path}: {error.strerror or error}", error_code="IDS-115") from None
