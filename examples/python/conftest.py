"""The tests of this project run against an emulated cloud: no account, no secret, no network."""

pytest_plugins = ["idaas_sidecar.testing"]
