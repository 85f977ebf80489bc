"""The credentials URI of an application, which may be any text."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from ..core.addresses import bracketed


@dataclass(frozen=True, slots=True)
class ClientUrl:
    """
    The parts of a URL. Scheme, host and path are empty if the text is not a URL.

    `host` is in lower case and without brackets. `port` is 80 if the URL names none. `shown` is the URL without user
    and path, which may hold secrets.
    """

    scheme: str
    host: str
    port: int
    path: str
    shown: str

    @property
    def authority_host(self) -> str:
        """The host in the form of a Host header, with an IPv6 address in brackets."""
        return bracketed(self.host)


def client_url(text: str) -> ClientUrl:
    """Return the parts of `text`. A URL has only printable ASCII characters (RFC 3986), and a port below 65536."""
    try:
        parts = urlsplit(text if text.isascii() and text.isprintable() else "")
        host, port = parts.hostname or "", parts.port or 80
    except ValueError:
        parts, host, port = urlsplit(""), "", 80
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…" if host else "(not a URL)" if text else "(not set)"
    return ClientUrl(parts.scheme, host, port, parts.path, shown)
