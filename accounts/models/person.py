import uuid
from collections.abc import Collection, Iterable
from typing import Any, ClassVar, NamedTuple

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connections, models, transaction
from django.db.models import F, Q, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import Concat, Lower
from django.utils import timezone

from accounts.changes import ObservedModel, ObservedQuerySet
from accounts.models.change import Change, change
from accounts.models.membership import Membership
from accounts.models.organization import Organization

RULED_FIELDS = {"user", "manager", "organization"}
WATCHED_FIELDS = {*RULED_FIELDS, "status"}
# A search of more words is cut, because each is one more condition of the query.
SEARCHED_WORDS = 8


class PersonQuerySet(ObservedQuerySet["Person"]):
    def search(self, text: str) -> "PersonQuerySet":
        """Those whose name, email or title hold every word of the text, whatever its case."""
        found = self
        for word in text.replace("\0", " ").split()[:SEARCHED_WORDS]:  # PostgreSQL's text holds no NUL
            # SQLite lowers ASCII letters alone, so that others are found as they were written.
            spellings = {word.lower(), word}
            found = found.filter(Q.create([("search_text__contains", each) for each in spellings], connector=Q.OR))
        return found

    def at_or_above(self, people: Iterable[uuid.UUID]) -> "PersonQuerySet":
        """These people, their managers, those people's managers, and so on up, in no particular order."""
        return self._connected(people, "person.id = line.manager_id")

    def at_or_below(self, people: Iterable[uuid.UUID]) -> "PersonQuerySet":
        """These people, their reports, those people's reports, and so on down, in no particular order."""
        return self._connected(people, "person.manager_id = line.id")

    def _connected(self, people: Iterable[uuid.UUID], join: str) -> "PersonQuerySet":
        pk = self.model._meta.pk
        starts = [pk.get_db_prep_value(person, connections[self.db]) for person in people]
        if not starts:
            return self.none()
        # UNION drops what was seen already, so that even a circle ends. The two joins above are all there is.
        sql = f"""
            WITH RECURSIVE line(id, manager_id) AS (
                SELECT id, manager_id FROM accounts_person WHERE id IN ({", ".join(["%s"] * len(starts))})
                UNION
                SELECT person.id, person.manager_id FROM accounts_person person JOIN line ON {join}
            ) SELECT id FROM line"""  # noqa: S608
        return self.filter(pk__in=RawSQL(sql, starts))  # noqa: S611

    def update(self, **values: Any) -> int:
        given = {self.model._meta.get_field(name).name: value for name, value in values.items()}
        if not WATCHED_FIELDS & given.keys():
            return super().update(**values)
        ruled = any(given.get(name) is not None for name in RULED_FIELDS)
        with transaction.atomic():
            before = told_of(self)
            if ruled:
                Organization.objects.filter(pk__in={told.organization for told in before}).locked()
            count = super().update(**values)
            after = list(Person.objects.filter(pk__in=[told.pk for told in before]))
            if ruled:
                check_rules(after)
            record_changes(before, after)
            return count

    def bulk_create(self, objs: Any, *args: Any, **kwargs: Any) -> list["Person"]:
        with transaction.atomic():
            people = list(objs)
            check_rules(people)
            created = super().bulk_create(people, *args, **kwargs)
            record_changes([], created)
            return created


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
    # What a search looks into, in one column, so that PostgreSQL needs one trigram index (in the migrations).
    search_text = models.GeneratedField(
        expression=Lower(Concat("name", Value(" "), "email", Value(" "), "title", output_field=models.TextField())),
        output_field=models.TextField(),
        db_persist=True,
    )

    objects: ClassVar[PersonQuerySet] = PersonQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(ObservedModel.Meta):
        abstract = False
        ordering = ["name", "id"]
        verbose_name_plural = "people"
        indexes = [models.Index(fields=["organization", "name", "id"], name="person_directory")]
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

    def clean(self) -> None:
        # A form that leaves the organization to its view checks when it saves.
        if self.organization_id:
            with transaction.atomic():
                check_rules([self])

    def save(self, *args: Any, **kwargs: Any) -> None:
        fields = kwargs.get("update_fields")
        changed = WATCHED_FIELDS if fields is None else {self._meta.get_field(name).name for name in fields}
        if not WATCHED_FIELDS & changed:
            super().save(*args, **kwargs)
            return
        with transaction.atomic():
            if RULED_FIELDS & changed:
                check_rules([self])
            before = [] if self._state.adding else told_of(Person.objects.filter(pk=self.pk))
            super().save(*args, **kwargs)
            record_changes(before, [self])

    def managers(self) -> list["Person"]:
        """The reporting line upwards: this person's manager first, the head last. One query."""
        people = {person.pk: person for person in Person.objects.at_or_above([self.pk])}
        line: list[Person] = []
        above = self.manager_id
        while above in people:
            person = people.pop(above)
            line.append(person)
            above = person.manager_id
        return line


