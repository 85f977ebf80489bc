"""What both injections do alike with the table of pods; the tests of policies and webhooks derive from it."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import pytest
import yaml

from ..golden_pods import (
    ALTERED,
    GOLDEN,
    INJECTED,
    OTHER_VALUES,
    REFUSED,
    altered,
    change,
    golden,
    label_message,
    labelled,
    plain,
    pod,
    pod_of,
)
from .conftest import dry_run, kubectl, refusal

Object = dict[str, Any]


def unconcerned(name: str = "app") -> Object:
    """Return a pod without label and annotation."""
    wanted = pod(name)
    wanted["metadata"] = {key: wanted["metadata"][key] for key in ("name", "namespace")}
    return wanted


class Admission:
    """The decisions of the API server, by server-side dry run. A subclass says where the messages differ."""

    no_policy: str
    """A part of the message in a namespace that the platform has not onboarded."""

    second_container: str
    """A pattern of the message about a second container with the sidecar's name."""

    @pytest.mark.parametrize("name", INJECTED)
    def test_golden_pods(self, name: str) -> None:
        """The pods are those in golden/, after defaulting; UPDATE_GOLDEN=1 writes them."""
        made = plain(dry_run(pod_of(INJECTED[name])))
        if os.environ.get("UPDATE_GOLDEN") == "1":
            (GOLDEN / f"{name}.yaml").write_text(yaml.safe_dump(made, sort_keys=True, width=120))

        assert golden(name) == made

    @pytest.mark.parametrize("name", INJECTED)
    def test_idempotent(self, name: str) -> None:
        """A pod that is already injected, for example a copy of a running pod, stays as it is."""
        assert plain(dry_run(golden(name))) == golden(name)

    @pytest.mark.parametrize("case", REFUSED)
    def test_refused(self, case: str) -> None:
        """A pod that the platform does not allow is refused, with a message that says what to do."""
        path, value, message = REFUSED[case]
        with_reason = refusal(change(path, value))

        assert "idaas-sidecar" in with_reason
        own = "Duplicate" not in message  # the API server itself refuses two containers of one name
        assert re.search(message if own else self.second_container, with_reason), with_reason
        assert not own or "(IDS-133)" in with_reason

    @pytest.mark.parametrize("case", ALTERED)
    def test_altered(self, case: str) -> None:
        """A copy of an injected pod with one change is refused; the configuration is replaced by the platform's."""
        injected = dry_run(pod(namespace="lab"))
        wanted, message = altered(case, injected), ALTERED[case][2]

        if message is None:
            assert dry_run(wanted)["metadata"]["annotations"] == injected["metadata"]["annotations"]
        else:
            with_reason = refusal(wanted)
            assert message in with_reason
            assert "(IDS-133)" in with_reason

    def test_a_namespace_without_a_policy(self) -> None:
        """In a namespace that the platform has not onboarded, a pod with the label is refused."""
        wanted = pod()
        wanted["metadata"]["namespace"] = "default"
        wanted["spec"]["serviceAccountName"] = "default"

        assert self.no_policy in refusal(wanted)

    def test_without_the_label_nothing_happens(self) -> None:
        """A pod without label and annotation is left alone."""
        assert "initContainers" not in dry_run(unconcerned())["spec"]

    @pytest.mark.parametrize("annotated", [True, False])
    @pytest.mark.parametrize("value", OTHER_VALUES)
    def test_another_value_of_the_label(self, value: str, annotated: bool) -> None:
        """A value of the label other than `true` and `false` is refused, and the message has both."""
        assert f"{label_message(value)} (IDS-133)" in refusal(labelled(value, annotated=annotated))

    def test_the_label_says_no(self) -> None:
        """A pod with the value `false` is left alone."""
        assert "initContainers" not in dry_run(labelled("false", annotated=False))["spec"]

    def test_windows_is_skipped_with_a_warning(self) -> None:
        """A pod for a Windows node is not injected, and kubectl prints the reason once."""
        wanted = pod(nodeSelector={"kubernetes.io/os": "windows"})
        done = kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", given=wanted)

        assert "initContainers" not in json.loads(done.stdout)["spec"]
        assert done.stderr.count("does not run on Windows nodes") == 1

    def test_rrsa_is_a_warning(self) -> None:
        """A pod with the variables of RRSA is injected, with a warning that the SDKs prefer RRSA."""
        done = kubectl("create", "--dry-run=server", "-f", "-", given=INJECTED["rrsa"])

        assert done.stderr.count("variables of RRSA") == 1
