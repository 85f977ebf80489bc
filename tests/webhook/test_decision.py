"""The decision: the golden pods of the policies, their refusals and messages, and what is left alone."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.core.text import code_apart, coded
from app.webhook import decision, guard, rules, sidecar_rules
from app.webhook.decision import Decision, check, decide
from app.webhook.json_patch import patched
from app.webhook.policy import CredentialPolicy, decoded
from app.webhook.settings import Settings

from ..golden_pods import (
    ALTERED,
    INJECTED,
    OTHER_VALUES,
    POLICIES,
    PREFIX,
    REFUSED,
    altered,
    change,
    golden,
    label_message,
    labelled,
    pod,
    pod_of,
)
from .defaults import defaulted

Object = dict[str, Any]
ROOT = Path(__file__).parents[2]
SETTINGS = Settings()


def policy_of(namespace: str) -> CredentialPolicy:
    """Return the policy of a namespace of the table."""
    return decoded(POLICIES[namespace], namespace)


def decided(given: Object) -> Decision:
    """Return the decision of the mutating webhook."""
    namespace = given["metadata"]["namespace"]
    return decide(given, namespace, policy_of(namespace), SETTINGS)


def injected(given: Object) -> Object:
    """Return the pod after both webhooks and defaulting."""
    found = decided(given)
    assert found.outcome in ("injected", "untouched"), found.message
    made = defaulted(patched(given, found.patch))
    namespace = given["metadata"]["namespace"]
    assert check(made, namespace, policy_of(namespace), SETTINGS).outcome == "untouched"
    return made


@pytest.mark.parametrize("name", INJECTED)
def test_the_pod_is_that_of_the_policy(name: str) -> None:
    """The webhooks make the pod that the API server made by the policies."""
    assert injected(pod_of(INJECTED[name])) == golden(name)


@pytest.mark.parametrize("name", INJECTED)
def test_idempotent(name: str) -> None:
    """A copy of an injected pod stays as it is."""
    assert decided(golden(name)) == Decision("untouched", warnings=decision.warnings(golden(name)))


@pytest.mark.parametrize("members", [("volumes", "initContainers"), ("initContainers",), ("volumes",)])
def test_what_is_missing_is_restored(members: tuple[str, ...]) -> None:
    """A copy without the injected volumes or the sidecar gets them again."""
    wanted = golden("bare")
    for name in members:
        del wanted["spec"][name]

    assert injected(wanted) == golden("bare")


@pytest.mark.parametrize("case", [each for each in REFUSED if each != "annotation without label"])
def test_refused(case: str) -> None:
    """A pod that the policies refuse is refused, with the same message."""
    path, value, message = REFUSED[case]
    # The API server itself refuses two containers of one name before the webhooks run.
    message = "a container has its name" if message.startswith("Duplicate value") else message

    found = decided(change(path, value))

    assert found.outcome == "refused"
    assert re.search(message, found.message), found.message
    assert found.patch == []


@pytest.mark.parametrize("case", ALTERED)
def test_altered(case: str) -> None:
    """Both webhooks refuse a copy of an injected pod with one change; the configuration is replaced."""
    message = ALTERED[case][2]
    original = injected(pod(namespace="lab"))
    wanted = altered(case, original)

    found = decided(wanted)
    checked = check(wanted, "lab", policy_of("lab"), SETTINGS)

    if message is None:
        assert patched(wanted, found.patch)["metadata"]["annotations"] == original["metadata"]["annotations"]
        assert "belongs to the injection" in checked.message
    else:
        assert found.outcome == "refused"
        assert message in found.message
        assert found.message == checked.message


def test_a_pod_that_was_not_injected_is_refused() -> None:
    """The validating webhook refuses a pod with the label that the mutating one has not seen."""
    assert "was not injected" in check(pod(), "shop", policy_of("shop"), SETTINGS).message


def test_a_namespace_without_a_policy() -> None:
    """In a namespace that the platform has not onboarded, a pod with the label is refused."""
    for judge in (decide, check):
        assert "the namespace shop has no CredentialPolicy" in judge(pod(), "shop", None, SETTINGS).message


def test_the_annotation_cannot_name_a_role() -> None:
    """Whatever the annotation contains, roles and endpoints in the configuration are those of the policy."""
    for text in ('orders","x":{"exchange":{"roleArn":"acs:ram::1:role/x"}}', "orders\n", " orders ,, shared "):
        wanted = pod()
        wanted["metadata"]["annotations"][f"{PREFIX}/profiles"] = text
        found = decided(wanted)
        if found.outcome == "injected":
            config = json.loads(patched(wanted, found.patch)["metadata"]["annotations"][f"{PREFIX}/config"])
            roles = {each["exchange"]["roleArn"] for each in config["profiles"].values()}
            assert roles <= {each["roleArn"] for each in POLICIES["shop"]["spec"]["profiles"]}
        else:
            assert "may use the profiles" in found.message


def test_without_the_label_nothing_happens() -> None:
    """A pod without label and annotation is left alone, without a warning."""
    wanted = pod()
    wanted["metadata"] = {"name": "app", "namespace": "shop"}

    assert decided(wanted) == Decision("untouched")
    assert guard.create_violation(wanted) is None


@pytest.mark.parametrize("member", [{"nodeSelector": {"kubernetes.io/os": "windows"}}, {"os": {"name": "windows"}}])
def test_windows_is_skipped_with_a_warning(member: Object) -> None:
    """A pod for a Windows node is not injected, and kubectl prints the reason."""
    for judge in (decide, check):
        assert judge(pod(**member), "shop", None, SETTINGS) == Decision("untouched", warnings=(decision.WINDOWS,))


def test_rrsa_is_a_warning() -> None:
    """A pod with the variables of RRSA is injected, with a warning that the SDKs prefer RRSA."""
    found = decided(pod_of(INJECTED["rrsa"]))

    assert (found.outcome, found.warnings) == ("injected", (decision.RRSA,))


def test_other_admission_plugins_may_add() -> None:
    """The mount of the API's token, resources and scheduling of other plugins change nothing."""
    wanted = golden("bare")
    mount = {"name": "kube-api-access-x", "mountPath": sidecar_rules.API_ACCESS_PATH, "readOnly": True}
    wanted["spec"]["initContainers"][0]["volumeMounts"].append(mount)
    wanted["spec"]["initContainers"][0]["resources"]["limits"]["cpu"] = "1"
    wanted["spec"]["volumes"].append({"name": "kube-api-access-x", "projected": {"sources": []}})
    wanted["spec"]["nodeName"] = "node1"

    assert decided(wanted).outcome == "untouched"


