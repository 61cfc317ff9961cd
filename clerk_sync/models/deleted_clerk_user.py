from django.db import models
from django.utils import timezone


class DeletedClerkUser(models.Model):
    """A tombstone, kept for ever: Clerk never uses an id again, so whatever is still said of it is a late event."""

    clerk_user_id = models.CharField("Clerk user id", max_length=64, primary_key=True)
    deleted_at = models.DateTimeField(default=timezone.now, help_text="When, by Clerk's clock.")

    def __str__(self) -> str:
        return self.clerk_user_id
