"""Puts `request.manageros_user` on each request, found when first asked for, and answers what only it can answer."""

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.functional import SimpleLazyObject, empty

from accounts.access import NotSignedIn
from accounts.identity import ManagerOSUser
from accounts.impersonation import current_actor
from clerk_sync import cookies
from clerk_sync.identification import GoToClerk, Identification, credentials
from clerk_sync.instance import clerk_instance
from clerk_sync.refusals import IdentityUnavailable, Reason
from clerk_sync.responses import unauthorized, unavailable

NOBODY = AnonymousUser()


class LazyUser(SimpleLazyObject):  # type: ignore[type-arg]  # which is generic in its stubs alone
    """Made for every request, and asked by nearly every one: without what Django's class does for any object at all."""

    def __init__(self, find: Callable[[], ManagerOSUser]) -> None:
        vars(self).update(_setupfunc=find, _wrapped=empty)

    __getattribute__ = object.__getattribute__


class ClerkSessionMiddleware:
    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)
            # Django would run a synchronous one in a thread, for every request.
            self.process_view = self.process_view_async  # type: ignore[method-assign, assignment]

    def __call__(self, request: Any) -> Any:
        if self.is_async:
            return self._answer_async(request)
        identification = attach(request)
        response = None
        if "__clerk_" in request.META.get("QUERY_STRING", "") and comes_from_clerk(request):
            response = early_answer(request)
        response = response or self.get_response(request)
        identification.finish(response)
        return response

    async def _answer_async(self, request: Any) -> HttpResponseBase:
        identification = attach(request)
        response = None
        if "__clerk_" in request.META.get("QUERY_STRING", "") and comes_from_clerk(request):
            response = await sync_to_async(early_answer)(request)
        response = response or await self.get_response(request)
        identification.finish(response)
        return response

    def process_view(self, request: Any, view: Any, args: Any, kwargs: Any) -> None:
        """From here on there is a view that can be interrupted."""
        request.identification.may_interrupt = True

    async def process_view_async(self, request: Any, view: Any, args: Any, kwargs: Any) -> None:
        request.identification.may_interrupt = True

    def process_exception(self, request: Any, exception: Exception) -> HttpResponse | None:
        """Answer a view that asked who this is and could not be told, or that does not go on without anybody."""
        return interruption(request, exception)


def attach(request: Any) -> Identification:
    """Make the request able to tell who it is. Nothing is looked at before somebody asks."""
    current_actor.set("")  # a thread serves one request after another
    # Behind AuthenticationMiddleware it is whoever signed in with a password.
    identification = Identification(request, getattr(request, "user", NOBODY))
    request.identification = identification
    request.manageros_user = LazyUser(identification.find)
    request.amanageros_user = identification.auser
    request.user = SimpleLazyObject(identification.request_user)
    request.auser = identification.arequest_user
    if "HTTP_AUTHORIZATION" in request.META and credentials(request.META["HTTP_AUTHORIZATION"]) is not None:
        # No other site can make a browser send this header, and no cookie counts beside it.
        request._dont_enforce_csrf_checks = True
    return identification


def comes_from_clerk(request: HttpRequest) -> bool:
    """Whether a development instance just sent the browser here: its parameters must not stay in the address."""
    return (
        request.method == "GET"
        and not clerk_instance().is_production
        and not request.GET.keys().isdisjoint({cookies.HANDSHAKE, cookies.DEV_BROWSER})
    )


def early_answer(request: Any) -> HttpResponse | None:
    """The answer to someone whom Clerk just sent here, if there is one before the view's."""
    identification: Identification = request.identification
    identification.may_interrupt = True
    try:
        user = identification.user
    except (GoToClerk, IdentityUnavailable) as exception:
        return interruption(request, exception)
    refusal = identification.refusal
    identification.may_interrupt = False
    if not user.is_authenticated and refusal is not None and refusal.reason is Reason.HANDSHAKE_INVALID:
        return unauthorized(request)
    return None


def interruption(request: Any, exception: Exception) -> HttpResponse | None:
    """The answer where nobody could be named. The page that it makes must be able to say so without raising again."""
    identification: Identification = request.identification
    identification.may_interrupt = False
    match exception:
        case GoToClerk():
            return identification.answer(exception)
        case IdentityUnavailable():
            return unavailable(request, exception)
        case NotSignedIn():
            return unauthorized(request)
    return None
