from collections.abc import Iterable
from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.acting import actor

SUBJECT_LENGTH = 300


class ChangeQuerySet(models.QuerySet["Change"]):
    def record(self, entries: "Iterable[Change]") -> None:
        """Write who did this, in the transaction that does it."""
        who = actor()
        changes = list(entries)
        for change in changes:
            change.by_id = who.user_id
            change.impersonator = who.impersonator or ""
        self.bulk_create(changes, batch_size=1000)


class Change(models.Model):
    """Something done to an organization's members or people: who did what, when, to whom. Written once, never changed.

    Whom it was done to stands in words, because the history outlives memberships, people and users.
    """

    class Kind(models.TextChoices):
        RENAMED = "renamed", "is the organization's new name"
        JOINED = "joined", "became a member"
        ROLE = "role", "got another role"
        LEFT = "left", "is no longer a member"
        LINKED = "linked", "was linked to a user"
        UNLINKED = "unlinked", "was unlinked"
        STATUS = "status", "has another status"
        INVITED = "invited", "was invited"
        REVOKED = "revoked", "is no longer invited"
        IMPORTED = "imported", "came from a file"

    organization = models.ForeignKey("accounts.Organization", models.CASCADE, related_name="changes")
    at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=16, choices=Kind)
    subject = models.CharField(max_length=SUBJECT_LENGTH)
    detail = models.CharField(max_length=SUBJECT_LENGTH, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    impersonator = models.CharField(max_length=64, blank=True, help_text="The Clerk id of who acted on their behalf.")

    objects: ClassVar[ChangeQuerySet] = ChangeQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        indexes = [models.Index(fields=["organization", "-at"], name="change_latest")]

    def __str__(self) -> str:
        return f"{self.subject} {self.get_kind_display()}" + (f": {self.detail}" if self.detail else "")


def change(organization_id: UUID, kind: Change.Kind, subject: str, detail: str = "") -> Change:
    return Change(
        organization_id=organization_id, kind=kind, subject=subject[:SUBJECT_LENGTH], detail=detail[:SUBJECT_LENGTH]
    )
