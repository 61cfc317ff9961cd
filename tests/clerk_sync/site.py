"""A site of a few views behind the real middleware, for tests of the read path: set as ROOT_URLCONF."""

import logging
from dataclasses import fields
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import include, path
from django.views import View
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import (
    IsAdmin,
    MemberMixin,
    NotImpersonatedMixin,
    RoleMixin,
    member,
    not_impersonated,
    role_at_least,
    signed_in,
)
from accounts.identity import IdentifiedRequest, ManagerOSUser
from accounts.models import Role
from clerk_sync.users import get_current_user
from clerk_sync.views import freshness


def described(request: Any, user: ManagerOSUser) -> dict[str, Any]:
    names = [field.name for field in fields(user) if field.name != "session_claims"]
    refusal = request.identification.refusal
    return {name: getattr(user, name) for name in names} | {
        "queries": request.identity_queries,
        "refusal": refusal and refusal.reason,
    }


def who(request: IdentifiedRequest) -> HttpResponse:
    return JsonResponse(described(request, request.manageros_user))


async def who_async(request: Any) -> HttpResponse:
    return JsonResponse(described(request, await request.amanageros_user()))


def nobody_asks(request: HttpRequest) -> HttpResponse:
    return HttpResponse("nothing was asked")


def account(request: IdentifiedRequest) -> HttpResponse:
    return HttpResponse(str(request.user.pk))


async def account_async(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str((await request.auser()).pk))


@signed_in
def private(request: IdentifiedRequest) -> HttpResponse:
    return HttpResponse(f"private to {request.manageros_user.clerk_user_id}")


@signed_in
async def private_async(request: IdentifiedRequest) -> HttpResponse:
    return HttpResponse(f"private to {request.manageros_user.clerk_user_id}")


@member
def members(request: IdentifiedRequest) -> HttpResponse:
    return HttpResponse("members")


@role_at_least(Role.ADMIN)
def admins(request: IdentifiedRequest) -> HttpResponse:
    return HttpResponse("admins")


@role_at_least(Role.OWNER)
async def owners_async(request: IdentifiedRequest) -> HttpResponse:
    return HttpResponse("owners")


@not_impersonated
def in_person(request: IdentifiedRequest) -> HttpResponse:
    return HttpResponse("in person")


def by_function(request: HttpRequest) -> HttpResponse:
    return HttpResponse(get_current_user(request).clerk_user_id)


class AdminsInPerson(RoleMixin, NotImpersonatedMixin, View):
    role_required = Role.ADMIN

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("admins in person")


class MembersAsync(MemberMixin, View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("members")


class Me(APIView):
    def get(self, request: Request) -> Response:
        return Response(described(request, request.manageros_user))  # type: ignore[attr-defined]

    post = get


class Admins(APIView):
    permission_classes = [IsAdmin]

    def get(self, request: Request) -> Response:
        return Response({})


def page(request: IdentifiedRequest) -> HttpResponse:
    return render(request, "clerk_sync/clerk_js.html")


def logged(request: IdentifiedRequest) -> HttpResponse:
    get_current_user(request)
    logging.getLogger("accounts").warning("something was written")
    return HttpResponse(status=204)


urlpatterns = [
    path("page/", page),
    path("logged/", logged),
    path("account/session/freshness/", freshness, name="session-freshness"),
    path("who/", who),
    path("who-async/", who_async),
    path("nobody-asks/", nobody_asks),
    path("account/", account),
    path("account-async/", account_async),
    path("private/", private),
    path("private-async/", private_async),
    path("members/", members),
    path("members-async/", MembersAsync.as_view()),
    path("admins/", admins),
    path("owners-async/", owners_async),
    path("in-person/", in_person),
    path("by-function/", by_function),
    path("admins-in-person/", AdminsInPerson.as_view()),
    path("api/me/", Me.as_view()),
    path("api/admins/", Admins.as_view()),
    path("", include("manageros.urls")),  # the addresses that error pages link to
]

handler403 = "manageros.errors.permission_denied"
handler404 = "manageros.errors.page_not_found"
