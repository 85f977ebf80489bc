"""Files of all kinds, recognised by their content."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from app import cli
from app.core.errors import ConfigError
from app.migrate import inputs, report
from app.migrate.workload import Carrier, Found

from ..status_sample import STATUS
from ..wrong_types import prints, variants
from .samples import (
    AK_VARIABLES,
    CUT,
    HOST_CUT,
    HOST_KEY,
    KEY,
    OTHER_KEY,
    SECRET,
    deployment,
    listed,
    secret,
    served,
)

COMPOSE = f"""
services:
  sidecar:
    image: idaas-credential-sidecar:0.2.0
    environment: {{ ALIBABA_CLOUD_ACCESS_KEY_ID: {OTHER_KEY} }}
  app:
    image: app:1
    env_file: [./app.env, {{ path: absent.env, required: false }}]
    environment:
      ALIBABA_CLOUD_CREDENTIALS_URI: http://127.0.0.1:7117/credentials
    volumes: ["~/.aliyun:/root/.aliyun:ro"]
  worker:
    environment: [OSS_ACCESS_KEY_ID={KEY}, OSS_ACCESS_KEY_SECRET]
  passed:
    environment: {{ ALIBABA_CLOUD_ACCESS_KEY_ID: "${{AK}}", ALIBABA_CLOUD_ACCESS_KEY_SECRET: }}
"""
ENV_FILE = f"# keys\nexport ALIBABA_CLOUD_ACCESS_KEY_ID='{HOST_KEY}'\nALIBABA_CLOUD_ACCESS_KEY_SECRET={SECRET}\n"
UNIT = f"""[Unit]
Description=Orders
[Service]
# Environment=ALIBABA_CLOUD_ACCESS_KEY_ID={OTHER_KEY}
Environment="OSS_ACCESS_KEY_ID={KEY}" \\
  "OSS_ACCESS_KEY_SECRET={SECRET}"
