"""Who may open a view: decorators for functions, mixins for classes, permissions for the API; one rule behind all."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar, TypeVar

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.identity import ManagerOSUser
from accounts.models import Role

View = TypeVar("View", bound=Callable[..., Any])


class NotSignedIn(PermissionDenied):
    """Nobody is signed in: 401, where other refusals are 403."""

    def __init__(self) -> None:
        super().__init__("You are not signed in.")


# --- The rules: each raises PermissionDenied with a sentence for the person who is refused


def require_signed_in(user: ManagerOSUser) -> None:
    if not user.is_authenticated:
        raise NotSignedIn


def require_member(user: ManagerOSUser) -> None:
    require_signed_in(user)
    if user.organization_id is None:
        raise PermissionDenied("You are not a member of an organization.")


def require_role(user: ManagerOSUser, at_least: Role) -> None:
    require_member(user)
    if not user.has_role(at_least):
        raise PermissionDenied(f"Only {_those_who_may(at_least)} may do this.")


def require_not_impersonated(user: ManagerOSUser) -> None:
    require_signed_in(user)
    if user.actor is not None:
        raise PermissionDenied("This cannot be done on somebody else's behalf.")


def _those_who_may(at_least: Role) -> str:
    names = [f"{role.label.lower()}s" for role in Role if role.includes(at_least)]
    return " and ".join(names) + " of the organization"


# --- For views that are functions, synchronous or not


def _guard(rule: Callable[[ManagerOSUser], None]) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        if iscoroutinefunction(view):

            @wraps(view)
            async def guarded_async(request: Any, *args: Any, **kwargs: Any) -> Any:
                rule(await request.amanageros_user())
                return await view(request, *args, **kwargs)

            return guarded_async  # type: ignore[return-value]

        @wraps(view)
        def guarded(request: Any, *args: Any, **kwargs: Any) -> Any:
            rule(request.manageros_user)
            return view(request, *args, **kwargs)

        return guarded  # type: ignore[return-value]

    return decorate


def signed_in(view: View) -> View:
    return _guard(require_signed_in)(view)


def member(view: View) -> View:
    """For members of an organization, the one they work in now."""
    return _guard(require_member)(view)


def role_at_least(role: Role) -> Callable[[View], View]:
    return _guard(lambda user: require_role(user, role))


def not_impersonated(view: View) -> View:
    """For what nobody may do on another's behalf: removing a member, deleting an organization."""
    return _guard(require_not_impersonated)(view)


# --- For views that are classes, synchronous or not


class _GuardedView:
    """`dispatch` after the rules of all its mixins, leftmost first."""

    def rule(self, user: ManagerOSUser) -> None:
        """What this class asks of a user; raises PermissionDenied."""

    def _apply_rules(self, user: ManagerOSUser) -> None:
        for cls in type(self).__mro__:
            if "rule" in vars(cls):
                cls.rule(self, user)  # type: ignore[attr-defined]

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(type(self), "view_is_async", False):
            return self._dispatch_async(request, *args, **kwargs)
        self._apply_rules(request.manageros_user)
        return super().dispatch(request, *args, **kwargs)  # type: ignore[misc]

    async def _dispatch_async(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        self._apply_rules(await request.amanageros_user())
        return await super().dispatch(request, *args, **kwargs)  # type: ignore[misc]


class SignedInMixin(_GuardedView):
    def rule(self, user: ManagerOSUser) -> None:
        require_signed_in(user)


class MemberMixin(_GuardedView):
    def rule(self, user: ManagerOSUser) -> None:
        require_member(user)


class RoleMixin(_GuardedView):
    role_required: ClassVar[Role]

    def rule(self, user: ManagerOSUser) -> None:
        require_role(user, self.role_required)


class NotImpersonatedMixin(_GuardedView):
    def rule(self, user: ManagerOSUser) -> None:
        require_not_impersonated(user)


# --- For the API


class IsSignedIn(BasePermission):
    """The rule as a permission: False where nobody is signed in (401), and the rule's own sentence where it refuses."""

    def rule(self, user: ManagerOSUser) -> None:
        require_signed_in(user)

    def has_permission(self, request: Request, view: Any) -> bool:
        try:
            self.rule(_manageros_user(request))
        except NotSignedIn:
            return False
        except PermissionDenied as refused:
            self.message = str(refused)
            return False
        return True


def _manageros_user(request: Request | HttpRequest) -> ManagerOSUser:
    user: ManagerOSUser = request.manageros_user  # type: ignore[union-attr]
    return user


class IsMember(IsSignedIn):
    def rule(self, user: ManagerOSUser) -> None:
        require_member(user)


class HasRole(IsSignedIn):
    """Subclass per role: `class IsAdmin(HasRole): role = Role.ADMIN`."""

    role: ClassVar[Role]

    def rule(self, user: ManagerOSUser) -> None:
        require_role(user, self.role)


class IsAdmin(HasRole):
    role = Role.ADMIN


class IsOwner(HasRole):
    role = Role.OWNER


class IsNotImpersonated(IsSignedIn):
    def rule(self, user: ManagerOSUser) -> None:
        require_not_impersonated(user)
