"""What exists in the emulated cloud: clients, providers, roles and trust policies. May import `crypto`."""
