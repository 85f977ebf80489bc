"""The part of RAM that sets up a workload: OIDC providers, roles, policies. May import `world`, `sts`, `http`."""
