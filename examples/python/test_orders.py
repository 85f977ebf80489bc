"""The tests of orders.py."""

import os
import subprocess
import sys
from pathlib import Path

import orders
import pytest
from idaas_sidecar.testing import Options, running


def test_the_program_has_the_role(sidecar_env):
    """The SDK finds the sidecar, and STS accepts what the program signs."""
    identity = orders.caller_identity(sidecar_env.emulator_url)

    assert identity["Arn"].startswith("acs:ram::1234567890123456:role/demo-default/")


def test_the_program_as_a_process(sidecar):
    """A program that the test starts needs the variables alone."""
    environ = sidecar.client_environment(os.environ) | {"STS_ENDPOINT": sidecar.emulator_url}
    program = Path(__file__).with_name("orders.py")
    done = subprocess.run([sys.executable, program], env=environ, capture_output=True, text=True, timeout=60)

    assert done.stdout.startswith("acs:ram::1234567890123456:role/demo-default/"), done.stderr


def test_an_error_of_the_cloud_is_reported(sidecar_env):
    """The program reports the code of an error. The fault replaces the response of STS."""
    sidecar_env.inject("sts-throttled")

    with pytest.raises(RuntimeError, match=r"STS refused: Throttling\.User"):
        orders.caller_identity(sidecar_env.emulator_url)


def test_two_sidecars_with_one_seed():
    """With a seed, the credentials of two runs are the same."""
    keys = []
    for _ in range(2):
        with running(Options(seed=7)) as sidecar:
            keys.append(sidecar.credentials()["AccessKeyId"])

    assert keys[0] == keys[1]
