"""The number of examples: FUZZ_EXAMPLES per property, the same in each run unless FUZZ_RANDOM is set (`make fuzz`)."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "fuzz",
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "400")),
    derandomize=not os.environ.get("FUZZ_RANDOM"),
    database=None,  # a failing example becomes a test, not a file
    deadline=None,  # a busy machine is not a failure; the tests have deadlines for hangs
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("fuzz")
