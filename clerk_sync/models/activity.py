from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from django.db import models
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone

INTERVAL = timedelta(minutes=10)
KEPT_FOR = timedelta(days=8)
# The interval of a count's total, which outlives the others.
EVER = datetime(1970, 1, 1, tzinfo=UTC)


def interval_of(moment: datetime) -> datetime:
    """The start of the interval that holds this moment."""
    return moment - (moment - EVER) % INTERVAL


class ActivityQuerySet(models.QuerySet["Activity"]):
    def add(self, figure: "Activity.Figure", counts: Mapping[str, int]) -> None:
        """Count these now, in the interval and in all."""
        for at in (interval_of(timezone.now()), EVER):
            self._start(at, figure, counts)
            for label, count in counts.items():
                self.filter(at=at, figure=figure, label=label).update(value=F("value") + count)

    def raise_to(self, figure: "Activity.Figure", value: int) -> None:
        """Keep the highest value of the interval."""
        at = interval_of(timezone.now())
        self._start(at, figure, {"": value})
        self.filter(at=at, figure=figure, label="").update(value=Greatest("value", value))

    def _start(self, at: datetime, figure: "Activity.Figure", labels: Mapping[str, int]) -> None:
        """Rows to add to, whoever else begins them at the same time."""
        self.bulk_create([Activity(at=at, figure=figure, label=label) for label in labels], ignore_conflicts=True)

    def totals(self, figure: "Activity.Figure") -> dict[str, int]:
        return dict(self.filter(at=EVER, figure=figure).values_list("label", "value"))

    def since(self, moment: datetime) -> models.QuerySet["Activity"]:
        return self.filter(at__gte=interval_of(moment), at__gt=EVER).order_by("at", "label")

    def prune(self) -> int:
        """Forget the intervals that no picture shows any more."""
        return self.filter(at__gt=EVER, at__lt=timezone.now() - KEPT_FOR).delete()[0]


class Activity(models.Model):
    """What happened in ten minutes: a figure that the product keeps itself, for the picture in the admin."""

    class Figure(models.TextChoices):
        LAG = "lag", "Longest wait for Clerk, in milliseconds"
        DELIVERY = "delivery", "Deliveries by result"
        FALLBACK = "fallback", "Fallbacks to the database by reason"

    at = models.DateTimeField()
    figure = models.CharField(max_length=16, choices=Figure)
    label = models.CharField(max_length=64, blank=True)
    value = models.BigIntegerField(default=0)

    objects: ClassVar[ActivityQuerySet] = ActivityQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name_plural = "activity"
        constraints = [models.UniqueConstraint(fields=["at", "figure", "label"], name="activity_once_per_interval")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} · {self.figure} {self.label} {self.value}"
