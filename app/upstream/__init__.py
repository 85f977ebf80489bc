"""One bounded HTTP request to the cloud. `client` sends it, and `response` is what a caller gets.

- `answers`: what an error answer says and means.
- `failures`: why no complete answer arrived, in words and as a code.
- `connections`: look-ups, addresses, TLS and proxies.
- `keys`: private keys and certificates, for signatures and for TLS.

The modules here sign requests (`acs3`, `dated`) and remove secrets from foreign text (`redaction`).

May import `observe`, `system` and `core`.
"""
