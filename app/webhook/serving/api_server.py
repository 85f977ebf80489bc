"""CredentialPolicies from the API server, read with the token of the pod's service account.

Each admission reads the one object of its namespace. So a change applies after CACHE_SECONDS, and the service account
needs only the verb `get`. A list of all namespaces would grow with the cluster, and a watch can silently fall behind.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Any

import httpx
from cachetools import TTLCache

from ...core.addresses import authority
from ...core.errors import ConfigError, Unreachable
from ...core.json_text import json_value
from ...core.values import Now
from ...system import files
from ...system.probe import probe
from ...upstream.plain_answers import plain
from ..names import GROUP, POLICY_NAME, VERSION
from ..policy import CredentialPolicy, decoded

CACHE_SECONDS = 2.0
"""Seconds for which a policy is used again. A Deployment of 100 replicas makes its pods within a second or two."""

MOST_CACHED = 1_024
LARGEST_TOKEN = 65_536

TIMEOUT_SECONDS = 1.5
"""Seconds for one attempt. Two attempts end before the API server's own time limit for the webhook, which is 5 s."""

ATTEMPTS = 2
"""Attempts of one read. The API server may close a kept connection at the moment of the request."""


def base_url(environ: Mapping[str, str]) -> str:
    """Return the URL of the API server, from the variables that kubelet sets. Raises ConfigError outside a pod."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not port.isdigit():
        raise ConfigError(
            "the variable KUBERNETES_SERVICE_HOST is not set, so this is not a pod",
            cure="use webhook explain --policies FILE outside a cluster",
            error_code="IDS-128",
        )
    return f"https://{authority(host, int(port))}"


class ApiServerPolicies:
    """
    The CredentialPolicies of a cluster.

    `directory` has the files `token` and `ca.crt` of the service account. kubelet replaces both before they expire.
    `transport` is for tests.
    """

    def __init__(
        self,
        url: str,
        directory: str,
        *,
        monotonic: Now,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._url = url
        self._directory = directory
        self._transport = transport
        self._cache: TTLCache[str, CredentialPolicy] = TTLCache(MOST_CACHED, CACHE_SECONDS, timer=monotonic)
        self._reads: dict[str, asyncio.Task[CredentialPolicy | None]] = {}
        self._clients: list[httpx.AsyncClient] = []
        self._ca: object = None
        self._changing = asyncio.Lock()

    async def find(self, namespace: str) -> CredentialPolicy | None:
        """
        Return the policy of a namespace, or None. Raises Unreachable.

        Concurrent admissions of one namespace share a read. The absence of a policy is not remembered, so that a pod
        that is created just after its policy is admitted.
        """
        found = self._cache.get(namespace)
        if found is not None:
            return found
        read = self._reads.get(namespace)
        if read is None:
            read = self._reads[namespace] = asyncio.create_task(self._read(namespace))
            read.add_done_callback(lambda _: self._reads.pop(namespace))
        # The cancellation of one caller must not cancel the read for the others.
        return await asyncio.shield(read)

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients:
            await client.aclose()

    async def _read(self, namespace: str) -> CredentialPolicy | None:
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/credentialpolicies/{POLICY_NAME}"
        answer = await self._get(path)
        if answer is None:
            return None
        try:
            policy = decoded(answer, "the CredentialPolicy")
        except ConfigError as error:
            causes = ", ".join(each.cause for each in error.mistakes)
            raise Unreachable(f"GET {path}: {causes}", cure=error.cure, error_code=error.error_code) from None
        self._cache[namespace] = policy
        return policy

    async def _get(self, path: str) -> Any:
        """Return the object, or None if the API server says that it does not exist. Raises Unreachable."""
        async with self._changing:  # one read at a time checks the files, so that only one client is made
            token, context = await asyncio.to_thread(self._credentials)
            client = self._client(context)
        response = await _attempts(lambda: client.get(path, headers={"Authorization": f"Bearer {token}"}), path)
        if response.status_code == 200:
            return _json(response, path)
        # A missing CRD is 404, too, but as text. It is a mistake of the installation, and does not mean "no policy".
        if response.status_code == 404 and _json(response, path).get("reason") == "NotFound":
            return None
        reason = {401: "the token is not accepted", 403: "the service account may not read it"}
        raise Unreachable(
            f"GET {path}: {reason.get(response.status_code, 'no policy')} (HTTP {response.status_code})",
            status=response.status_code,
        )

    def _credentials(self) -> tuple[str, ssl.SSLContext | None]:
        """Return the token, and a TLS context if the CA has changed since the last read. Runs in a thread."""
        token_file, ca_file = f"{self._directory}/token", f"{self._directory}/ca.crt"
        try:
            token = files.read(token_file, LARGEST_TOKEN).decode("ascii").strip()
            stamp = probe(ca_file)
            if self._clients and stamp == self._ca:
                return token, None
            context = ssl.create_default_context(cafile=ca_file)
        except files.Unreadable as why:
            raise Unreachable(why.at(token_file)) from None
        except (OSError, ValueError) as error:
            raise Unreachable(f"{ca_file} or the token beside it: {error}") from None
        self._ca = stamp
        return token, context

    def _client(self, context: ssl.SSLContext | None) -> httpx.AsyncClient:
        """Return the client with the current CA. `close` closes earlier clients, which may have requests under way."""
        if context is not None:
            self._clients.append(
                httpx.AsyncClient(
                    base_url=self._url,
                    verify=context,
                    trust_env=False,  # the API server is never behind a proxy of the environment
                    timeout=TIMEOUT_SECONDS,
                    transport=self._transport,
                    **plain(),
                )
            )
        return self._clients[-1]


async def _attempts(send: Callable[[], Any], path: str) -> httpx.Response:
    """Return the response of the first attempt that has one. Raises Unreachable."""
    for left in reversed(range(ATTEMPTS)):
        try:
            response: httpx.Response = await send()
            return response
        except httpx.HTTPError as error:
            if not left:
                raise Unreachable(f"GET {path}: {str(error) or 'the connection broke off'}") from None
    raise AssertionError


def _json(response: httpx.Response, path: str) -> Any:
    try:
        value = json_value(response.content)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Unreachable(
            f"GET {path}: HTTP {response.status_code} without an object of the API", cure="install the CRD of the chart"
        )
    return value
