"""Bounded HTTP requests to the cloud: TLS, proxies, request signing, and the meaning of error answers.

May import `observe`, `system` and `core`.
"""
