"""Reads the given files. The content of a file shows its kind, so any mixture of files can be given."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..core.errors import ConfigError, Mistake
from ..core.json_text import TooDeep, json_value
from ..system import files
from ..system.yaml_file import parse_documents
from . import compose, env_files, evidence, kubernetes
from .workload import Found, Reading

LARGEST = 256 * 1_048_576
"""The most bytes of one file: an audit log of months."""

Read = Callable[[str], bytes]
"""Returns the bytes of a file; `-` is stdin. Raises ConfigError."""


def read_file(path: str) -> bytes:
    """Return the bytes of a file. Raises ConfigError."""
    try:
        return files.read(path, LARGEST)
    except files.Unreadable as why:
        raise ConfigError(why.at(path), error_code="IDS-102") from None


def read(arguments: Sequence[str], read_bytes: Read) -> Found:
    """
    Return the content of the files. An argument `WORKLOAD=FILE` names the workload of an audit log, status or metrics.

    Raises ConfigError for a file that cannot be read, or that contains nothing about AccessKeys or the sidecar.
    """
    named = [_named(argument) for argument in arguments]
    texts = {path: read_bytes(path) for _, path in named}
    reader = _Reader({os.path.normpath(path): text for path, text in texts.items()})
    for workload, path in named:
        reader.add(workload, path, texts[path])
    return reader.result()


def _named(argument: str) -> tuple[str, str]:
    workload, separator, path = argument.partition("=")
    return (workload, path) if separator and not files.exists(argument) else ("", argument)


class _Reader:
    """Reads files of all kinds. Kubernetes objects are combined at the end, because one file may refer to another."""

    def __init__(self, texts: Mapping[str, bytes]) -> None:
        self._texts = texts
        self._used: set[str] = set()
        self._objects: list[Mapping[str, Any]] = []
        self._plain: list[tuple[str, str]] = []
        self._found = Found()

    def add(self, workload: str, path: str, raw: bytes) -> None:
        """Add one file."""
        if b"\0" in raw:
            cause = f"{path}: not a text file, so an AccessKey in it would not be found"
            raise ConfigError.of([Mistake(cause, "IDS-126", "name the text file from which it was made")])
        text = raw.decode(errors="replace")
        documents = _documents(path, raw, text)
        readings = _readings(workload, text, documents)
        if workload:
            self._found.named.add(workload)
        if readings is not None:
            for reading in readings:
                self._found.reading(reading)
        elif workload and text.strip():  # the log of a workload that has used no credentials may be empty
            cause = f"{workload}={path}: the file is not an audit log, status or metrics of a sidecar"
            raise ConfigError(cause, cure=f"give it as {path}, without a workload", error_code="IDS-125")
        elif documents is not None:
            for document in documents:
                self._document(path, text, document)
        elif env_files.is_unit(text):
            self._found.workload(env_files.unit(text, path, self._given))
        elif not workload:
            self._plain.append((path, text))

    def result(self) -> Found:
        """Return everything found. A file that a unit or service uses is not a separate workload."""
        cluster = kubernetes.cluster(self._objects)
        for found in cluster.workloads():
            self._found.workload(found)
        for store in cluster.stores():
            self._found.stores[store.name] = store.carriers
        for path, text in self._plain:
            if os.path.normpath(path) not in self._used:
                self._found.workload(env_files.plain(text, path))
        return self._found

    def _document(self, path: str, text: str, document: Any) -> None:
        if kubernetes.is_object(document):
            self._objects.append(document)
        elif compose.is_compose(document):
            for found in compose.workloads(document, path, self._given):
                self._found.workload(found)
        elif document is not None:
            self._plain.append((path, text))

    def _given(self, path: str) -> str | None:
        """Return the text of a given file, for another file that refers to it."""
        place = os.path.normpath(path)
        raw = self._texts.get(place)
        if raw is None:
            return None
        self._used.add(place)
        return raw.decode(errors="replace")


def _readings(workload: str, text: str, documents: Sequence[Any] | None) -> Iterable[Reading] | None:
    """Return the uses of a sidecar in an audit log, status or metrics; None for another file."""
    if documents is not None:
        if not documents or not all(map(evidence.is_status, documents)):
            return None
        return (reading for document in documents for reading in evidence.of_status(document, workload))
    if evidence.is_audit_log(text):
        return evidence.of_audit_log(text, workload)
    return evidence.of_metrics(text, workload) if evidence.is_metrics(text) else None


def _documents(path: str, raw: bytes, text: str) -> list[Any] | None:
    """Return the documents of a JSON or YAML file; None for other texts, and for JSON lines. Raises ConfigError."""
    if re.search(r"\.ya?ml$", path):
        return parse_documents(raw, path)
    if text.lstrip()[:1] != "{" or evidence.is_audit_log(text):
        return None
    try:
        return [json_value(text)]
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}:{error.lineno}:{error.colno}: not JSON: {error.msg}", error_code="IDS-126") from None
    except TooDeep as error:
        raise ConfigError(f"{path}: {error}", error_code="IDS-126") from None
    except ValueError:
        raise ConfigError(f"{path}: not JSON: a number is too long", error_code="IDS-126") from None
