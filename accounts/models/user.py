import uuid
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, FilteredRelation, OuterRef, Q, Subquery
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.changes import ObservedModel, ObservedQuerySet
from accounts.models.membership import Membership, kept_rules
from accounts.models.person import Person


class LowercaseEmailField(models.EmailField):  # type: ignore[type-arg]  # generic in the stubs alone
    """An email address that is stored and compared in lower case; empty is NULL, so that many may have none."""

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        return value.lower() or None if isinstance(value, str) else value

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = self.get_prep_value(super().pre_save(model_instance, add))
        setattr(model_instance, self.attname, value)
        return value


class UserQuerySet(ObservedQuerySet["User"]):
    moving_fields = frozenset({"clerk_user_id"})

    def delete(self) -> tuple[int, dict[str, int]]:
        with kept_rules(Membership.objects.filter(user__in=self.order_by())):
            return super().delete()

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def with_identity(self) -> "UserQuerySet":
        """Annotate what the session claims say of a user, in the same query, all None without an active membership.

        Adds `organization_id`, `organization_name`, `organization_slug`, `role` and `person_id`: the active
        membership's, and the person linked to the user in that organization and no other.
        """
        person = Person.objects.filter(user=OuterRef("pk"), organization=OuterRef("active__organization"))
        return self.annotate(
            active=FilteredRelation("memberships", condition=Q(memberships__is_active=True)),
        ).annotate(
            organization_id=F("active__organization_id"),
            organization_name=F("active__organization__name"),
            organization_slug=F("active__organization__slug"),
            role=F("active__role"),
            person_id=Subquery(person.values("pk")[:1]),
        )


class UserManager(BaseUserManager["User"].from_queryset(UserQuerySet)):  # type: ignore[misc]
    def get_by_natural_key(self, username: str | None) -> "User":
        user: User = self.get(email=username)
        return user

    def create_user(self, email: str | None = None, password: str | None = None, **fields: Any) -> "User":
        """Without a password the user can sign in with Clerk alone."""
        user: User = self.model(email=email, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(ObservedModel, AbstractBaseUser, PermissionsMixin):
    """Someone who can sign in: through Clerk, or, staff alone, with a password.

    `email` is the verified primary address at Clerk, None where there is none: an address that nobody verified must
    not name a user.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    clerk_user_id = models.CharField("Clerk user id", max_length=64, unique=True, null=True, blank=True)
    # Milliseconds since the epoch, by Clerk's clock.
    clerk_updated_at = models.BigIntegerField(
        "as of, at Clerk", null=True, editable=False, help_text="Clerk's last word that this row knows."
    )
    email = LowercaseEmailField(unique=True, null=True, blank=True)
    name = models.CharField(max_length=200, blank=True)
    is_active = models.BooleanField(default=True, help_text="Whether the user may sign in at all.")
    # Told apart from a deactivation made here, which the end of a ban at Clerk must not undo.
    deactivated_by_clerk = models.BooleanField("deactivated by Clerk", default=False, editable=False)
    is_staff = models.BooleanField("staff", default=False, help_text="Whether the user may open this admin.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta(ObservedModel.Meta):
        abstract = False
        constraints = [
            models.CheckConstraint(
                condition=Q(email=Lower("email")),
                name="user_email_lower_case",
                violation_error_message="An email address is stored in lower case.",
            ),
            models.CheckConstraint(condition=~Q(clerk_user_id=""), name="user_clerk_user_id_not_empty"),
        ]

    def __str__(self) -> str:
        return self.name or self.email or str(self.pk)

    def clean(self) -> None:
        self.clerk_user_id = self.clerk_user_id or None
        self.email = self.email or None

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        pk = self.pk
        try:
            with kept_rules(Membership.objects.filter(user=pk)):
                return super().delete(*args, **kwargs)
        except ValidationError:
            self.pk = pk  # which a deletion, though rolled back, has cleared
            raise
