"""The emulated IDaaS: token endpoint, DeveloperAPI and EIAM OpenAPI.

May import `sts`, `http`, `world` and `crypto`.
"""
