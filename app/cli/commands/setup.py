"""
`setup`: print the RAM resources that a workload needs. Changes nothing in the cloud.

`setup fingerprint` compares the certificate of an issuer with RAM; `setup cluster` prepares the issuer of a cluster.
"""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from ...core.errors import ConfigError, SidecarError
from ...core.json_text import json_text
from ...core.text import coded, one_line
from ...setup import cluster, fingerprint, limits, rotation
from ...setup.fetch import json_object
from ...setup.output import aliyun_cli, as_json, terraform, text
from ...setup.sources import Source, read
from ...system import files
from ...system.json_file import LARGEST, read_object

FINDINGS = 1
RENDERERS: Mapping[str, ModuleType] = {
    "text": text,
    "terraform": terraform,
    "aliyun-cli": aliyun_cli,
    "json": as_json,
}


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Print the plan, or run `setup fingerprint` or `setup cluster`."""
    match arguments.topic:
        case "fingerprint":
            return _fingerprint(arguments, environ)
        case "cluster":
            return _cluster(arguments, environ)
    source = read(arguments, environ, ask=_ask if sys.stdin.isatty() else None, tell=_tell)
    plan = source.plan(_fingerprints(source, environ))
    _write(arguments.out, RENDERERS[arguments.format].render(plan))
    return 0


def _ask(question: str) -> str:
    # Questions go to stderr, so that stdout holds only the plan.
    print(question, end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        raise ConfigError(
            "the input ended before the last answer",
            cure="answer all questions, or use the flags of --help",
            error_code="IDS-125",
        )
    return line


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _write(path: str | None, content: str) -> None:
    if path is None:
        print(content, end="")
        return
    try:
        Path(path).write_text(content)
    except OSError as error:
        raise ConfigError(f"--out: {path}: {error.strerror}", error_code="IDS-603") from None


def _fingerprints(source: Source, environ: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the fingerprints of each issuer that needs them, and add the notes of its chain to the source."""
    found = {}
    ca_file = source.ca_file or environ.get("SSL_CERT_FILE")
    for issuer in source.issuers_to_ask():
        chain = fingerprint.presented(issuer, ca_file, otherwise=source.without_chain)
        source.notes += (*chain.notes, *_other_host(issuer, chain, ca_file))
        found[issuer] = chain.fingerprints
    return found


def _other_host(issuer: str, chain: fingerprint.Chain, ca_file: str | None) -> Iterator[str]:
    """Yield a note if the keys of the issuer are on another host, whose certificate may have another root."""
    try:
        uri = json_object(f"{issuer.rstrip('/')}{cluster.DISCOVERY_PATH}", ca_file).get("jwks_uri")
        if not isinstance(uri, str) or fingerprint.endpoint(uri) == (chain.host, chain.port):
            return
        other = fingerprint.presented(uri, ca_file)
    except SidecarError:
        return  # without a discovery document, the host of the keys is unknown
    if other.fingerprint not in chain.fingerprints:
        # RAM's documentation names the host of jwks_uri in April 2025, but the host of the issuer in March 2026.
        yield (
            f"the keys of {issuer} are on {other.host}, whose fingerprint is {other.fingerprint}; if STS reports a "
            "certificate error, register that fingerprint too"
        )


# --- setup fingerprint ------------------------------------------------------------------------------------------------


