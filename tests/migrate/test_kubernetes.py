"""Workloads of a namespace, from the output of `kubectl get -o json`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.migrate.kubernetes import cluster
from app.migrate.workload import Carrier, Workload

from .samples import (
    AK_VARIABLES,
    CUT,
    KEY,
    OTHER_CUT,
    OTHER_KEY,
    SECRET,
    SIDECAR,
    URI_VARIABLE,
    deployment,
    from_secret,
    secret,
    value,
)


def only(*objects: dict[str, Any]) -> Workload:
    """Return the one workload of these objects, put together."""
    first, *others = cluster(objects).workloads()
    for other in others:
        assert other.name == first.name
        first.add(other)
    return first


def test_variables_from_a_secret() -> None:
    """A variable from a Secret names the key if the Secret is given; otherwise its id is not known."""
    ak = secret("ak", id=KEY, secret=SECRET)
    place = "container app: ALIBABA_CLOUD_ACCESS_KEY_ID"

    assert only(deployment("orders", *AK_VARIABLES), ak).carriers == {Carrier(place, CUT)}
    assert only(deployment("orders", *AK_VARIABLES)).carriers == {Carrier(place, "")}
    assert only(deployment("orders", *AK_VARIABLES), ak).name == "shop/deployment/orders"


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Rollout"])
def test_kinds(kind: str) -> None:
    """Every kind with a pod template is a workload, custom resources included."""
    found = only(deployment("orders", value("OSS_ACCESS_KEY_ID", KEY), kind=kind))

    assert found.name == f"shop/{kind.lower()}/orders"
    assert found.carriers == {Carrier("container app: OSS_ACCESS_KEY_ID", CUT)}


def test_all_variables_of_a_secret_or_config_map() -> None:
    """`envFrom` counts with its prefix; an object that is not given is a note."""
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "shop"},
        "data": {"CLOUD_ACCESS_KEY_ID": KEY},
    }
    sources = [{"configMapRef": {"name": "settings"}, "prefix": "ALIBABA_"}, {"secretRef": {"name": "absent"}}]
    found = only(deployment("orders", env_from=sources), config)

    assert found.carriers == {Carrier("container app: ALIBABA_CLOUD_ACCESS_KEY_ID", CUT)}
    assert found.notes == {"envFrom secret absent: not among the files, so its variables are not known"}


def test_mounted_files() -> None:
    """A file of a mounted Secret that holds a key counts, in any format; a default file that is missing is a note."""
    files = secret(
        "files",
        config__json=json.dumps({"profiles": [{"mode": "AK", "access_key_id": KEY, "access_key_secret": SECRET}]}),
        other__ini=f"[oss]\naccessKeyID = {OTHER_KEY}\naccessKeySecret = {SECRET}\n",
    )
    volumes = [
        {"name": "a", "secret": {"secretName": "files"}},
        {"name": "b", "projected": {"sources": [{"secret": {"name": "absent"}}]}},
    ]
    found = only(deployment("orders", volumes=volumes, mounts=[{"name": "b", "mountPath": "/root/.aliyun"}]), files)

    assert found.carriers == {
        Carrier("file config.json of secret files", CUT),
        Carrier("file other.ini of secret files", OTHER_CUT),
    }
    assert found.notes == {"/root/.aliyun: secret absent is not among the files; it may hold an AccessKey"}


@pytest.mark.parametrize(
    ("item", "configured"),
    [
        (deployment("orders"), False),
        (deployment("orders", URI_VARIABLE), True),
        (deployment("orders", more=[SIDECAR]), True),
        (deployment("orders", more=[{"name": "cloud", "image": "idaas-credential-sidecar@sha256:1"}]), True),
        (deployment("orders", initContainers=[SIDECAR]), True),
        (deployment("orders", labels={"idaas-sidecar.internal/inject": "true"}), True),
    ],
)
def test_a_workload_with_the_sidecar(item: dict[str, Any], configured: bool) -> None:
    """The sidecar's container, the label of the chart, and the variable with its URI show that a workload has it."""
    assert only(item).configured == configured


def test_pods_count_for_their_owner() -> None:
    """A pod belongs to its Deployment, also where the ReplicaSet is not given; without an owner it stands alone."""
    pod = deployment("unused", *AK_VARIABLES)["spec"]["template"]
    labels = {"pod-template-hash": "7d9f4"}
    owner = [{"kind": "ReplicaSet", "name": "orders-7d9f4", "controller": True}]
    replica_set = deployment("orders-7d9f4", kind="ReplicaSet")
    replica_set["metadata"] |= {"labels": labels, "ownerReferences": [{"kind": "Deployment", "name": "orders"}]}
    names = {"name": "orders-7d9f4-x2x8p", "namespace": "shop", "labels": labels, "ownerReferences": owner}
    owned = pod | {"apiVersion": "v1", "kind": "Pod", "metadata": names}
    alone = pod | {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "task", "namespace": "shop"}}
    found = only(owned, replica_set, deployment("orders"))

    assert (found.name, found.pods) == ("shop/deployment/orders", {"shop.orders-7d9f4-x2x8p"})
    assert found.carriers
    assert only(alone).name == "shop/pod/task"


