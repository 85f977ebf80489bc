"""Requests, responses, injected faults and the journal of the emulator. May import `world` and `crypto`."""
