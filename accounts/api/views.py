"""The API's resources. What can be seen comes from `accounts.scope`, who may do what from `accounts.authority`, and
what is refused altogether from the models: as on the pages."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import scope
from accounts.access import IsAdmin, IsMember, IsNotImpersonated, IsSignedIn
from accounts.api.etags import ConditionalView
from accounts.api.lists import Cursor, ListQuery, MembershipQuery, PersonQuery
from accounts.api.serializers import MembershipSerializer, MeSerializer, OrganizationSerializer, PersonSerializer
from accounts.authority import may_end, may_manage
from accounts.identity import ManagerOSUser
from accounts.models import Membership, Organization, Person, User

# The raw claims are the client's own token; everything else is what the site made of them.
ATTRIBUTES = [field.name for field in fields(ManagerOSUser) if field.name != "session_claims"]


class MeView(ConditionalView):
    """Who the site takes the caller for: `request.manageros_user`, without a query where the claims carry it."""

    permission_classes = [IsSignedIn]

    @extend_schema(responses=MeSerializer, operation_id="me")
    def get(self, request: Request) -> Response:
        who: ManagerOSUser = request.manageros_user  # type: ignore[attr-defined]
        return Response({name: getattr(who, name) for name in ATTRIBUTES})


class Resource(ConditionalView, viewsets.GenericViewSet[Any]):
    """What the resources share: who asks, and lists by cursor in the order that the query parameters name."""

    lookup_value_converter = "uuid"
    permission_classes = [IsMember]
    permissions_by_action: ClassVar[dict[str, Sequence[type[BasePermission]]]] = {}
    pagination_class = Cursor
    query: type[ListQuery] = ListQuery

    @property
    def who(self) -> ManagerOSUser:
        who: ManagerOSUser = self.request.manageros_user  # type: ignore[attr-defined]
        return who

    def get_permissions(self) -> list[BasePermission]:
        return [permission() for permission in self.permissions_by_action.get(self.action, self.permission_classes)]  # type: ignore[misc]

    def asked(self) -> dict[str, Any]:
        """The query parameters, checked."""
        query = self.query(data=self.request.query_params)
        query.is_valid(raise_exception=True)
        return dict(query.validated_data)

    def ordering(self, request: Request) -> tuple[str, ...]:
        return self.query.orders[self.asked().get("ordering", "created_at")]


class OrganizationViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.CreateModelMixin, mixins.UpdateModelMixin, Resource
):
    """The organization the caller works in: a list of one, or of none."""

    http_method_names = ["get", "head", "options", "post", "patch"]
    serializer_class = OrganizationSerializer
    permission_classes = [IsSignedIn]
    permissions_by_action = {"partial_update": [IsAdmin]}

    def get_queryset(self) -> QuerySet[Organization]:
        return scope.organizations(self.who)

    def perform_create(self, serializer: Any) -> None:
        """The caller owns what they create, and works there from now on."""
        owner = get_object_or_404(User, pk=self.who.id)
        serializer.instance = Organization.objects.create_with_owner(**serializer.validated_data, owner=owner)

    def perform_update(self, serializer: Any) -> None:
        save_changes(serializer)


@extend_schema_view(list=extend_schema(parameters=[MembershipQuery]))
class MembershipViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.UpdateModelMixin, mixins.DestroyModelMixin, Resource
):
    """Who belongs to the organization, and in what role. New members come by invitation."""

    http_method_names = ["get", "head", "options", "patch", "delete"]
    serializer_class = MembershipSerializer
    permissions_by_action = {"partial_update": [IsAdmin], "destroy": [IsMember, IsNotImpersonated]}
    query = MembershipQuery

    def get_queryset(self) -> QuerySet[Membership]:
        person = Person.objects.filter(user=OuterRef("user"), organization=OuterRef("organization"))
        found = scope.memberships(self.who).select_related("user", "organization")
        return found.annotate(person_id=Subquery(person.values("pk")[:1]))

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.action != "list":
            return queryset
        asked = self.asked()
        text = asked.get("search", "")
        queryset = queryset.filter(Q(user__name__icontains=text) | Q(user__email__icontains=text))
        return queryset.filter(role=asked["role"]) if "role" in asked else queryset

    def perform_update(self, serializer: Any) -> None:
        if not may_manage(self.who, serializer.instance):
            raise PermissionDenied("Only an owner may change an owner.")
        save_changes(serializer)

    def perform_destroy(self, instance: Membership) -> None:
        if not may_end(self.who, instance):
            raise PermissionDenied("Only an admin removes members, and only an owner removes an owner.")
        instance.delete()


@extend_schema_view(list=extend_schema(parameters=[PersonQuery]))
class PersonViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.CreateModelMixin, mixins.UpdateModelMixin, Resource
):
    """The organization's people, whether or not they sign in. Who leaves is made inactive, and stays."""

    http_method_names = ["get", "head", "options", "post", "patch"]
    serializer_class = PersonSerializer
    permissions_by_action = {"create": [IsAdmin], "partial_update": [IsAdmin]}
    query = PersonQuery

    def get_queryset(self) -> QuerySet[Person]:
        return scope.people(self.who).defer("search_text")

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.action != "list":
            return queryset
        asked = self.asked()
        exact: dict[str, Any] = {name: asked[name] for name in ("status", "manager") if name in asked}
        if asked["linked"] is not None:
            exact["user__isnull"] = not asked["linked"]
        return scope.people(self.who).search(asked.get("search", "")).filter(**exact).defer("search_text")

    def perform_create(self, serializer: Any) -> None:
        organization = get_object_or_404(scope.organizations(self.who))
        person = Person(organization=organization, **serializer.validated_data)
        person.full_clean()
        person.save()
        serializer.instance = person

    def perform_update(self, serializer: Any) -> None:
        save_changes(serializer)

    @extend_schema(responses=PersonSerializer(many=True), filters=False)
    @action(detail=True, url_path="reporting-line", pagination_class=None)
    def reporting_line(self, request: Request, pk: str) -> Response:
        """Everybody above this person: the manager first, the head of the organization last."""
        return Response(self.get_serializer(self.get_object().managers(), many=True).data)


def save_changes(serializer: Any) -> None:
    """Write what the request named and nothing else, once the model's own rules have been asked."""
    instance, changes = serializer.instance, serializer.validated_data
    for name, value in changes.items():
        setattr(instance, name, value)
    instance.full_clean()
    instance.save(update_fields=list(changes))
