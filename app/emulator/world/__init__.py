"""The state of the emulated cloud: clients, OIDC providers, roles and trust policies. May import `crypto`."""