# --- running pods -----------------------------------------------------------------------------------------------------


def test_an_annotation_without_the_label_is_refused() -> None:
    """A pod with the annotation alone would start without credentials."""
    path, value, message = REFUSED["annotation without label"]

    assert message in str(guard.create_violation(change(path, value)))
    assert guard.create_violation(pod()) is None


@pytest.mark.parametrize("annotated", [True, False])
@pytest.mark.parametrize("value", OTHER_VALUES)
def test_another_value_of_the_label(value: str, annotated: bool) -> None:
    """A value of the label other than `true` and `false` would have no effect: the pod is refused."""
    assert guard.create_violation(labelled(value, annotated=annotated)) == label_message(value)


def test_the_label_says_no() -> None:
    """A pod with the value `false` is left alone."""
    wanted = labelled("false", annotated=False)

    assert guard.create_violation(wanted) is None
    assert decided(wanted) == Decision("untouched")


EPHEMERAL = {"name": "debug", "image": "busybox", "targetContainerName": "idaas-sidecar"}
MOUNTING = {
    "name": "debug",
    "image": "busybox",
    "volumeMounts": [{"name": "idaas-sidecar-identity", "mountPath": "/x"}],
}
CHANGED = {
    "configuration": (f"metadata/annotations/{PREFIX}~config", "{}", guard.FIXED),
    "profiles": (f"metadata/annotations/{PREFIX}~profiles", "shared", guard.FIXED),
    "no configuration": (f"metadata/annotations/{PREFIX}~config", None, guard.FIXED),
    "label": (f"metadata/labels/{PREFIX}~inject", None, guard.FIXED),
    "image": ("spec/initContainers/0/image", "evil:1", guard.FIXED_IMAGE),
    "join": ("spec/ephemeralContainers", [EPHEMERAL], guard.EPHEMERAL),
    "mount": ("spec/ephemeralContainers", [MOUNTING], guard.EPHEMERAL),
    "another label": ("metadata/labels/app", "x", None),
    "image of the application": ("spec/containers/0/image", "your-app:1.1", None),
    "another ephemeral container": ("spec/ephemeralContainers", [{"name": "debug", "image": "busybox"}], None),
}


