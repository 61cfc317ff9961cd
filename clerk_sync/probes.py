"""The addresses that machines ask, answered before any other middleware sees the request.

A balancer or Prometheus asks by IP address and in clear, and would else be refused for its Host header, or be sent to
HTTPS or to Clerk.
"""

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from clerk_sync.health import healthz, readyz
from clerk_sync.metrics import metrics

PROBES: dict[str, Callable[[HttpRequest], HttpResponse]] = {
    "/healthz": healthz,
    "/readyz": readyz,
    "/metrics": metrics,
}


class ProbeMiddleware:
    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if iscoroutinefunction(self):
            return self.answer_async(request)
        probe = PROBES.get(request.path_info)
        return probe(request) if probe else self.get_response(request)

    async def answer_async(self, request: HttpRequest) -> HttpResponseBase:
        probe = PROBES.get(request.path_info)
        response: HttpResponseBase = await (sync_to_async(probe)(request) if probe else self.get_response(request))
        return response
