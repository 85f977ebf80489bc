"""What the Python client programs share: one question for each line on stdin, one line of JSON for each answer."""

import json
import sys


def answer(ask):
    """`ask` asks the SDK once; it gives the three values, or raises."""
    answers, sys.stdout = sys.stdout, sys.stderr  # some SDKs print; the answers are ours alone
    for _ in sys.stdin:
        try:
            told = dict(zip(("AccessKeyId", "AccessKeySecret", "SecurityToken"), ask(), strict=True))
        except Exception as error:
            told = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(told), file=answers, flush=True)
