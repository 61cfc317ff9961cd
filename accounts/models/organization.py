import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from accounts.changes import ObservedModel, ObservedQuerySet


class Organization(ObservedModel):
    """An organization whose people are kept here.

    Name and slug travel in every session token, whose claims must stay under 1.2 KB: hence their lengths.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100)
    slug = models.SlugField(max_length=63, unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[ObservedQuerySet["Organization"]] = ObservedQuerySet["Organization"].as_manager()  # type: ignore[assignment]

    class Meta(ObservedModel.Meta):
        abstract = False
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
