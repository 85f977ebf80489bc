"""The arguments of `setup`, `setup fingerprint` and `setup cluster`."""

from __future__ import annotations

import argparse

from .common import Commands, add_command, add_config_option, whole_number

FORMATS = ("text", "terraform", "aliyun-cli", "json")
KINDS = ("idaas", "okta", "keycloak", "kubernetes", "oidc")


def add_setup(commands: Commands) -> None:
    """Add `setup` with its topics."""
    command = add_command(
        commands,
        "setup",
        "print what to create in RAM: OIDC provider, role, trust policy; changes nothing in the cloud",
        "idaas-sidecar setup --config config.json --policy AliyunOSSReadOnlyAccess",
        "idaas-sidecar setup --format terraform --out ram.tf --from workloads.json",
        "idaas-sidecar setup fingerprint https://example.aliyunidaas.com",
    )
    add_config_option(command)
    command.add_argument("--profile", help="one profile of the configuration (default: all)")
    command.add_argument("--format", choices=FORMATS, default="text", help="output format (default: text)")
    command.add_argument("--out", metavar="FILE", help="write to FILE instead of stdout")
    command.add_argument(
        "--from", dest="workloads", metavar="FILE", help="many workloads from a JSON file, or YAML with PyYAML"
    )
    _add_workload(command)
    topics = command.add_subparsers(dest="topic", metavar="TOPIC", required=False, help="a task beside the plan")
    _fingerprint(topics)
    _cluster(topics)


def _add_workload(command: argparse.ArgumentParser) -> None:
    """Add the flags of one workload. The flags replace values of the configuration, if there is one."""
    flags = command.add_argument_group("one workload, or values that replace those of the configuration")
    flags.add_argument("--kind", choices=KINDS, help="kind of issuer (default: idaas)")
    flags.add_argument("--name", metavar="PROFILE", help="name of the profile (default: default)")
    flags.add_argument("--account", metavar="ID", help="id of the Alibaba Cloud account")
    flags.add_argument("--provider", metavar="NAME", help="name of the OIDC provider in RAM")
    flags.add_argument("--issuer", metavar="URL", help="issuer of the tokens, exactly as in the tokens")
    flags.add_argument("--audience", metavar="AUD", help="audience of the tokens")
    flags.add_argument("--subject", metavar="SUB", action="append", help="subject of the tokens; up to 10 times")
    flags.add_argument("--client-id", metavar="ID", help="client id, which is the subject for IDaaS and Okta")
    flags.add_argument("--scope", metavar="SCOPE", help="scope of the token request, which Okta requires")
    flags.add_argument("--instance-id", metavar="ID", help="id of the IDaaS instance, for the configuration file")
    flags.add_argument("--role", metavar="NAME", help="name of the role")
    flags.add_argument("--policy", metavar="NAME", action="append", help="system policy to attach; repeatable")
    flags.add_argument(
        "--policy-file", metavar="NAME=FILE", action="append", help="custom policy from a JSON file; repeatable"
    )
    flags.add_argument(
        "--fingerprint",
        metavar="SHA1",
        action="append",
        help="fingerprint to register; repeatable (default: connect to the issuer and compute it)",
    )
    flags.add_argument(
        "--issuance-hours",
        metavar="N",
        type=whole_number(0, 999),
        help="token lifetime limit, 1 to 168 (default: 12)",
    )
    flags.add_argument(
        "--session-seconds", metavar="N", type=whole_number(900, 43200), help="session length (default: 3600)"
    )


def _fingerprint(topics: Commands) -> None:
    topic = add_command(
        topics,
        "fingerprint",
        "show the certificates of an issuer, and compare their fingerprint with RAM",
        "idaas-sidecar setup fingerprint https://example.aliyunidaas.com",
        "idaas-sidecar setup fingerprint https://a.okta.com --registered 902ef2deeb3c5b13ea4c3d5193629309e231ae55",
    )
    topic.add_argument("url", metavar="URL", help="issuer, or any https URL of its host")
    topic.add_argument(
        "--registered", metavar="SHA1", action="append", default=[], help="fingerprint that RAM has; up to 5 times"
    )
    topic.add_argument("--new-chain", metavar="FILE", help="PEM chain that the server will present after a rotation")
    topic.add_argument("--provider", metavar="NAME", default="PROVIDER", help="name of the OIDC provider, for commands")
    topic.add_argument("--json", action="store_true", help="print one JSON document instead of text")


def _cluster(topics: Commands) -> None:
    topic = add_command(
        topics,
        "cluster",
        "write and check the documents that the issuer of a Kubernetes cluster publishes",
        "idaas-sidecar setup cluster https://oidc.example.com/prod --jwks jwks.json --out public",
        "idaas-sidecar setup cluster https://oidc.example.com/prod",
    )
    topic.add_argument("issuer", metavar="ISSUER", help="issuer of the cluster (--service-account-issuer)")
    topic.add_argument("--jwks", metavar="FILE", help="output of kubectl get --raw /openid/v1/jwks")
    topic.add_argument("--out", metavar="DIR", help="write the two documents below DIR; needs --jwks")
    topic.add_argument("--offline", action="store_true", help="do not check the published documents")
