import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.changes import ObservedModel, ObservedQuerySet
from accounts.models.organization import Organization


class Person(ObservedModel):
    """Someone who works in an organization, whether or not they sign in: HR data, kept when their user goes."""

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        INACTIVE = "inactive", "Inactive"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="people")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="people")
    name = models.CharField(max_length=200)
    email = models.EmailField(blank=True)
    title = models.CharField(max_length=200, blank=True)
    manager = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="reports")
    status = models.CharField(max_length=16, choices=Status, default=Status.ACTIVE)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[ObservedQuerySet["Person"]] = ObservedQuerySet["Person"].as_manager()  # type: ignore[assignment]

    class Meta(ObservedModel.Meta):
        abstract = False
        ordering = ["name", "id"]
        verbose_name_plural = "people"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "user"],
                name="person_one_per_user_and_organization",
                violation_error_message="This user is linked to another person of the organization already.",
            ),
            models.CheckConstraint(
                condition=Q(manager__isnull=True) | ~Q(manager=F("id")),
                name="person_not_own_manager",
                violation_error_message="Nobody is their own manager.",
            ),
        ]

    def __str__(self) -> str:
        return self.name