EnvironmentFile=-/etc/orders/env
EnvironmentFile=/etc/absent
"""


def read(files: Mapping[str, str | bytes], *names: str) -> Found:
    """Return what files of these contents say; `names` are the arguments, by default the paths."""

    def read_bytes(path: str) -> bytes:
        text = files[path]
        return text if isinstance(text, bytes) else text.encode()

    return inputs.read(names or tuple(files), read_bytes)


def carriers(found: Found) -> dict[str, set[Carrier]]:
    """Return the keys of each workload."""
    return {name: workload.carriers for name, workload in found.workloads.items()}


def test_compose_file() -> None:
    """Services carry the keys of `environment` and of env files that are given; other files are notes."""
    pytest.importorskip("yaml")
    found = read({"/srv/compose.yaml": COMPOSE, "/srv/app.env": ENV_FILE})
    app = found.workloads["/srv/compose.yaml: app"]

    assert carriers(found) == {
        "/srv/compose.yaml: app": {Carrier("ALIBABA_CLOUD_ACCESS_KEY_ID", HOST_CUT)},
        "/srv/compose.yaml: worker": {Carrier("OSS_ACCESS_KEY_ID", CUT)},
        "/srv/compose.yaml: passed": {Carrier("ALIBABA_CLOUD_ACCESS_KEY_ID", "")},
    }
    assert app.configured
    assert app.notes == {
        "env_file absent.env: not among the files, so its variables are not known",
        "volume ~/.aliyun: mounts a default file of the SDKs; give that file, too",
    }


def test_systemd_units() -> None:
    """A unit carries the keys of its lines, of its drop-ins, and of environment files that are given."""
    files = {
        "/etc/systemd/system/orders.service": UNIT,
        "/etc/systemd/system/orders.service.d/uri.conf": "[Service]\nEnvironment=ALIBABA_CLOUD_CREDENTIALS_URI=http://x\n",
        "/etc/orders/env": ENV_FILE,
    }
    found = read(files)

    assert carriers(found) == {
        "orders.service": {
            Carrier("OSS_ACCESS_KEY_ID", CUT),
            Carrier("ALIBABA_CLOUD_ACCESS_KEY_ID", HOST_CUT),
        }
    }
    assert found.workloads["orders.service"].configured
    assert found.workloads["orders.service"].notes == {
        "EnvironmentFile /etc/absent: not among the files, so its variables are not known"
    }


LIKE_KEY = f"{KEY[:4]}9tAnotherKeyOfAll{KEY[-4:]}"
"""Another AccessKey with the same first and last characters as KEY."""


def test_keys_with_the_same_ends_are_kept_apart() -> None:
    """Two keys whose first and last four characters are equal have a line each, with equal names in every report."""
    found = read({"/a.env": f"OSS_ACCESS_KEY_ID={KEY}\n", "/b.env": f"OSS_ACCESS_KEY_ID={LIKE_KEY}\n"})
    keys = [row["key"] for row in report.make(found, days=7)["keys"]]

    assert len(set(keys)) == 2
    assert {key.partition("#")[0] for key in keys} == {f"{KEY[:4]}…{KEY[-4:]}"}
    assert CUT in keys


@pytest.mark.parametrize(
    ("command", "keys"),
    [
        (f"/bin/sync --access-key-id {KEY} --access-key-secret {SECRET}", {CUT}),
        (f"/bin/sh -c 'OSS_ACCESS_KEY_ID={KEY} exec sync'", {CUT}),
        (f"/bin/ossutil cp -i {KEY} -k {SECRET} a oss://b", {CUT}),
        (f"/bin/sync --access-key-secret={SECRET}", {""}),
        ("/bin/sync --access-key-secret $KEY --access-key-id ${ID}", set()),
        ("/bin/sync --access-key-secret --verbose", set()),
        ("/bin/sync", set()),
    ],
)
def test_command_lines(command: str, keys: set[str]) -> None:
    """Command lines of units, compose services and containers carry keys; a reference to a variable is none."""
    pytest.importorskip("yaml")
    words = shlex.split(command)
    service = {"command": command, "entrypoint": words, "healthcheck": {"test": ["CMD", *words]}}
    probe = {"exec": {"command": words}}
    container = {"name": "app", "command": words[:1], "args": words[1:], "livenessProbe": probe}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "orders", "namespace": "shop"},
        "spec": {"containers": [container]},
    }
    found = read(
        {
            "/etc/orders.service": f"[Service]\nExecStart={command}\nExecStop={command}\n",
            "/srv/compose.yaml": json.dumps({"services": {"app": service}}),
            "/pod.json": json.dumps(pod),
        }
    )

    assert carriers(found) == {
        "orders.service": {Carrier(place, key) for place in ("ExecStart", "ExecStop") for key in keys},
        "/srv/compose.yaml: app": {
            Carrier(place, key) for place in ("command", "entrypoint", "healthcheck") for key in keys
        },
        "shop/pod/orders": {
            Carrier(f"container app: {place}", key) for place in ("args", "livenessProbe.exec") for key in keys
        },
    }


def test_build_arguments() -> None:
    """A build argument of a compose service stays in the image, and so does its key."""
    pytest.importorskip("yaml")
    text = json.dumps({"services": {"app": {"build": {"args": [f"OSS_ACCESS_KEY_ID={KEY}"]}}}})
    found = read({"/srv/compose.yaml": text})

    assert carriers(found) == {"/srv/compose.yaml: app": {Carrier("build argument OSS_ACCESS_KEY_ID", CUT)}}


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (
            json.dumps(
                {"current": "a", "profiles": [{"mode": "AK", "access_key_id": KEY, "access_key_secret": SECRET}]}
            ),
            {CUT},
        ),
        (f"[default]\ntype = access_key\naccess_key_id = {KEY}\naccess_key_secret = {SECRET}\n", {CUT}),
        (f"[Credentials]\nlanguage=EN\naccessKeyID={KEY}\naccessKeySecret={SECRET}\n", {CUT}),
        (f"bucket:{KEY}:{SECRET}\n", {CUT}),
        (f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n", {CUT}),
        (f"[main]\naccess-id = abcdefgh12345678\naccess-key = {SECRET}\n", {"abcd…5678#29997a"}),
        (f"[main]\naccess-key = {SECRET}\naws_secret_access_key = {SECRET}\nsecret_access_key_id_hint: x\n", set()),
        ("[default]\naccess_key_id = STS.NTxxxxxxxxxxxxx\n", set()),
        ("nothing of interest\n", set()),
    ],
    ids=["aliyun-cli", "sdk", "ossutil", "ossfs", "s3", "aliyunlog", "secrets", "sts", "other"],
)
def test_files_of_sdks_and_tools(text: str, keys: set[str]) -> None:
    """A default file of an SDK or tool is a workload of its own, with the keys in it; no secret is taken for one."""
    found = read({"/root/file": text})

    assert {carrier.key for carrier in found.workloads["/root/file"].carriers} == keys


def test_kubernetes_objects_of_several_files() -> None:
    """A Secret of one file fills the variables of a workload in another; YAML manifests are read as well."""
    pytest.importorskip("yaml")
    manifest = "\n---\n".join(json.dumps(item) for item in (deployment("orders", *AK_VARIABLES), deployment("other")))
    found = read({"all.yaml": manifest, "secrets.json": listed(secret("ak", id=KEY, secret=SECRET))})

    assert carriers(found) == {
        "shop/deployment/orders": {Carrier("container app: ALIBABA_CLOUD_ACCESS_KEY_ID", CUT)},
        "shop/deployment/other": set(),
    }


def test_evidence() -> None:
    """Audit lines, a status and metrics say who read when; an argument can name the workload."""
    log = b"[pod/orders-0/idaas-sidecar] " + served("shop.orders-0", "2026-01-02T03:00:00.000Z")
    log += b"not JSON\n" + served("shop.orders-0", "2026-01-01T03:00:00.000Z", "2026-01-03T03:00:00.000Z")
    metrics = 'idaas_sidecar_last_served_timestamp_seconds{namespace="shop",pod="a-0",profile="p2"} 1.7e+09\nup 1\n'
    found = read({"log": log, "status": json.dumps(STATUS), "metrics": metrics}, "log", "app=status", "metrics")
    readings = {key: (item.first, item.last, item.count) for key, item in found.readings.items()}

    assert readings == {
        ("", "shop.orders-0", "default"): (1767236400.0, 1767409200.0, 3),
        ("app", "shop.orders-0", "default"): (None, 1767323880.0, 12),
        ("", "shop.a-0", "p2"): (None, 1.7e9, 1),
    }
    assert found.newest == 1767409200.0
    assert found.workloads == {}


def test_an_audit_log_of_one_line_is_no_document() -> None:
    """A log with a single line is valid JSON, and is read as a log."""
    assert len(read({"log": served("a.b", "2026-01-01T00:00:00.000Z")}).readings) == 1


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", '{"a": "canary-secret', "a.json:1:7: not JSON: Unterminated string starting at"),
        ("rnd", "canary\0secret", "rnd: not a text file, so an AccessKey in it would not be found; name the text"),
        ("a.yaml", "a: 1\nb: [canary-secret\n", "a.yaml:3:1: not YAML: expected ',' or ']', but got '<stream end>'"),
    ],
)
def test_broken_files(name: str, text: str, message: str) -> None:
    """A file that cannot be parsed is an error with its place, which quotes nothing of the file."""
    pytest.importorskip("yaml")
    with pytest.raises(ConfigError) as caught:
        read({name: text})

    assert str(caught.value).startswith(message)
    assert "canary" not in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    """A file that does not exist is an error."""
    with pytest.raises(ConfigError, match="absent: no such file"):
        inputs.read([str(tmp_path / "absent")], inputs.read_file)


def test_files_of_another_form(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Whatever a file has instead of a value, the report is made or a mistake is named, and all of it prints."""
    path = tmp_path / "given.json"
    for document in (FORMS, STATUS_FORM):
        codes = set()
        for each in variants(document):
            path.write_text(json.dumps(each))
            code = cli.main(["migrate", "report", str(path)], {})
            shown = capsys.readouterr()
            codes.add(code)
            assert prints(shown.out + shown.err), each
        assert {0} <= codes <= {0, 2}


