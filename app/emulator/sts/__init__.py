"""The emulated STS: its actions, sessions and request signatures. May import `http`, `world` and `crypto`."""
