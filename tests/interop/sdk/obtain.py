"""Call the official SDK as an application does: `obtain.py CONFIG OPERATION`. Prints the result as one JSON line.

OPERATION: `token`; `exchange` (of the token in $SUBJECT_TOKEN); `pam` (a role managed by IDaaS, $ROLE_ARN); `assume`
(AssumeRole of $ROLE_ARN by the STS SDK, with an AccessKey).
The address of the metadata service is fixed in the SDK. Connections to it are redirected to the port $METADATA.
"""

import json
import os
import socket
import sys

ADDRESS = ("100.100.100.200", 80)


def redirect(to):
    """Redirect connections to the metadata service's address to the port `to` of this machine."""
    connect = socket.socket.connect
    socket.socket.connect = lambda self, address: connect(self, ("127.0.0.1", to) if address == ADDRESS else address)


def token(factory):
    return factory.get_idaas_credential_provider().get_credential().access_token


def exchange(factory):
    provider = factory.get_idaas_token_exchange_credential_provider()
    kind = "urn:ietf:params:oauth:token-type:access_token"
    return provider.get_credential(os.environ["SUBJECT_TOKEN"], kind).access_token


def pam(factory):
    from cloud_idaas.adapter.alibabacloud import IDaaSPamAlibabaCloudCredentialsProvider

    provider = IDaaSPamAlibabaCloudCredentialsProvider(
        developer_api_endpoint=factory.get_developer_api_endpoint(),
        idaas_instance_id=factory.get_idaas_instance_id(),
        role_arn=os.environ["ROLE_ARN"],
        oidc_token_provider=type("Token", (), {"get_oidc_token": lambda self: token(factory)})(),
    )
    return provider.get_credentials().access_key_id


def assume(_factory):
    from alibabacloud_sts20150401.client import Client
    from alibabacloud_sts20150401.models import AssumeRoleRequest
    from alibabacloud_tea_openapi.models import Config

    client = Client(
        Config(
            access_key_id=os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"],
            access_key_secret=os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"],
            endpoint=os.environ["STS_ENDPOINT"],
        )
    )
    request = AssumeRoleRequest(role_arn=os.environ["ROLE_ARN"], role_session_name="session-1", duration_seconds=3600)
    return client.assume_role(request).body.credentials.access_key_id


def main():
    redirect(int(os.environ["METADATA"]))
    from cloud_idaas.core import IDaaSCredentialProviderFactory

    config, operation = sys.argv[1:]
    try:
        if operation != "assume":
            IDaaSCredentialProviderFactory.init(config)
        print(json.dumps({"got": globals()[operation](IDaaSCredentialProviderFactory)}))
    except Exception as error:
        causes = []
        while error is not None and len(causes) < 5:
            causes.append(f"{type(error).__name__}: {error}")
            error = error.__cause__
        print(json.dumps({"failed": causes}))


main()
