import uuid
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import IntegrityError, models, transaction
from django.utils import timezone
from django.utils.text import slugify

from accounts.changes import ObservedModel, ObservedQuerySet
from accounts.models.change import Change, change
from accounts.models.role import Role

if TYPE_CHECKING:
    from accounts.models.user import User

SLUG_LENGTH = 63
SLUG_ATTEMPTS = 10


class OrganizationQuerySet(ObservedQuerySet["Organization"]):
    def locked(self) -> list["Organization"]:
        """These organizations, locked until the transaction ends: the rules about a whole organization take turns.

        Always in the same order, so that two callers never wait for each other. The lock does not keep anyone from
        adding rows that refer to the organization.
        """
        return list(self.order_by("pk").select_for_update(no_key=True))

    def update(self, **values: Any) -> int:
        if "name" not in values:
            return super().update(**values)
        with transaction.atomic():
            before = names_of(self)
            count = super().update(**values)
            record_renamed(before)
            return count

    def without_owner(self) -> "OrganizationQuerySet":
        return self.exclude(memberships__role=Role.OWNER)

    def create_with_owner(self, *, name: str, owner: "User") -> "Organization":
        """Create an organization, with a slug made from its name, which `owner` owns and works in from now on."""
        with transaction.atomic():
            organization = self.create(name=name)
            organization.memberships.create(user=owner, role=Role.OWNER).activate()
            return organization


class Organization(ObservedModel):
    """An organization whose people are kept here.

    Name and slug travel in every session token, whose claims must stay under 1.2 KB: hence their lengths.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100)
    slug = models.SlugField(
        max_length=SLUG_LENGTH, unique=True, blank=True, help_text="Made from the name where it is left empty."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[OrganizationQuerySet] = OrganizationQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(ObservedModel.Meta):
        abstract = False
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        # Before the unique check of full_clean(), which would find two empty slugs the same.
        self.slug = self.slug or self.free_slug()

    def save(self, *args: Any, **kwargs: Any) -> None:
        fields = kwargs.get("update_fields")
        if self._state.adding:
            self._save_new(*args, **kwargs)
        elif fields is not None and "name" not in fields:
            super().save(*args, **kwargs)
        else:
            with transaction.atomic():
                before = names_of(Organization.objects.filter(pk=self.pk))
                super().save(*args, **kwargs)
                record_renamed(before)

    def _save_new(self, *args: Any, **kwargs: Any) -> None:
        if self.slug:
            return super().save(*args, **kwargs)
        # Somebody may take the slug between the look and the insert; the next look sees that.
        for _ in range(SLUG_ATTEMPTS):
            self.slug = self.free_slug()
            with suppress(IntegrityError), transaction.atomic():
                return super().save(*args, **kwargs)
        return super().save(*args, **kwargs)

    def free_slug(self) -> str:
        """The name as a slug, with a number after it where others have that slug already."""
        wanted = slugify(self.name)[:SLUG_LENGTH].strip("-_") or "organization"
        # Room for a number of six digits behind a dash.
        stem = wanted[: SLUG_LENGTH - 7].rstrip("-_")
        taken = set(Organization.objects.filter(slug__startswith=stem).values_list("slug", flat=True))
        if wanted not in taken:
            return wanted
        return next(slug for number in count(2) if (slug := f"{stem}-{number}") not in taken)


def names_of(organizations: OrganizationQuerySet) -> dict[uuid.UUID, str]:
    return dict(organizations.order_by().values_list("pk", "name"))


def record_renamed(before: dict[uuid.UUID, str]) -> None:
    """Write the names that differ from these into the organizations' history."""
    after = names_of(Organization.objects.filter(pk__in=before))
    Change.objects.record(
        change(pk, Change.Kind.RENAMED, name, f"it was {before[pk]}")
        for pk, name in after.items()
        if name != before[pk]
    )
