"""PKCS7: the identity document of an ECS instance, signed by Alibaba Cloud."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.checks import Check, check
from ..context import TokenSource
from ..ecs_metadata import EcsMetadataSetting, check_endpoint, metadata_service
from .federated import Federated
from .method import (
    ClientFacts,
    ClientParts,
    DeployEnvironment,
    FederatedCredential,
    IdentityType,
    Method,
    deploy_environment,
    federated_credential,
)

PKCS7_BEARER = "urn:cloud:idaas:params:oauth:client-assertion-type:pkcs7-bearer"


class IdaasPkcs7(Method, tag_field="authnMethod", tag="PKCS7", frozen=True, kw_only=True):
    """The signed identity document of the ECS instance."""

    identity_type: IdentityType = "CLIENT"
    client_deploy_environment: DeployEnvironment = None
    application_federated_credential_name: FederatedCredential = None
    ecs_metadata_endpoint: EcsMetadataSetting = "http://100.100.100.200"

    def checks(self, place: str, facts: ClientFacts) -> Iterator[Check]:
        yield from federated_credential(self, self.application_federated_credential_name, place)
        yield from deploy_environment(self, self.client_deploy_environment, "ALIBABA_CLOUD_ECS", place)
        yield check(check_endpoint, self.ecs_metadata_endpoint, f"{place}.{self.key('ecs_metadata_endpoint')}")

    def metadata_endpoint(self) -> str | None:
        return self.ecs_metadata_endpoint

    def build(self, parts: ClientParts) -> TokenSource:
        service = metadata_service(self.ecs_metadata_endpoint, parts.context)
        instance = str(parts.facts.instance_id)
        name = str(self.application_federated_credential_name)
        return parts.token_endpoint_source(Federated(name, PKCS7_BEARER, lambda: service.identity_document(instance)))