@pytest.mark.parametrize(
    ("kind", "session", "matches"),
    [
        ("Deployment", "shop.orders-7d9f4-x2x8p", True),
        ("Deployment", "shop.orders-api-7d9f4-x2x8p", False),
        ("Deployment", "other.orders-7d9f4-x2x8p", False),
        ("StatefulSet", "shop.orders-0", True),
        ("StatefulSet", "shop.orders-api-0", False),
        ("DaemonSet", "shop.orders-x2x8p", True),
        ("CronJob", "shop.orders-29000000-x2x8p", True),
    ],
)
def test_session_names(kind: str, session: str, matches: bool) -> None:
    """A default session name, `namespace.pod`, is that of the workload whose pods have such names, and of no other."""
    assert only(deployment("orders", kind=kind)).is_of(session) == matches


def test_history_does_not_count() -> None:
    """A ReplicaSet of an earlier template, a Job of a CronJob, and a pod that has ended may have a key that is gone."""
    owned = {"ownerReferences": [{"kind": "Deployment", "name": "orders", "controller": True}]}
    earlier = deployment("orders-1", *AK_VARIABLES, kind="ReplicaSet")
    job = deployment("nightly-1", *AK_VARIABLES, kind="Job")
    for item in (earlier, job):
        item["metadata"] |= owned
    pod = deployment("unused", *AK_VARIABLES)["spec"]["template"]
    ended = pod | {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "status": {"phase": "Succeeded"}}

    assert only(deployment("orders"), earlier, job, ended).carriers == set()


def test_odd_objects() -> None:
    """Objects without pods, and members of other types than expected, are left out."""
    odd = [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": []}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": None, "spec": []},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "b"}, "spec": {"containers": [1, {"env": 5}]}},
        {"apiVersion": "v1", "kind": "PodList", "items": [{"metadata": {"name": "c"}, "spec": {"containers": []}}, 7]},
    ]

    assert [item.name for item in cluster(odd).workloads()] == ["default/pod/b", "default/pod/c"]


def test_temporary_and_empty_values() -> None:
    """A temporary key and an empty value are no long-lived AccessKey; a value of another form is one without an id."""
    sts = value("ALIBABA_CLOUD_ACCESS_KEY_ID", "STS.NTxxxxxxxxxxxxxxxx")
    empty = value("ALIBABA_CLOUD_ACCESS_KEY_ID", "")
    odd = value("ALIBABA_CLOUD_ACCESS_KEY_ID", SECRET)

    assert only(deployment("orders", sts)).carriers == set()
    assert only(deployment("orders", empty)).carriers == set()
    assert only(deployment("orders", odd)).carriers == {Carrier("container app: ALIBABA_CLOUD_ACCESS_KEY_ID", "")}
    assert only(deployment("orders", from_secret("TOKEN", "absent", "x"))).carriers == set()
    assert only(deployment("orders", value("OSS_CONFIG", f"id={KEY};secret={SECRET}"))).carriers == {
        Carrier("container app: OSS_CONFIG", CUT)
    }


def test_a_key_in_a_secret_that_no_workload_uses() -> None:
    """Only the parts that no workload uses are named. An earlier template that uses them does not count."""
    ak = secret("ak", id=KEY, secret=SECRET)
    both = secret("both", id=KEY, other=OTHER_KEY)
    labelled = secret("labelled", ACCESS_KEY_ID="abcdefgh12345678", ACCESS_KEY_SECRET=SECRET)
    earlier = deployment("orders-1", *AK_VARIABLES, kind="ReplicaSet")
    earlier["metadata"]["ownerReferences"] = [{"kind": "Deployment", "name": "orders", "controller": True}]
    user = deployment("orders", from_secret("ID", "both", "id"))
    cases = cluster([ak, both, labelled, earlier, user, secret("plain", a="b")])
    list(cases.workloads())

    assert {item.name: {carrier.place for carrier in item.carriers} for item in cases.stores()} == {
        "shop/secret/ak": {"key id"},
        "shop/secret/both": {"key other"},
        "shop/secret/labelled": {"key ACCESS_KEY_ID"},
    }
