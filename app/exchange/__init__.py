"""Exchanges an OIDC token for STS credentials: AssumeRoleWithOIDC, the DeveloperAPI, and AssumeRole for role chains.

May import `upstream` and the packages below it, but not `identity` or `serve`.
"""
