"""Proves the sidecar's identity, and obtains an OIDC token.

May import `upstream` and the packages below it, but not `exchange` or `serve`.
"""
