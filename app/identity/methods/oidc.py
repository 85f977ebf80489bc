"""OIDC: the token of another issuer, such as a Kubernetes cluster, read from a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from msgspec import Meta

from ...core.base import READ_LATER, OtherFile
from ...core.checks import Check, check, key_paths
from ...system import secrets
from ...system.secrets import FileSecret
from ..context import TokenSource
from ..foreign_token import ForeignToken
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

ID_TOKEN_BEARER = "urn:cloud:idaas:params:oauth:client-assertion-type:id-token-bearer"  # noqa: S105 - a name

KUBERNETES_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 - a path


class IdaasOidc(Method, tag_field="authnMethod", tag="OIDC", frozen=True, kw_only=True):
    """A token of a Kubernetes cluster or another issuer that the application trusts."""

    identity_type: IdentityType = "CLIENT"
    client_deploy_environment: DeployEnvironment = None
    application_federated_credential_name: FederatedCredential = None
    oidc_token_file_path: Annotated[
        OtherFile | None,
        Meta(
            description="File that holds the token, read at every token request. White space is trimmed. null: the "
            f"file that `oidcTokenFilePathEnvVarName` names, else `{KUBERNETES_TOKEN}`."
        ),
    ] = None
    oidc_token_file_path_env_var_name: Annotated[
        str | None, Meta(description="Environment variable that holds the path of the token file.")
    ] = None

    def checks(self, place: str, facts: ClientFacts) -> Iterator[Check]:
        yield from federated_credential(self, self.application_federated_credential_name, place)
        yield from deploy_environment(self, self.client_deploy_environment, "KUBERNETES", place)

    def token_checks(self, place: str, environ: Mapping[str, str]) -> Iterator[Check]:
        needs = key_paths(place, self.key("oidc_token_file_path"), self.key("oidc_token_file_path_env_var_name"))
        yield check(lambda: self.token_reader(place, environ)(), needs=needs)

    def implied_files(self, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        if not self.oidc_token_file_path:
            named = self.oidc_token_file_path_env_var_name
            path = environ.get(named, "").strip() if named else KUBERNETES_TOKEN
            yield from [(path, READ_LATER)] if path else ()

    def token_reader(self, place: str, environ: Mapping[str, str]) -> FileSecret:
        """
        Return the reader of the token. The file is found in the SDK's order: path, variable, Kubernetes' own file.

        Raises ConfigError if the variable is not set.
        """
        if self.oidc_token_file_path:
            return secrets.from_file(self.oidc_token_file_path, f"{place}.{self.key('oidc_token_file_path')}")
        if not self.oidc_token_file_path_env_var_name:
            return secrets.from_file(KUBERNETES_TOKEN, f"{place}.{self.key('oidc_token_file_path')}")
        key = f"{place}.{self.key('oidc_token_file_path_env_var_name')}"
        path = secrets.from_environment(environ, self.oidc_token_file_path_env_var_name, key)
        return secrets.from_file(path(), key)

    def build(self, parts: ClientParts) -> TokenSource:
        context = parts.context

        async def assertion() -> str:
            read = self.token_reader(parts.place, context.environ)
            token = ForeignToken(read, parts.place, context.now, context.is_synchronised, context.disk)
            return (await token.token()).value

        name = str(self.application_federated_credential_name)
        return parts.token_endpoint_source(Federated(name, ID_TOKEN_BEARER, assertion))
