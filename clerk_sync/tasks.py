"""Wakes a worker, through Django's Tasks API. The one place that knows where that API comes from.

A wake-up carries nothing: the rows say what is to be done. One that is lost is made good by the next, or by
`manage.py sync_clerk_metadata` in a cron line; one that comes twice finds nothing to do.
"""

import gc
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

import django
from django.db import transaction
from django.utils import timezone

from clerk_sync.delivery import deliver
from clerk_sync.invitations import send_pending
from clerk_sync.models import DeliveryState

if TYPE_CHECKING or django.VERSION < (6, 0):
    from django_tasks import task, task_backends
else:
    from django.tasks import task, task_backends

__all__ = ["deliver_pending", "task", "wake", "wake_at"]

# Seconds after which a worker lets its other tasks have a turn. The rest is delivered by another wake-up.
TURN = 20.0


@cache
def keep_what_is_loaded() -> None:
    """Once in a process: to look through Django for garbage would stop deliveries for 0.1 s each time."""
    gc.freeze()


@task()
def deliver_pending() -> None:
    keep_what_is_loaded()
    outcome = deliver(seconds=TURN)
    if outcome.next_at is not None:
        wake_at(outcome.next_at)


@task()
def send_invitations() -> None:
    outcome = send_pending(seconds=TURN)
    # A run that found nothing to do leaves the next time to the one that did.
    if outcome.attempted and outcome.next_at is not None and task_backends[send_invitations.backend].supports_defer:
        send_invitations.using(run_after=outcome.next_at).enqueue()


def wake_for_invitations() -> None:
    send_invitations.enqueue()


def wake() -> None:
    deliver_pending.enqueue()


def wake_at(moment: datetime) -> None:
    """Wake a worker then, unless that is arranged already: workers that each arranged it would never grow fewer.

    A queue that cannot defer is woken at once for what is due, and by the cron line for what is not.
    """
    now = timezone.now()
    with transaction.atomic():
        state = DeliveryState.objects.locked()
        if state.is_paused(now) and state.paused_until is not None:
            moment = max(moment, state.paused_until)
        if moment <= now:
            transaction.on_commit(wake)
        elif task_backends[deliver_pending.backend].supports_defer:
            # Rounded up, so that rows due close to each other share one wake-up.
            moment = max(moment, now + timedelta(seconds=1))
            if state.wake_at is None or state.wake_at <= now or state.wake_at > moment:
                state.wake_at = moment
                state.save(update_fields=["wake_at"])
                deliver_pending.using(run_after=moment).enqueue()
