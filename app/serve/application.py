"""The FastAPI application: what people and their tools ask of the operations listener, and its errors."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from ..core.addresses import is_loopback

_CODES = {403: "AccessDenied.Remote", 404: "NotFound", 405: "MethodNotAllowed"}


def create_api(status: Callable[[], dict[str, Any]]) -> FastAPI:
    """The application; `status` tells the present state and is asked per request."""
    api = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    api.add_exception_handler(StarletteHTTPException, _error)

    @api.get("/status.json", dependencies=[Depends(_loopback_only)])
    async def status_json() -> Response:
        return JSONResponse(status(), headers={"Cache-Control": "no-store"})

    @api.get("/status", dependencies=[Depends(_loopback_only)])
    async def status_page() -> Response:
        return HTMLResponse(_page(status()), headers={"Cache-Control": "no-store"})

    return api


def _loopback_only(request: Request) -> None:
    # Status names roles and errors: for the machine's owner, not for the pod network.
    if request.client is None or not is_loopback(request.client.host):
        raise HTTPException(403, "status is for callers on this machine")


async def _error(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, StarletteHTTPException) else 500
    detail = error.detail if isinstance(error, StarletteHTTPException) else "internal error"
    headers = {"Cache-Control": "no-store"} | dict(getattr(error, "headers", None) or {})
    return JSONResponse({"Code": _CODES.get(status, "Error"), "Message": detail}, status, headers)


def _page(status: dict[str, Any]) -> str:
    columns = ("profile", "state", "expires_at", "next_refresh_at", "failures", "last_error", "on_trial")
    head = "".join(f"<th scope=col>{name}</th>" for name in columns)
    troubles = {
        "The configuration file has changed, and cannot be used": status.get("config_error"),
        "These wait for a restart": ", ".join(status.get("restart_needed", ())),
    }
    notes = "".join(f"<p>{words}: {escape(str(what))}</p>" for words, what in troubles.items() if what)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(str(profile.get(name) or '–'))}</td>" for name in columns) + "</tr>"
        for profile in status["profiles"]
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=10>"
        "<title>idaas-sidecar status</title><style>body{font:1rem system-ui;margin:2rem}"
        "td,th{padding:.3rem .8rem;text-align:left;border-bottom:1px solid #999}</style>"
        f"<h1>idaas-sidecar {escape(status['version'])}</h1>{notes}<table><tr>{head}</tr>{rows}</table></html>"
    )
