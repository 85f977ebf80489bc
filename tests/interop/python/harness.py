"""Shared by the Python client programs: one call for each line on stdin, one line of JSON for each result."""

import json
import sys


def run(call):
    """`call` calls the SDK once; it returns the three values, or raises."""
    results, sys.stdout = sys.stdout, sys.stderr  # some SDKs print to stdout, which is for results only
    for _ in sys.stdin:
        try:
            result = dict(zip(("AccessKeyId", "AccessKeySecret", "SecurityToken"), call(), strict=True))
        except Exception as error:
            result = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(result), file=results, flush=True)
