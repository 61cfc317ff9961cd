from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models.functions import Coalesce
from django.utils import timezone

PRUNED_AT_ONCE = 1000


class WebhookEventQuerySet(models.QuerySet["WebhookEvent"]):
    def in_order(self) -> "WebhookEventQuerySet":
        """As they happened at Clerk, as far as they say when."""
        return self.order_by(Coalesce("occurred_at", "received_at"), "pk")

    def prune(self, received_before: datetime) -> int:
        """Delete old events, a thousand to a transaction: deliveries go on meanwhile. Returns how many there were."""
        old = self.filter(received_at__lt=received_before).order_by("received_at").values("pk")[:PRUNED_AT_ONCE]
        pruned = 0
        while primary_keys := list(old.values_list("pk", flat=True)):
            pruned += self.filter(pk__in=primary_keys).delete()[0]
        return pruned


class WebhookEvent(models.Model):
    """A delivery of Clerk's webhook, as it arrived and what came of it: unique by `svix-id`.

    `processed_at` is None while nothing was applied: a delivery that failed runs again when it comes again.
    """

    class Outcome(models.TextChoices):
        APPLIED = "applied", "Applied"
        STALE = "stale", "Stale"
        IGNORED = "ignored", "Ignored"
        FAILED = "failed", "Failed"

    svix_id = models.CharField(max_length=255, unique=True)
    type = models.CharField(max_length=100)
    clerk_id = models.CharField(max_length=64, blank=True, db_index=True, help_text="Of the user or session.")
    occurred_at = models.DateTimeField(null=True, blank=True, help_text="When it happened, by Clerk's clock.")
    received_at = models.DateTimeField(default=timezone.now, db_index=True)
    processed_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=16, choices=Outcome)
    attempts = models.PositiveIntegerField(default=1)
    error = models.TextField(blank=True)
    # The body as it was signed. As text, because users write parts of it (unsafe metadata): not all JSON is storable as
    # PostgreSQL's jsonb, and nobody may make the events about themselves fail.
    payload = models.TextField()

    objects: ClassVar[WebhookEventQuerySet] = WebhookEventQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-received_at"]

    def __str__(self) -> str:
        return f"{self.type} · {self.svix_id}"
