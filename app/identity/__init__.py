"""How the sidecar proves its identity and obtains an OIDC token.

May import `upstream` and the packages below it; knows nothing of `exchange` and `serve`.
"""
