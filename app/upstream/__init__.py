"""One bounded HTTP request to the cloud. `client` sends it, and `response` is what a caller gets.

- `answers`: an answer arrived, and it is an error: what it says and means.
- `failures`: no complete answer arrived: why, in words and as a code.
- `connections`: look-ups, addresses, TLS and proxies.
- `keys`: private keys and certificates, for signatures and for TLS.

The modules here sign requests (`acs3`, `dated`) and remove secrets from foreign text (`redaction`).

May import `observe`, `system` and `core`.
"""
