"""Who is behind a change, for the history: the request being served, if any, is remembered where models can see it."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from django.utils.decorators import sync_and_async_middleware
from django.utils.functional import empty

_request: ContextVar[HttpRequest | None] = ContextVar("request", default=None)


@dataclass(frozen=True, slots=True)
class Actor:
    """A ManagerOS user's id, and the Clerk id of whoever acted on their behalf. Both None outside of requests."""

    user_id: Any = None
    impersonator: str | None = None


def actor() -> Actor:
    """Who the current request was found to come from. Never finds out itself: finding out may change rows too."""
    request = _request.get()
    who = already_found(getattr(request, "manageros_user", None))
    if who is not None and who.is_authenticated:
        return Actor(who.id, who.actor)
    user = already_found(getattr(request, "user", None))  # staff with a password, in the admin
    return Actor(user.pk) if user is not None and user.is_authenticated else Actor()


def already_found(lazy: Any) -> Any:
    return None if getattr(lazy, "_wrapped", None) is empty else lazy


@sync_and_async_middleware
def acting_middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    if iscoroutinefunction(get_response):

        async def remember_async(request: HttpRequest) -> Any:
            token = _request.set(request)
            try:
                return await get_response(request)
            finally:
                _request.reset(token)

        return remember_async

    def remember(request: HttpRequest) -> Any:
        token = _request.set(request)
        try:
            return get_response(request)
        finally:
            _request.reset(token)

    return remember
