"""From an OIDC token to STS credentials: AssumeRoleWithOIDC, the DeveloperAPI, and AssumeRole for role chains.

May import `upstream` and the packages below it; knows nothing of `identity` and `serve`.
"""
