"""Connections to the cloud: look-ups, addresses, TLS, proxies, and a bound for everything that is read.

`transport` uses all the others. May import `keys`, `system` and `core`.
"""
