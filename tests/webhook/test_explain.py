"""`webhook explain`: what would happen to the pods of a file, and why."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from app import cli
from app.cli.commands.webhook import LARGEST
from app.core.errors import ConfigError
from app.webhook.json_patch import patched
from app.webhook.settings import Settings, read_settings

from ..golden_pods import (
    INJECTED,
    POLICIES,
    PREFIX,
    REFUSED,
    change,
    golden,
    label_message,
    labelled,
    pod,
    pod_of,
    workload,
)
from ..wrong_types import prints, variants
from .defaults import defaulted

Object = dict[str, Any]


@pytest.fixture
def policies(tmp_path: Path) -> str:
    """A file with the policies of the table, as kubectl prints them: a List."""
    path = tmp_path / "policies.yaml"
    path.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": list(POLICIES.values())}))
    return str(path)


def explain(tmp_path: Path, policies: str, *given: Object, options: tuple[str, ...] = ()) -> int:
    """Run the command with the objects as one YAML file."""
    path = tmp_path / "given.yaml"
    path.write_text(yaml.safe_dump_all(given))
    return cli.main(["webhook", "explain", str(path), "--policies", policies, *options], {})


@pytest.mark.parametrize("name", INJECTED)
def test_workloads(name: str, tmp_path: Path, policies: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Pods and workloads of every kind are explained, and the patch makes the golden pod."""
    given = INJECTED[name]

    assert explain(tmp_path, policies, given, options=("--json",)) == 0

    found = json.loads(capsys.readouterr().out)
    assert (found["object"], found["outcome"]) == (f"{given['kind']} shop/app", "injected")
    assert found["profiles"] == [{"name": "orders", "roleArn": "acs:ram::1234567890123456:role/orders"}]
    assert defaulted(patched(pod_of(given), found["patch"])) == golden(name)