@pytest.mark.parametrize("value", ["1e+e", "1e400", "9e99", "..", "+", "1.2.3"])
def test_samples_that_are_no_time(value: str) -> None:
    """A sample without a time that a report can show says nothing about a use."""
    found = read({"m": f'idaas_sidecar_last_served_timestamp_seconds{{profile="a",pod="b"}} {value}\n'})

    assert not found.readings


FORMS: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "DeploymentList",
    "items": [
        {
            "metadata": {"name": "a", "ownerReferences": [{"kind": "X", "name": "y"}], "labels": {"a": "b"}},
            "spec": {
                "template": {
                    "spec": {
                        "containers": [
                            {
                                "name": "c",
                                "image": "d",
                                "command": ["e"],
                                "env": [{"name": "f", "valueFrom": {"secretKeyRef": {"name": "g", "key": "h"}}}],
                                "envFrom": [{"prefix": "i", "secretRef": {"name": "g"}}],
                                "volumeMounts": [{"name": "v", "mountPath": "/root/.aliyun"}],
                            }
                        ],
                        "volumes": [{"name": "v", "secret": {"secretName": "g"}}],
                    }
                }
            },
        }
    ],
}
STATUS_FORM: dict[str, Any] = {
    "host": "shop/a",
    "profiles": [{"profile": "default", "last_served_at": "2026-01-02T03:04:05Z", "served": 3}],
}