@pytest.mark.parametrize("case", CHANGED)
def test_a_running_pod(case: str) -> None:
    """What decides the credentials of a running pod cannot change; the rest of the pod can."""
    path, value, message = CHANGED[case]
    old = golden("bare")

    assert guard.update_violation(change(path, value, copy.deepcopy(old)), old) == message


def test_a_configuration_cannot_be_added_later() -> None:
    """A running pod that is not injected cannot get the annotation of the configuration."""
    old = pod()

    assert guard.update_violation(change(f"metadata/annotations/{PREFIX}~config", "{}", old), old) == guard.ADDED_CONFIG
    assert guard.update_violation(old, old) is None


# --- the chart --------------------------------------------------------------------------------------------------------


def chart(kind: str) -> list[Object]:
    """Return the objects of one kind that the chart renders with its default values."""
    path = ROOT / "tests" / "deploy" / "golden" / "default.yaml"
    return [each for each in yaml.safe_load_all(path.read_text()) if each and each["kind"] == kind]


def test_the_messages_are_those_of_the_policies() -> None:
    """Each fixed message of the chart's policies is a message of the webhooks, which names the webhook instead."""
    used = {rules.HOST_NETWORK, rules.NO_PROFILES, *(each for each, _ in rules.RULES)}
    used |= {guard.NO_LABEL, guard.FIXED, guard.ADDED_CONFIG, guard.FIXED_IMAGE, guard.EPHEMERAL}
    used = {coded(each, decision.NOT_ALLOWED) for each in used} | {decision.WINDOWS, decision.RRSA}
    messages = {
        rule["message"].replace(
            "MutatingAdmissionPolicy idaas-sidecar-inject and its binding exist.",
            "MutatingWebhookConfiguration idaas-sidecar-inject exists.",
        )
        for policy in chart("ValidatingAdmissionPolicy")
        for rule in policy["spec"]["validations"]
        if "message" in rule
    }

    assert messages == used


def test_each_refusal_of_the_policies_has_a_code() -> None:
    """A message of a policy that denies ends with its code, also one with a value of the pod; a warning has none."""
    denying = {
        each["spec"]["policyName"]
        for each in chart("ValidatingAdmissionPolicyBinding")
        if each["spec"]["validationActions"] == ["Deny"]
    }
    ends = {
        (policy["metadata"]["name"] in denying, code_apart(text.removesuffix('"'))[1])
        for policy in chart("ValidatingAdmissionPolicy")
        for rule in policy["spec"]["validations"]
        for text in [rule.get("message") or rule["messageExpression"]]
    }

    assert ends == {(True, decision.NOT_ALLOWED), (False, "")}


def test_the_default_settings_are_those_of_the_chart() -> None:
    """Without a settings file, image, audience, resources and configuration are those of the default values."""
    values = yaml.safe_load((ROOT / "deploy/helm/idaas-credential-sidecar/values.yaml").read_text())
    config = golden("bare")["metadata"]["annotations"][f"{PREFIX}/config"]

    assert config.endswith(SETTINGS.configuration[1:])
    assert (SETTINGS.audience, SETTINGS.expiration_seconds) == tuple(values["token"].values())
    assert SETTINGS.image_pull_policy == values["image"]["pullPolicy"]
    assert SETTINGS.resources.requests == values["sidecar"]["resources"]["requests"]
    assert SETTINGS.resources.limits == values["sidecar"]["resources"]["limits"]
    assert SETTINGS.image.startswith(f"{values['image']['repository']}:")


def test_warnings_fit() -> None:
    """The API server cuts a warning after 256 characters."""
    assert max(map(len, (decision.WINDOWS, decision.RRSA))) <= 256