def test_text(tmp_path: Path, policies: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The text has outcome, reason, roles, warnings and the changes, for each object of the file."""
    plain = pod()
    plain["metadata"].update(labels={}, annotations={})
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "app"}}

    assert explain(tmp_path, policies, INJECTED["rrsa"], plain, service, golden("bare")) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [each for each in lines if not each.startswith(" ")] == [
        "Pod shop/app: injected",
        "Pod shop/app: untouched",
        "Pod shop/app: untouched",
    ]
    assert "  profile: orders, role acs:ram::1234567890123456:role/orders" in lines
    variables = "PATH_TOKEN, ALIBABA_CLOUD_CREDENTIALS_URI, ALIBABA_CLOUD_ECS_METADATA_DISABLED"
    assert [each for each in lines if each.startswith("  adds: ")] == [
        f"  adds: container idaas-sidecar, image {Settings().image}, before all others",
        f"  adds: variables {variables} in app",
        "  adds: volume idaas-sidecar-config: the configuration, from the annotation",
        "  adds: volume idaas-sidecar-identity: the projected token of the service account",
        "  adds: volume idaas-sidecar-run: memory for the cache and the admin socket",
        f"  adds: annotation {PREFIX}/config: the configuration of the sidecar",
    ]
    assert not any("/spec/" in each for each in lines), "the JSON Patch is for --json"
    assert any(each.startswith("  warning: idaas-sidecar: a container has the variables of RRSA") for each in lines)
    assert '  why: the pod does not have the label idaas-sidecar.internal/inject: "true"' in lines
    assert "  why: the pod has the sidecar already" in lines


@pytest.mark.parametrize("case", ["hostNetwork", "a profile of another namespace", "annotation without label"])
def test_refused(case: str, tmp_path: Path, policies: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A refused pod has the message of the webhook as reason, and exit code 1."""
    path, value, _ = REFUSED[case]

    assert explain(tmp_path, policies, change(path, value)) == 1
    out = capsys.readouterr().out
    assert "Pod lab/app: refused\n  why: idaas-sidecar: " in out
    assert out.splitlines()[1].endswith(" (IDS-133)")


def test_another_value_of_the_label(tmp_path: Path, policies: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A value other than `true` and `false` is refused in the pods of a workload, too; the reason has both."""
    wanted = workload("CronJob", restartPolicy="Never")
    template = wanted["spec"]["jobTemplate"]["spec"]["template"]
    template["metadata"] = labelled("yes", annotated=False)["metadata"]

    assert explain(tmp_path, policies, wanted) == 1
    assert f"CronJob shop/app: refused\n  why: {label_message('yes')} (IDS-133)\n" in capsys.readouterr().out


def test_a_label_without_quotes(tmp_path: Path, policies: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A label that YAML reads as a boolean is an error, as it is for the API server, with the cure."""
    wanted = pod()
    wanted["metadata"]["labels"] = {f"{PREFIX}/inject": True}

    assert explain(tmp_path, policies, wanted) == 2
    label = (
        f'Pod app: metadata.labels."{PREFIX}/inject": must be a string, not true or false; write the value with quotes'
    )
    assert label in capsys.readouterr().err


def test_every_mistake_of_a_file(tmp_path: Path, policies: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each object's mistakes are in one run, with the paths of their members; what nothing reads may have any type."""
    first, second = pod(), workload("Deployment")
    first["metadata"]["annotations"] = {f"{PREFIX}/profiles": 1}
    first["spec"]["containers"][0] |= {"env": [{"name": 5}], "ports": "any"}
    second["spec"]["template"]["spec"]["hostNetwork"] = "no"

    assert explain(tmp_path, policies, first, second) == 2
    err = capsys.readouterr().err
    for message in (
        f'Pod app: metadata.annotations."{PREFIX}/profiles": must be a string, not a whole number; write the value',
        "Deployment app: spec.template.spec.hostNetwork: must be true or false or null, not a string (IDS-126)",
    ):
        assert message in err, err
    assert "ports" not in err


def test_a_namespace_for_objects_without_one(tmp_path: Path, policies: str) -> None:
    """`--namespace` is that of objects that name none; the default has no policy here."""
    wanted = pod()
    del wanted["metadata"]["namespace"]

    assert explain(tmp_path, policies, wanted, options=("--namespace", "shop")) == 0
    assert explain(tmp_path, policies, wanted) == 1


def test_additions_are_those_of_each_container(
    tmp_path: Path, policies: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Containers that get the same variables share a line; variables and volumes that a pod has are not repeated."""
    assert explain(tmp_path, policies, INJECTED["deployment"], INJECTED["init-container"]) == 0
    lines = capsys.readouterr().out.splitlines()
    variables = [each.rsplit(" in ", 1)[1] for each in lines if each.startswith("  adds: variables")]
    assert variables == ["app, proxy", "setup, app"]

    wanted = pod()
    variable = {"name": "ALIBABA_CLOUD_ECS_METADATA_DISABLED", "value": "true"}
    wanted["spec"]["containers"][0]["env"] = [variable]
    explain(tmp_path, policies, wanted)
    assert "  adds: variables PATH_TOKEN, ALIBABA_CLOUD_CREDENTIALS_URI in app" in capsys.readouterr().out


def test_json_needs_no_pyyaml(
    tmp_path: Path, policies: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The production image has no PyYAML: JSON is read whatever the file's name, and YAML names the extra."""
    given, listed = tmp_path / "pod", tmp_path / "policies"
    given.write_text(json.dumps(pod(), indent=2))
    listed.write_text(json.dumps({"kind": "List", "items": list(POLICIES.values())}))
    monkeypatch.setitem(sys.modules, "yaml", None)

    assert cli.main(["webhook", "explain", str(given), "--policies", str(listed)], {}) == 0
    assert cli.main(["webhook", "explain", str(given), "--policies", policies], {}) == 2
    assert "install idaas-credential-sidecar[webhook], or write the file as JSON" in capsys.readouterr().err


def test_stdin(
    tmp_path: Path, policies: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`-` reads one JSON object from standard input, as `kubectl get -o json` prints it."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(pod()).encode())))

    assert cli.main(["webhook", "explain", "-", "--policies", policies], {}) == 0
    assert "injected" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: Pod\nmetadata: {name: x}\n", "Pod x: no pod with spec.containers"),
        ("kind: Service\n", "no pod and no workload in it"),
        ("{", "not JSON"),
        ("- [", "not YAML"),
    ],
)
def test_unusable_files(
    text: str, message: str, tmp_path: Path, policies: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file without a pod is bad usage: one line that names it, and exit code 2."""
    path = tmp_path / "given.yaml"
    path.write_text(text)

    assert cli.main(["webhook", "explain", str(path), "--policies", policies], {}) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "given.yaml" in err


def test_policies_that_have_no_effect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A CredentialPolicy of another name or form is an error that names its place."""
    named = {**POLICIES["shop"], "metadata": {"name": "second", "namespace": "shop"}}
    broken = {**POLICIES["shop"], "spec": {"profiles": [{"name": "orders"}]}}
    for value, message in ((named, "its name must be 'default'"), (broken, "namespace shop: spec.profiles[0].roleArn")):
        path = tmp_path / "policies.json"
        path.write_text(json.dumps(value))
        assert explain(tmp_path, str(path), pod()) == 2
        assert message in capsys.readouterr().err


NOT_KUBERNETES = "not an object of the Kubernetes API: it has no apiVersion and kind; give the output of kubectl get"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, NOT_KUBERNETES),
        ({"profiles": {"default": {}}}, NOT_KUBERNETES),
        ([1], NOT_KUBERNETES),
        (None, "no CredentialPolicy in it; give the output of kubectl get credentialpolicies"),
        ({"apiVersion": "v1", "kind": "ConfigMap"}, "no CredentialPolicy in it"),
        ({**POLICIES["shop"], "apiVersion": "idaas-sidecar.internal/v1"}, "'idaas-sidecar.internal/v1' is not known"),
        ({"kind": "List", "items": [POLICIES["shop"]] * 2}, "namespace shop: has two CredentialPolicies; keep one"),
        ({**POLICIES["shop"], "spec": None}, "namespace shop: spec: must be an object"),
        ({**POLICIES["shop"], "metadata": "default"}, "CredentialPolicy: metadata: must be an object"),
    ],
)
def test_files_without_policies(
    value: object, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file without a CredentialPolicy is refused: with it, every pod would be refused."""
    path = tmp_path / "policies.yaml"
    path.write_text(yaml.safe_dump(value))

    assert explain(tmp_path, str(path), pod()) == 2
    err = capsys.readouterr().err
    assert f"policies.yaml: {message}" in err or message in err
    assert err.count("\n") == 1


def test_an_empty_list_of_policies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`kubectl get` prints an empty List for a cluster without policies."""
    path = tmp_path / "policies.json"
    path.write_text('{"apiVersion": "v1", "kind": "List", "items": []}')

    assert explain(tmp_path, str(path), pod()) == 1
    assert "has no CredentialPolicy" in capsys.readouterr().out


def test_every_mistake_of_the_policies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each policy's mistakes are in one run, with their paths."""
    broken = {"name": "orders", "serviceAccounts": "orders", "durationSeconds": "1h"}
    other = {**POLICIES["lab"], "metadata": {"name": "second", "namespace": "lab"}}
    path = tmp_path / "policies.json"
    path.write_text(
        json.dumps({"kind": "List", "items": [{**POLICIES["shop"], "spec": {"profiles": [broken]}}, other]})
    )

    assert explain(tmp_path, str(path), pod()) == 2
    assert [line.split("policies.json: ")[1] for line in capsys.readouterr().err.splitlines()] == [
        "namespace shop: spec.profiles[0].serviceAccounts: must be an array, not a string (IDS-128)",
        "namespace shop: spec.profiles[0].durationSeconds: must be a whole number or null, not a string (IDS-128)",
        "namespace shop: spec.profiles[0].roleArn: required (IDS-128)",
        "namespace shop: spec.profiles[0].oidcProviderArn: required (IDS-128)",
        "the CredentialPolicy 'second' has no effect; its name must be 'default' (IDS-128)",
    ]


def test_without_policies_it_needs_a_pod(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Outside a cluster, the message says how to name the policies."""
    path = tmp_path / "given.yaml"
    path.write_text(yaml.safe_dump(pod()))

    assert cli.main(["webhook", "explain", str(path)], {}) == 2
    assert "webhook explain --policies FILE" in capsys.readouterr().err


def test_settings_of_the_chart(tmp_path: Path, policies: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--settings` is the file of the chart's ConfigMap; unknown members and other JSON are errors."""
    path = tmp_path / "settings.json"
    path.write_text('{"image": "registry.example.com/sidecar:1", "configuration": "{\\"configVersion\\":\\"1.0\\"}"}')
    explain(tmp_path, policies, pod(), options=("--json", "--settings", str(path)))
    patch = json.loads(capsys.readouterr().out)["patch"]

    made = patched(pod(), patch)
    assert made["spec"]["initContainers"][0]["image"] == "registry.example.com/sidecar:1"
    assert made["metadata"]["annotations"][f"{PREFIX}/config"].endswith('}},"configVersion":"1.0"}')
    path.write_text("{}")
    assert read_settings(str(path)) == Settings()
    for text in ('{"extra": 1}', "[]", '{"configuration": "[]"}', '{"configuration": "{"}'):
        path.write_text(text)
        with pytest.raises(ConfigError, match="settings"):
            read_settings(str(path))
    path.write_text('{"imagee": "a", "expirationSeconds": "1h", "resources": {"requests": {}}}')
    with pytest.raises(ConfigError) as caught:
        read_settings(str(path))
    assert [line.removeprefix(f"{path}: ") for line in caught.value.mistakes] == [
        "imagee: unknown key; did you mean image?",
        "expirationSeconds: must be a whole number, not a string",
        "resources.limits: required",
    ]


@pytest.mark.parametrize("form", ["pod", "policy"])
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_files_of_another_form(
    form: str, options: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever a file has instead of a value, the command explains or names the mistake, and all of it prints."""
    given, policies = tmp_path / "pod.json", tmp_path / "policies.json"
    given.write_text(json.dumps(pod()))
    policies.write_text(json.dumps(POLICIES["shop"]))
    changed, original = (given, pod()) if form == "pod" else (policies, POLICIES["shop"])
    codes = set()
    for each in variants(original):
        changed.write_text(json.dumps(each))
        code = cli.main(["webhook", "explain", str(given), "--policies", str(policies), *options], {})
        shown = capsys.readouterr()
        codes.add(code)
        assert prints(shown.out + shown.err), each
    assert codes == {0, 1, 2}


def test_a_label_that_yaml_reads_as_a_boolean(
    tmp_path: Path, policies: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The API server refuses a label that is no text, so the command says so."""
    given = pod()
    given["metadata"]["labels"]["idaas-sidecar.internal/inject"] = True

    assert explain(tmp_path, policies, given) == 2
    assert 'inject": must be a string, not true or false' in capsys.readouterr().err


def test_stdin_beyond_the_limit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A part of the input is not what was given, so it is refused."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b" " * (LARGEST + 1))))

    assert cli.main(["webhook", "explain", "-", "--policies", "-"], {}) == 2
    assert "stdin: larger than" in capsys.readouterr().err
