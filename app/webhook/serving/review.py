"""AdmissionReview of `admission.k8s.io/v1`: the request of the API server, and the response to it."""

from __future__ import annotations

import base64
import json
from typing import Annotated, Any

import msgspec

from ...core.errors import ConfigError
from ...core.text import coded
from ..decision import Decision
from ..pod import Object
from ..shape import check_pod

API_VERSION = "admission.k8s.io/v1"


Namespace = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{0,63}\Z")]
"""A DNS label. It is checked because it becomes a part of a path at the API server."""


class AdmissionRequest(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The members of a request that the decision needs. `object` and `oldObject` are pods."""

    uid: str
    operation: str
    namespace: Namespace = ""
    name: str = ""
    object: Object | None = None
    old_object: Object | None = None


class _AdmissionReview(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str
    request: AdmissionRequest


def read_review(raw: bytes) -> AdmissionRequest:
    """Return the request of an AdmissionReview. Raises ConfigError for another version or object than a pod."""
    try:
        review = msgspec.json.decode(raw, type=_AdmissionReview)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"not an AdmissionReview: {error}", error_code="IDS-126") from None
    except RecursionError:
        raise ConfigError("not an AdmissionReview: nested too deeply", error_code="IDS-126") from None
    if review.api_version != API_VERSION:
        raise ConfigError(f"not an AdmissionReview of {API_VERSION}", error_code="IDS-126")
    request = review.request
    for each in (request.object, request.old_object):
        if each is not None:
            check_pod(each, "AdmissionReview")
    return request


def response(uid: str, decision: Decision, *, status: int = 403) -> Object:
    """Return the AdmissionReview that answers the request with this uid. `status`: the HTTP status of a refusal."""
    body: dict[str, Any] = {"uid": uid, "allowed": decision.outcome != "refused"}
    if decision.outcome == "refused":
        body["status"] = {"code": status, "message": coded(decision.message, decision.error_code)}
    if decision.patch:
        text = json.dumps(decision.patch, separators=(",", ":"), ensure_ascii=False)
        body |= {"patchType": "JSONPatch", "patch": base64.b64encode(text.encode()).decode()}
    if decision.warnings:
        body["warnings"] = list(decision.warnings)
    return {"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": body}
