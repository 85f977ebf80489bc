"""The routes of the FastAPI application: paths, types and documentation.

Every function hands the raw request to `respond`. Path parameters are for OpenAPI: handlers match the undecoded path.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from fastapi.routing import APIRoute

from . import models

Respond = Callable[[Request], Awaitable[Response]]

DESCRIPTION = """\
Refreshes STS credentials in the background and serves them to co-located processes. SDKs read them through
`ALIBABA_CLOUD_CREDENTIALS_URI`, or through the ECS metadata paths.

Each tag is a listener of its own: a request to another listener's path gets 404. Paths are matched as raw bytes, and
only the prefix of the ECS paths ignores case. Every error has the members `Code` and `Message`.

A response that leaves its connection open announces `Keep-Alive: timeout=5`. The server closes the connection 6.5 to
7.5 seconds after its last response.
"""

TAGS: list[dict[str, Any]] = [
    {"name": "credentials", "description": "`server.bind`: the credentials URI. The ECS paths answer there as well."},
    {"name": "ECS metadata", "description": "`server.metadata`: the paths of the ECS metadata service."},
    {"name": "operations", "description": "`server.ops`: probes, metrics, status. Never a credential."},
    {"name": "admin", "description": "`server.adminSocket`: orders of the sidecar's owner, over a unix socket alone."},
]

Profile = Annotated[str, Path(description="Name of a profile.", examples=["default"])]
Level = Annotated[str, Path(description="debug, info, warning or error.")]
SessionToken = Annotated[str | None, Header(alias="X-aliyun-ecs-metadata-token", description="A session token.")]
Ttl = Annotated[
    str | None,
    Header(alias="X-aliyun-ecs-metadata-token-ttl-seconds", description="Seconds, 1 to 21600.", examples=["60"]),
]
Version = Annotated[str, Path(description="A date. Every version is answered like `latest`.", examples=["2016-01-01"])]
PathToken = Annotated[str, Path(description="The path token, where `access.pathToken` is set.")]


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": models.ErrorDocument, "description": _ERRORS[status]} for status in statuses}


_ERRORS = {
    400: "`BadRequest`: not a request that this server understands.",
    401: "`AccessDenied.MetadataToken`: the metadata session token is missing, wrong or expired.",
    403: "`AccessDenied.<Reason>`: Host, Forwarded, Browser, PathToken, Caller, CallerUnknown, Remote or Admin.",
    404: "`NotFound`: nothing is served at this path, or there is no such profile.",
    429: "`Throttled`: above `access.requestsPerSecond`, or too many requests wait.",
    503: "`CredentialsUnavailable`, with Retry-After: no valid credentials are held.",
}


def credentials(respond: Respond) -> APIRouter:
    """Return the routes of the credentials listener."""
    router = APIRouter(tags=["credentials"], responses=_errors(400, 403, 404, 429, 503))

    @router.get("/credentials", response_model=models.CredentialDocument, summary="Credentials of `default`")
    async def default_credentials(request: Request) -> Response:
        """Return the credentials of the profile `default`. A cold start waits for them for at most 4 seconds."""
        return await respond(request)

    @router.get("/credentials/{profile}", response_model=models.CredentialDocument, summary="Credentials of a profile")
    async def profile_credentials(request: Request, profile: Profile) -> Response:
        """Return the credentials of one profile. A trailing slash is accepted."""
        return await respond(request)

    @router.get("/aws/{profile}", response_model=models.AwsDocument, summary="Credentials for the SDKs of AWS")
    async def aws_credentials(request: Request, profile: Profile) -> Response:
        """Return the credentials of one profile as the SDKs of AWS read them, for tools that speak S3 to OSS."""
        return await respond(request)

    @router.get(
        "/{path_token}/aws/{profile}",
        response_model=models.AwsDocument,
        summary="Credentials for the SDKs of AWS, with a path token",
    )
    async def aws_credentials_with_path_token(request: Request, path_token: PathToken, profile: Profile) -> Response:
        """Return the credentials of one profile, for a client that knows the path token."""
        return await respond(request)

    @router.get(
        "/{path_token}/credentials",
        response_model=models.CredentialDocument,
        summary="Credentials of `default`, with a path token",
    )
    async def default_credentials_with_path_token(request: Request, path_token: PathToken) -> Response:
        """Return the credentials of `default`. The token is also accepted as X-Aliyun-Parameters-Secrets-Token."""
        return await respond(request)

    @router.get(
        "/{path_token}/credentials/{profile}",
        response_model=models.CredentialDocument,
        summary="Credentials of a profile, with a path token",
    )
    async def profile_credentials_with_path_token(
        request: Request, path_token: PathToken, profile: Profile
    ) -> Response:
        """Return the credentials of one profile, for a client that knows the path token."""
        return await respond(request)

    return router


def ecs_metadata(respond: Respond) -> APIRouter:
    """Return the routes of the ECS metadata service, below `/latest` and below a date."""
    router = APIRouter(tags=["ECS metadata"], responses=_errors(400, 401, 403, 404, 429))
    paths = _ecs_paths(respond)
    router.include_router(paths, prefix="/latest")
    router.include_router(
        paths,
        prefix="/{version}",
        dependencies=[Depends(_dated)],
        generate_unique_id_function=lambda route: f"{route.name}_of_version",
    )
    return router


async def _dated(version: Version) -> None:
    """Declare the version for the OpenAPI document. The handlers read it from the raw path."""


def _ecs_paths(respond: Respond) -> APIRouter:
    router = APIRouter()

    @router.put("/api/token", response_class=PlainTextResponse, summary="Issue a session token")
    async def issue_session_token(
        request: Request,
        ttl: Ttl = None,
    ) -> Response:
        """Return a metadata session token: one line of visible ASCII."""
        return await respond(request)

    roles = "/meta-data/ram/security-credentials/"

    @router.get(roles, response_class=PlainTextResponse, summary="List the role")
    async def list_roles(request: Request, session: SessionToken = None) -> Response:
        """Return one role name, which is a profile name: `default`, else the first that the caller may have."""
        return await respond(request)

    @router.get(
        roles + "{role}",
        response_model=models.CredentialDocument,
        responses=_errors(503),
        summary="Credentials of a role",
    )
    async def role_credentials(request: Request, role: Profile, session: SessionToken = None) -> Response:
        """Return the credentials of one profile. A cold start waits for them for at most 0.8 seconds."""
        return await respond(request)

    @router.get("/meta-data/{name:path}", response_class=PlainTextResponse, summary="A metadata value")
    async def metadata_value(
        request: Request,
        name: Annotated[str, Path(description="A name of `metadata.values`.", examples=["region-id"])],
        session: SessionToken = None,
    ) -> Response:
        """Return a configured value, or the listing of the names for an empty name."""
        return await respond(request)

    @router.get(
        "/dynamic/instance-identity/document",
        response_model=models.IdentityDocument,
        summary="The instance identity document",
    )
    async def identity_document(request: Request, session: SessionToken = None) -> Response:
        """Return the configured values as one JSON document, unsigned (`metadata.identityDocument`)."""
        return await respond(request)

    return router


def _probes(router: APIRouter, respond: Respond) -> None:
    """Add the routes that Kubernetes and Prometheus request."""
    dead: dict[int | str, dict[str, Any]] = {
        503: {"model": models.ProbeDocument, "description": "Not so; the body says why."}
    }

    @router.get("/livez", response_model=models.ProbeDocument, responses=dead, summary="Liveness")
    async def livez(request: Request) -> Response:
        """Return 200 while every loop of the process runs."""
        return await respond(request)

    @router.get("/healthz", response_model=models.ProbeDocument, responses=dead, summary="Liveness, on both listeners")
    async def healthz(request: Request) -> Response:
        """Return 200 while the process serves. The operations listener answers it as `/livez`."""
        return await respond(request)

    @router.get("/readyz", response_model=models.ProbeDocument, responses=dead, summary="Readiness")
    async def readyz(request: Request) -> Response:
        """Return 200 while every required profile has usable credentials."""
        return await respond(request)

    @router.get("/startupz", response_model=models.ProbeDocument, responses=dead, summary="Start-up")
    async def startupz(request: Request) -> Response:
        """Return 200 when the start-up gate (`startup.gate`) has opened."""
        return await respond(request)

    @router.get("/metrics", response_class=PlainTextResponse, summary="Prometheus metrics")
    async def metrics(request: Request) -> Response:
        """Return the metrics in the Prometheus text format. Scrapes at the same time share one body."""
        return await respond(request)


def ops(respond: Respond, *, docs_page: Respond, openapi: Respond) -> APIRouter:
    """Return the routes of the operations listener. The last two make the pages of the application."""
    router = APIRouter(tags=["operations"])
    _probes(router, respond)
    local = _errors(400, 403)

    @router.get("/status.json", response_model=models.StatusDocument, responses=local, summary="Status, for programs")
    async def status_json(request: Request) -> Response:
        """Return the state of the sidecar and of every profile, to callers on loopback and on the admin socket."""
        return await respond(request)

    @router.get("/status", response_class=HTMLResponse, responses=local, summary="Status, for people")
    async def status(request: Request) -> Response:
        """Return the status as a page, to callers on loopback. With `?refresh=on` it reloads itself."""
        return await respond(request)

    @router.get("/errors", response_class=HTMLResponse, responses=local, summary="Errors and states, for people")
    async def errors(request: Request) -> Response:
        """Return the errors index and the states of this version as a page, to callers on loopback."""
        return await respond(request)

    @router.get("/openapi.json", response_model=dict[str, Any], responses=local, summary="This document")
    async def openapi_json(request: Request) -> Response:
        """Return the OpenAPI document, to callers on loopback."""
        return await openapi(request)

    @router.get("/docs", response_class=HTMLResponse, responses=local, summary="This document as a page")
    async def docs(request: Request) -> Response:
        """Return the documentation of the routes as a page without scripts, to callers on loopback."""
        return await docs_page(request)

    _add_head(router)
    return router


def _add_head(router: APIRouter) -> None:
    """Declare HEAD for every route of a router: the handlers answer it like GET, without the body."""
    for route in [each for each in router.routes if isinstance(each, APIRoute)]:
        router.add_api_route(
            route.path,
            route.endpoint,
            methods=["HEAD"],
            name=f"{route.name}_head",
            response_class=Response,
            responses={status: {"description": each["description"]} for status, each in route.responses.items()},
            summary=f"{route.summary}, without the body",
            description="Return the status and the headers of GET.",
        )


def admin(respond: Respond) -> APIRouter:
    """Return the routes of the admin socket."""
    router = APIRouter(tags=["admin"], responses=_errors(403, 404))

    @router.post("/refresh", response_model=models.RenewalDocument, summary="Refresh all profiles now")
    async def refresh_all(request: Request) -> Response:
        """Refresh every profile and return the result of each."""
        return await respond(request)

    @router.post("/refresh/{profile}", response_model=models.RenewalDocument, summary="Refresh one profile now")
    async def refresh(request: Request, profile: Profile) -> Response:
        """Refresh one profile and return the result."""
        return await respond(request)

    @router.post("/purge", response_model=models.RenewalDocument, summary="Drop all credentials, then refresh")
    async def purge_all(request: Request) -> Response:
        """Drop the held credentials of every profile, then refresh."""
        return await respond(request)

    @router.post("/purge/{profile}", response_model=models.RenewalDocument, summary="Drop credentials, then refresh")
    async def purge(request: Request, profile: Profile) -> Response:
        """Drop the held credentials of one profile, then refresh."""
        return await respond(request)

    @router.get(
        "/session/{profile}", response_model=models.SessionDocument, responses=_errors(503), summary="Held credentials"
    )
    async def session(request: Request, profile: Profile) -> Response:
        """Return the held credentials of one profile, for the command `get`."""
        return await respond(request)

    @router.put(
        "/log-level/{level}", response_model=models.LevelDocument, responses=_errors(400), summary="Set the log level"
    )
    async def log_level(request: Request, level: Level) -> Response:
        """Set the log level until the next reload or start."""
        return await respond(request)

    return router
