"""The objects that kubectl and Helm send as Protocol Buffers: name, namespace, labels, annotations and data.

The numbers of the fields: generated.proto of k8s.io/apimachinery and k8s.io/api/core/v1.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

MAGIC = b"k8s\0"
NAME, NAMESPACE, LABELS, ANNOTATIONS = 1, 3, 11, 12
"""Fields of ObjectMeta."""


def decoded(body: bytes) -> dict[str, Any]:
    """Return a Namespace, Secret or ConfigMap as JSON has it."""
    envelope = dict(_fields(body.removeprefix(MAGIC)))
    kind = dict(_fields(envelope[1]))[2].decode()
    members = list(_fields(envelope[2]))
    (metadata,) = [list(_fields(value)) for number, value in members if number == 1]
    found: dict[str, Any] = {"apiVersion": "v1", "kind": kind, "metadata": {}}
    for number, name in ((NAME, "name"), (NAMESPACE, "namespace")):
        if number in dict(metadata):
            found["metadata"][name] = dict(metadata)[number].decode()
    for number, name in ((LABELS, "labels"), (ANNOTATIONS, "annotations")):
        if number in dict(metadata):
            found["metadata"][name] = {key: value.decode() for key, value in _map(metadata, number)}
    if kind in ("Secret", "ConfigMap"):
        secret = kind == "Secret"
        data = _map(members, 2)
        found["data"] = {key: base64.b64encode(each).decode() if secret else each.decode() for key, each in data}
    if kind == "Secret" and 3 in dict(members):
        found["type"] = dict(members)[3].decode()
    return found


def _map(members: list[tuple[int, bytes]], number: int) -> Iterator[tuple[str, bytes]]:
    for found, value in members:
        if found == number:
            pair = dict(_fields(value))
            yield pair[1].decode(), pair.get(2, b"")


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of each field with a length; numbers are skipped."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        length, at = _varint(data, at)
        if tag & 7 == 2:
            yield tag >> 3, data[at : at + length]
            at += length
        elif tag & 7 != 0:
            raise ValueError(f"wire type {tag & 7}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