def check_rules(people: Collection[Person]) -> None:
    """Raise ValidationError where these people, as they stand in memory, would break a rule. Locks what it judges."""
    check_links([person for person in people if person.user_id])
    if any(person.manager_id or not person._state.adding for person in people):
        Organization.objects.filter(pk__in={person.organization_id for person in people}).locked()
    check_managers(people)
    for organization in {person.organization_id for person in people}:
        here = [person.pk for person in people if person.organization_id == organization and not person._state.adding]
        if here and Person.objects.filter(manager__in=here).exclude(organization=organization).exists():
            raise ValidationError({"organization": manager_elsewhere()})


def check_links(people: Collection[Person]) -> None:
    """Each is linked to a user who is a member of the same organization."""
    if not people:
        return
    memberships = Membership.objects.filter(
        user__in={person.user_id for person in people},
        organization__in={person.organization_id for person in people},
    )
    # Locked, so that a membership that is being ended elsewhere either ends first or unlinks the person too.
    members = set(memberships.select_for_update(no_key=True).values_list("user", "organization"))
    if any((person.user_id, person.organization_id) not in members for person in people):
        raise ValidationError(
            {"user": ValidationError("A person is linked to a member of their organization only.", code="not_a_member")}
        )


def check_managers(people: Collection[Person]) -> None:
    """Each manager is of the same organization, and nobody is above themselves."""
    line = {person.pk: (person.manager_id, person.organization_id) for person in people}
    managers = {manager for manager, _ in line.values() if manager}
    above = Person.objects.at_or_above(managers).values_list("pk", "manager", "organization")
    line = {pk: (manager, organization) for pk, manager, organization in above} | line
    if any(manager in line and line[manager][1] != organization for manager, organization in line.values()):
        raise ValidationError({"manager": manager_elsewhere()})
    ended: set[uuid.UUID] = set()
    for person in people:
        seen: set[uuid.UUID] = set()
        current: uuid.UUID | None = person.pk
        while current is not None and current not in ended:
            if current in seen:
                circle = "Nobody is above themselves: this manager reports, directly or not, to the person."
                raise ValidationError({"manager": ValidationError(circle, code="manager_circle")})
            seen.add(current)
            current = line[current][0] if current in line else None
        ended |= seen


class Told(NamedTuple):
    """What the history tells of, as it is before a change."""

    pk: uuid.UUID
    organization: uuid.UUID
    user: uuid.UUID | None
    status: str


def told_of(people: PersonQuerySet) -> list[Told]:
    return [Told(*row) for row in people.order_by().values_list(*Told._fields)]


def record_changes(before: Collection[Told], people: Collection[Person]) -> None:
    """Write into the history whose link or status is another one than before."""
    held = {told.pk: told for told in before}
    changes = []
    for person in people:
        told = held.get(person.pk) or Told(person.pk, person.organization_id, None, person.status)
        if told.user != person.user_id:
            kind = Change.Kind.LINKED if person.user_id else Change.Kind.UNLINKED
            changes.append(change(person.organization_id, kind, person.name))
        if told.status != person.status:
            label = Person.Status(person.status).label
            changes.append(change(person.organization_id, Change.Kind.STATUS, person.name, label))
    Change.objects.record(changes)


def manager_elsewhere() -> ValidationError:
    return ValidationError("A manager is a person of the same organization.", code="manager_elsewhere")
