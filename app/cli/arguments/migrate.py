"""The arguments of `migrate report`."""

from __future__ import annotations

from .common import Commands, add_command, whole_number


def add_migrate(commands: Commands) -> None:
    """Add `migrate` with its topic."""
    command = add_command(
        commands,
        "migrate",
        "report who still carries an AccessKey, and which key is safe to disable",
        "kubectl get deploy,sts,ds,cronjob,pod,secret,cm -n shop -o json | idaas-sidecar migrate report - audit.jsonl",
    )
    topics = command.add_subparsers(dest="topic", metavar="TOPIC", required=True)
    topic = add_command(
        topics,
        "report",
        "print the workloads with their AccessKeys, and for each key whether it can be disabled",
        "idaas-sidecar migrate report compose.yaml app.env app=audit.jsonl",
        "idaas-sidecar migrate report --home /root /etc/systemd/system/*.service --json",
        "idaas-sidecar migrate report --before january.json cluster.json audit.jsonl",
    )
    topic.add_argument(
        "files",
        nargs="*",
        metavar="[WORKLOAD=]FILE",
        help="output of kubectl get -o json, manifest, compose file, .env file, systemd unit, file of an SDK, "
        "audit log, output of status --json, or metrics; - is stdin. WORKLOAD names whose log, status or metrics it is",
    )
    topic.add_argument(
        "--home", metavar="DIR", action="append", default=[], help="add the SDKs' default files below DIR; repeatable"
    )
    topic.add_argument("--before", metavar="FILE", help="an earlier report (--json), with the carriers of each key")
    topic.add_argument(
        "--ended",
        metavar="WORKLOAD",
        action="append",
        default=[],
        help="a workload of the earlier report that does not exist any more; repeatable",
    )
    topic.add_argument(
        "--days",
        type=whole_number(0, 3650),
        default=7,
        help="days for which workloads must have read from the sidecar before a key is safe to disable (default: 7)",
    )
    topic.add_argument("--json", action="store_true", help="print one JSON document instead of text")
