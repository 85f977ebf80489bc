"""How much is tried: FUZZ_EXAMPLES for each property, always the same ones unless FUZZ_RANDOM is set (`make fuzz`)."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "fuzz",
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "400")),
    derandomize=not os.environ.get("FUZZ_RANDOM"),
    database=None,  # findings become tests, not files
    deadline=None,  # a shared machine's pauses are no findings; a hang ends at the test's own time limits
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("fuzz")