def _fingerprint(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Print the server's chain and the fingerprint to register. The exit code is 1 if RAM has no fingerprint of it."""
    registered = tuple(rotation.normalised(value) for value in arguments.registered)
    mistakes = list(limits.fingerprints(registered, "--registered")) if registered else []
    if mistakes:
        raise ConfigError.of(mistakes)
    chain = fingerprint.presented(arguments.url, environ.get("SSL_CERT_FILE"))
    upcoming = _upcoming(arguments.new_chain)
    state = rotation.Rotation(registered, chain.fingerprints, upcoming)
    if arguments.json:
        print(json_text(_fingerprint_document(chain, state, arguments.provider), indent=2))
    else:
        print("\n".join(map(one_line, _fingerprint_lines(chain, state, arguments.provider))))
    return 0 if state.mistake is None else FINDINGS


def _upcoming(path: str | None) -> tuple[str, ...]:
    """Return the fingerprint of the server's next chain."""
    if path is None:
        return ()
    try:
        content = files.read(path, LARGEST).decode(errors="replace")
    except files.Unreadable as why:
        raise ConfigError(why.at(f"--new-chain: {path}"), error_code="IDS-102") from None
    return (fingerprint.from_pem(content, f"--new-chain: {path}")[-1].sha1,)


def _fingerprint_document(chain: fingerprint.Chain, state: rotation.Rotation, provider: str) -> dict[str, Any]:
    certificates = [
        {"subject": each.subject, "issuer": each.issuer, "sha1": each.sha1, "notAfter": each.not_after}
        for each in chain.presented
    ]
    return {
        "host": chain.host,
        "port": chain.port,
        "chain": certificates,
        "fingerprint": chain.fingerprint,
        "register": list(chain.fingerprints),
        "registered": list(state.registered),
        "upcoming": list(state.upcoming),
        "works": state.mistake is None,
        "error_code": state.mistake.error_code if state.mistake is not None else None,
        "steps": state.steps(provider),
        "notes": list(chain.notes),
    }


def _fingerprint_lines(chain: fingerprint.Chain, state: rotation.Rotation, provider: str) -> Iterable[str]:
    yield f"Chain that {chain.host}:{chain.port} presents:"
    for number, each in enumerate(chain.presented):
        yield f"  {number}  {each.sha1}  until {each.not_after}  {each.subject}"
    yield f"Fingerprint for RAM: {chain.fingerprint}"
    yield from (f"Note: {note}" for note in chain.notes)
    if not state.registered and not state.upcoming:
        return
    yield f"{'Fingerprint':<40}  {'in RAM':<6}  {'now':<3}  new chain"
    for value, *marks in state.rows():
        yield f"{value}  {marks[0]:<6}  {marks[1]:<3}  {marks[2]}"
    if state.mistake is not None:
        yield coded(f"STS refuses tokens of this issuer: {state.mistake}", state.mistake.error_code)
    steps = state.steps(provider)
    yield from (f"{number}. {step}" for number, step in enumerate(steps, 1))
    if not steps and state.registered:
        yield "Nothing to do."


# --- setup cluster ----------------------------------------------------------------------------------------------------


def _cluster(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Write the documents to publish, and check the published documents. Exit code 1 if those are wrong."""
    mistakes = list(limits.issuer(arguments.issuer, "ISSUER"))
    if mistakes:
        raise ConfigError.of(mistakes)
    own = read_object(arguments.jwks) if arguments.jwks else None
    if arguments.out and own is None:
        raise ConfigError(
            f"--out: needs --jwks FILE: kubectl get --raw {cluster.JWKS_PATH} > jwks.json", error_code="IDS-125"
        )
    if own is not None:
        documents = cluster.documents(arguments.issuer, own, arguments.jwks)
        if arguments.out:
            _write_documents(Path(arguments.out), documents, arguments.issuer)
    if arguments.offline:
        return 0
    ca_file = environ.get("SSL_CERT_FILE")
    found = list(cluster.findings(arguments.issuer, lambda url: json_object(url, ca_file), own))
    for mistake in found:
        print(one_line(coded(mistake, mistake.error_code)))
    if not found:
        print(f"{arguments.issuer}: discovery document and JWK set are published and usable by STS")
        print(f"next: idaas-sidecar setup --kind kubernetes --issuer {arguments.issuer} --help")
    return FINDINGS if found else 0


def _write_documents(directory: Path, documents: Mapping[str, Any], issuer: str) -> None:
    try:
        for path, document in documents.items():
            target = directory / path.lstrip("/")
            os.makedirs(target.parent, exist_ok=True)
            target.write_text(json.dumps(document, indent=2) + "\n")
            print(f"wrote {target}: publish it at {issuer.rstrip('/')}{path} as application/json")
    except OSError as error:
        raise ConfigError(f"--out: {error.filename}: {error.strerror}", error_code="IDS-603") from None
