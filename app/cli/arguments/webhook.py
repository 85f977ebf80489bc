"""The arguments of `webhook` and `webhook explain`."""

from __future__ import annotations

import argparse

from .common import Commands, add_command

SETTINGS = "/etc/idaas-sidecar-webhook/settings.json"
CERTIFICATE = "/etc/idaas-sidecar-webhook/tls"
SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


def add_webhook(commands: Commands) -> None:
    """Add `webhook` with its topic."""
    command = add_command(
        commands,
        "webhook",
        "run the admission webhooks that inject the sidecar, for Kubernetes 1.29 to 1.35",
        "idaas-sidecar webhook",
        "idaas-sidecar webhook explain deployment.yaml --policies policies.yaml",
    )
    _add_settings(command)
    command.add_argument(
        "--bind", metavar="ADDRESS", default="[::]:8443", help="address of the listener (default: [::]:8443)"
    )
    command.add_argument(
        "--metrics",
        metavar="ADDRESS",
        default="[::]:8080",
        help="address of the listener with /metrics, without TLS (default: [::]:8080)",
    )
    command.add_argument(
        "--certificate",
        metavar="DIR",
        default=CERTIFICATE,
        help=f"directory with tls.crt and tls.key, which may change (default: {CERTIFICATE})",
    )
    _add_service_account(command)
    topics = command.add_subparsers(dest="topic", metavar="TOPIC", required=False, help="a task beside the webhooks")
    _explain(topics)


def _explain(topics: Commands) -> None:
    topic = add_command(
        topics,
        "explain",
        "say what the webhooks would do with the pods of a file, and why",
        "idaas-sidecar webhook explain deployment.yaml --policies policies.yaml",
        "kubectl get pod POD -o json | idaas-sidecar webhook explain - --policies policies.json",
    )
    topic.add_argument(
        "pod",
        metavar="POD",
        help="file with pods or workloads, JSON or YAML (needs PyYAML: the extra `webhook`); - is stdin",
    )
    topic.add_argument(
        "--policies",
        metavar="FILE",
        help="file with CredentialPolicies: kubectl get credentialpolicies -A -o yaml (default: ask the API server, "
        "in a pod of the webhook)",
    )
    topic.add_argument("--namespace", default="default", help="namespace of objects that name none (default: default)")
    _add_settings(topic, default=None)
    _add_service_account(topic)
    topic.add_argument("--json", action="store_true", help="print one JSON document per pod, with the JSON Patch")


def _add_settings(command: argparse.ArgumentParser, default: str | None = SETTINGS) -> None:
    ending = f"default: {SETTINGS}" if default else f"default: {SETTINGS} if it exists, else the chart's defaults"
    command.add_argument(
        "--settings", metavar="FILE", default=default, help=f"values of the chart, from its ConfigMap ({ending})"
    )


def _add_service_account(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--service-account",
        metavar="DIR",
        default=SERVICE_ACCOUNT,
        help=f"directory with token and ca.crt for the API server (default: {SERVICE_ACCOUNT})",
    )
