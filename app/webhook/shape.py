"""
The types of a pod's members that the decision reads.

The API server checks each object. Other sources do not: any pod of the cluster can connect to the webhook, and people
write the files of `webhook explain`. Members that are not listed here may have any type.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .convert import convert

Texts = dict[str, str] | None


class _Part(msgspec.Struct, rename="camel", kw_only=True):
    """A part of an object. The API accepts null for every member that is not required."""

    def __repr__(self) -> str:
        return type(self).__name__  # a pod may hold secrets


class _FieldRef(_Part):
    field_path: str | None = None


class _ValueFrom(_Part):
    field_ref: _FieldRef | None = None


class _Variable(_Part):
    name: str
    value_from: _ValueFrom | None = None


class _Mount(_Part):
    name: str
    mount_path: str | None = None


class _Device(_Part):
    name: str


class _Probe(_Part):
    http_get: dict[str, Any] | None = None


class _Container(_Part):
    name: str
    image: str | None = None
    target_container_name: str | None = None
    env: list[_Variable] | None = None
    volume_mounts: list[_Mount] | None = None
    volume_devices: list[_Device] | None = None
    security_context: dict[str, Any] | None = None
    startup_probe: _Probe | None = None
    liveness_probe: _Probe | None = None


class _Item(_Part):
    path: str | None = None
    field_ref: _FieldRef | None = None


class _DownwardApi(_Part):
    items: list[_Item] | None = None


class _Source(_Part):
    service_account_token: dict[str, Any] | None = None


class _Projected(_Part):
    sources: list[_Source] | None = None


class _Volume(_Part):
    name: str
    downward_api: _DownwardApi | None = msgspec.field(default=None, name="downwardAPI")
    projected: _Projected | None = None
    empty_dir: dict[str, Any] | None = None


class _Os(_Part):
    name: str | None = None


class _Spec(_Part):
    containers: list[_Container] | None = None
    init_containers: list[_Container] | None = None
    ephemeral_containers: list[_Container] | None = None
    volumes: list[_Volume] | None = None
    service_account_name: str | None = None
    host_network: bool | None = None
    node_selector: Texts = None
    os: _Os | None = None


class Metadata(_Part):
    """The metadata of any object."""

    name: str | None = None
    generate_name: str | None = None
    namespace: str | None = None
    labels: Texts = None
    annotations: Texts = None


class _Pod(_Part):
    metadata: Metadata | None = None
    spec: _Spec | None = None


def check_pod(pod: object, place: str, path: str = "") -> None:
    """Raise ConfigError with a line per member that the decision reads and that has another type."""
    convert(pod, _Pod, place, path, error_code="IDS-126")


def metadata_of(value: object, place: str) -> Metadata:
    """Return the metadata of an object of the API. Raises ConfigError, whose lines begin with `place`."""
    metadata = value.get("metadata") if isinstance(value, dict) else None
    return convert(metadata if metadata is not None else {}, Metadata, place, "metadata", error_code="IDS-126")
