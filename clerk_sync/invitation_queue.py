"""Queues an email by Clerk for whoever is invited here and has no user yet, in the transaction that invites."""

from typing import Any

from django.db import transaction
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.utils import timezone

from accounts.models import Invitation, User
from clerk_sync.models import InvitationEmail
from clerk_sync.tasks import wake_for_invitations


@receiver(post_save, sender=Invitation)
def queue(sender: type[Invitation], instance: Invitation, **kwargs: Any) -> None:
    """An invitation was made or renewed, or has ended."""
    if instance.accepted_at or instance.revoked_at or User.objects.filter(email=instance.email).exists():
        return
    fresh = {
        "state": InvitationEmail.State.PENDING,
        "due_at": timezone.now(),
        "attempts": 0,
        "error": "",
        "leased_until": None,
    }
    InvitationEmail.objects.update_or_create(fresh, invitation=instance)
    transaction.on_commit(wake_for_invitations)
