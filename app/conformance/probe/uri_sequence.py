"""The request of one credentials URI client, run against a server."""

from __future__ import annotations

from ..models.client import FAILS, UNABLE, UNKNOWN, URI, UriClient, Verdict
from ..wire.budget import BudgetExhausted
from ..wire.url import HttpUrl
from .client_steps import error_needs, read_credentials, send_and_follow, verdict_on
from .context import Context


def run_uri_client(client: UriClient, url: HttpUrl, context: Context) -> Verdict:
    """Send the client's request to the URL and return the verdict on the client."""
    if client.defect:
        return Verdict(client.name, URI, UNABLE, remarks=(client.defect,))
    unsupported = client.unsupported_url(url)
    if unsupported is not None:
        return Verdict(client.name, URI, FAILS, (unsupported,))
    try:
        outcome = send_and_follow(client.request(url), client.transport, url, context.send)
    except BudgetExhausted as error:
        return Verdict(client.name, URI, UNKNOWN, remarks=(str(error),))
    result = read_credentials(client, outcome, context.now)
    return verdict_on(client, URI, (*result.unmet, *error_needs(client, context)), context)
