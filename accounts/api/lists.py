"""How lists are asked for and answered: query parameters that are checked, and pages by cursor."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

from accounts.models import Person, Role

PERSON_ORDERS: dict[str, tuple[str, ...]] = {
    "name": ("name", "id"),
    "-name": ("-name", "-id"),
    "title": ("title", "id"),
    "-title": ("-title", "-id"),
    "created_at": ("created_at", "id"),
    "-created_at": ("-created_at", "-id"),
}
MEMBERSHIP_ORDERS: dict[str, tuple[str, ...]] = {
    "created_at": ("created_at", "id"),
    "-created_at": ("-created_at", "-id"),
}


class Cursor(CursorPagination):
    """A page costs the same wherever it is, and nothing is shown twice while rows come and go."""

    page_size = 50
    max_page_size = 200
    page_size_query_param = "page_size"
    ordering = ("created_at", "id")

    def decode_cursor(self, request: Request) -> Any:
        cursor = super().decode_cursor(request)
        if cursor is not None and "\0" in str(cursor.position):  # PostgreSQL's text holds no NUL
            raise NotFound(self.invalid_cursor_message)
        return cursor

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: Any) -> tuple[str, ...]:
        ordering: tuple[str, ...] = view.ordering(request)
        return ordering


class ListQuery(serializers.Serializer[Any]):
    """Query parameters as a serializer: a wrong one is an error, not an unfiltered answer."""

    orders: ClassVar[dict[str, tuple[str, ...]]] = {"created_at": ("created_at", "id")}


class MembershipQuery(ListQuery):
    orders = MEMBERSHIP_ORDERS

    search = serializers.CharField(required=False, allow_blank=True, help_text="Part of the name or email address.")
    role = serializers.ChoiceField(required=False, choices=Role.choices)
    ordering = serializers.ChoiceField(required=False, choices=list(MEMBERSHIP_ORDERS), default="created_at")


class PersonQuery(ListQuery):
    orders = PERSON_ORDERS

    search = serializers.CharField(
        required=False, allow_blank=True, help_text="Words that name, email address and title hold between them."
    )
    status = serializers.ChoiceField(required=False, choices=Person.Status.choices)
    manager = serializers.UUIDField(required=False, help_text="Direct reports of this person.")
    linked = serializers.BooleanField(
        required=False, allow_null=True, default=None, help_text="Whether a user is linked."
    )
    ordering = serializers.ChoiceField(required=False, choices=list(PERSON_ORDERS), default="name")
