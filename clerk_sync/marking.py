"""Queues a metadata sync for every change behind the claims, in the transaction of that change.

Only a change of a value that feeds a claim marks anyone, and whoever it concerns, however many, is marked by a constant
number of statements. What keeps this exact while several transactions write at once: each locks the rows that it
changes before it asks whom they concern; and one by which a user comes to work in an organization, or is linked to
Clerk, locks the rows whose next change has to find that user.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from django.db import models, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save
from django.dispatch import receiver

from accounts.changes import rows_created, rows_deleting, rows_updated, rows_updating
from accounts.models import Membership, Organization, Person, User
from clerk_sync import freshness
from clerk_sync.models import MetadataSync, Priority, sync_marked
from clerk_sync.models.metadata_sync import MetadataSyncQuerySet
from clerk_sync.tasks import wake

T = TypeVar("T")
Values = Mapping[str, Any]

# The columns that feed a claim, or decide whose claims they feed.
FEEDS: Mapping[type[models.Model], frozenset[str]] = {
    User: frozenset({"clerk_user_id", "is_active"}),
    Membership: frozenset({"user_id", "organization_id", "role", "is_active"}),
    Organization: frozenset({"name", "slug"}),
    Person: frozenset({"user_id", "organization_id"}),
}
# So many users are told one by one that their claims are stale, and go first; more are bulk work.
FEW = 20
# More users than this are not announced one by one: everybody's claims are checked against the database once.
ANNOUNCED_SINGLY = 1000
# Rows named in one statement: below the 32,766 parameters that SQLite takes.
CHUNK = 5000


# --- Marking


@transaction.atomic(savepoint=False)
def mark_users(user_ids: Iterable[UUID | None]) -> None:
    """Queue a sync for each of these users who has a Clerk account."""
    for chunk in chunked(user_id for user_id in user_ids if user_id):
        mark(MetadataSync.objects.filter(user__in=chunk))


@transaction.atomic(savepoint=False)
def mark(rows: MetadataSyncQuerySet) -> None:
    """Queue a sync for these rows: few of them as somebody's own change, many as bulk work. Two statements."""
    few = tuple(rows.order_by().values_list("pk", flat=True)[: FEW + 1])
    if len(few) <= FEW:
        MetadataSync.objects.filter(pk__in=few).mark(Priority.OWN_CHANGE, few)
    elif rows.mark(Priority.BULK):
        aftermath().everyone = True


@transaction.atomic(savepoint=False)
def mark_members(organizations: Collection[UUID]) -> None:
    """Queue a sync for whoever works in these organizations."""
    members = Membership.objects.filter(organization__in=organizations, is_active=True)
    if MetadataSync.objects.filter(user__in=members.values("user")).mark(Priority.BULK):
        aftermath().organizations.update(organizations)


@transaction.atomic(savepoint=False)
def link(users: QuerySet[User]) -> None:
    """Give each of these users the row of their Clerk account, pending; rows of accounts they left lose their user."""
    left = MetadataSync.objects.filter(user__in=users.order_by().values("pk")).exclude(pk=F("user__clerk_user_id"))
    for pks in chunked(left.values_list("pk", flat=True)):
        rows = MetadataSync.objects.filter(pk__in=pks)
        rows.update(user=None)
        mark(rows)
    unlinked = users.filter(clerk_user_id__isnull=False, metadata_sync__isnull=True).order_by()
    for chunk in chunked(unlinked.values_list("clerk_user_id", "pk")):
        owners: dict[Any, UUID] = dict(chunk)
        for row in MetadataSync.objects.filter(pk__in=owners):  # an account that nobody had, or someone else
            MetadataSync.objects.filter(pk=row.pk).update(user=owners.pop(row.pk))
            mark(MetadataSync.objects.filter(pk=row.pk))
        few = len(owners) <= FEW
        priority = Priority.OWN_CHANGE if few else Priority.BULK
        MetadataSync.objects.bulk_create(
            MetadataSync(clerk_user_id=clerk_user_id, user_id=user_id, priority=priority)
            for clerk_user_id, user_id in owners.items()
        )
        sync_marked.send(sender=MetadataSync, clerk_user_ids=tuple(owners) if few else ())


def chunked(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


class Aftermath:
    """What follows a transaction that marked anyone, once for all its marks: announce whose claims are stale, and wake
    a worker. A failure is logged by Django and breaks nothing: the rows are committed, and the next wake-up finds them.
    """

    def __init__(self) -> None:
        self.clerk_user_ids: set[str] = set()
        self.organizations: set[UUID] = set()
        self.everyone = self.done = False

    def follow(self) -> None:
        if self.done:
            return
        self.done = True
        if self.everyone or len(self.clerk_user_ids) > ANNOUNCED_SINGLY:
            freshness.announce_everyone_stale()
        elif self.clerk_user_ids:
            freshness.announce_stale(self.clerk_user_ids)
        for organization in self.organizations:
            freshness.announce_organization_stale(organization)
        wake()


def aftermath() -> Aftermath:
    """This transaction's. Each mark registers it anew: a savepoint that rolls back takes its own callbacks along."""
    callbacks = (callback for _, callback, *_ in reversed(transaction.get_connection().run_on_commit))
    registered = (getattr(callback, "__self__", None) for callback in callbacks)
    found = next((owner for owner in registered if isinstance(owner, Aftermath)), None)
    if found is None or found.done:
        found = Aftermath()
    transaction.on_commit(found.follow, robust=True)
    return found


@receiver(sync_marked, sender=MetadataSync)
def follow_mark(clerk_user_ids: Collection[str], **kwargs: Any) -> None:
    aftermath().clerk_user_ids.update(clerk_user_ids)


# --- One row: save(), delete(), loaddata


@receiver(pre_save, sender=User)
@receiver(pre_save, sender=Membership)
@receiver(pre_save, sender=Organization)
@receiver(pre_save, sender=Person)
def remember_stored(
    sender: type[models.Model], instance: models.Model, raw: bool, update_fields: Any, **kwargs: Any
) -> None:
    """Read what is stored, for `post_save` to compare. A fixture's rows may exist; no other new row does."""
    stored: Values | None = None
    if instance._state.adding and not raw:
        pass
    elif fields := fed(sender, update_fields):
        rows = sender._base_manager.filter(pk=instance.pk).select_for_update(no_key=True)
        stored = rows.values(*sorted(fields)).first()
    vars(instance)["_stored_feeds"] = stored


@receiver(post_save, sender=User)
@receiver(post_save, sender=Membership)
@receiver(post_save, sender=Organization)
@receiver(post_save, sender=Person)
def row_saved(
    sender: type[models.Model], instance: models.Model, created: bool, update_fields: Any, **kwargs: Any
) -> None:
    stored: Values | None = vars(instance).pop("_stored_feeds", None)
    fields = fed(sender, update_fields)
    if not fields:
        return
    if created:
        saved(instance, None, fields)
    elif stored is None:
        saved(instance, {}, fields)  # forced to be an update: nobody knows of what
    elif changed := frozenset(name for name in fields if is_changed(instance, name, stored[name])):
        saved(instance, stored, changed)


def fed(model: type[models.Model], names: Iterable[str] | None) -> frozenset[str]:
    """The columns among these fields, or among all, that feed a claim."""
    feeds = FEEDS[model]
    return feeds if names is None else feeds & {model._meta.get_field(name).attname for name in names}  # type: ignore[union-attr]


def is_changed(instance: models.Model, attname: str, stored: Any) -> bool:
    value = getattr(instance, attname)
    if hasattr(value, "resolve_expression"):
        return True
    return bool(instance._meta.get_field(attname).to_python(value) != stored)  # type: ignore[union-attr]


def saved(instance: models.Model, stored: Values | None, changed: frozenset[str]) -> None:
    """Mark whom a saved row concerns. `stored` is None for a new row, empty where its former values are unknown."""
    match instance:
        case User():
            user_saved(instance, stored, changed)
        case Membership():
            membership_saved(instance, stored, changed)
        case Organization() if stored is not None:
            mark_members([instance.pk])
        case Person():
            former = {} if stored is None else stored
            mark_users({former.get("user_id"), instance.user_id})
        case _:
            pass  # a new organization has no members yet


def user_saved(user: User, stored: Values | None, changed: frozenset[str]) -> None:
    if "clerk_user_id" in changed:
        if stored is not None:
            lock_feeds_of(user)
        link(User.objects.filter(pk=user.pk))
    if stored is not None and "is_active" in changed:
        mark_users([user.pk])


def membership_saved(membership: Membership, stored: Values | None, changed: frozenset[str]) -> None:
    former = {} if stored is None else stored
    was_active = stored is not None and former.get("is_active", True)
    if changed & {"is_active", "organization_id"}:
        lock_organizations([membership.organization_id])
    if was_active or membership.is_active:
        mark_users({former.get("user_id"), membership.user_id})


def lock_organizations(organization_ids: Any) -> None:
    """Make a rename under way in another transaction end before we look, or wait until we are done."""
    rows = Organization.objects.filter(pk__in=organization_ids).order_by("pk").select_for_update(no_key=True)
    exhaust(rows.values_list("pk"))


def lock_feeds_of(user: User) -> None:
    """Let changes of this user's data that are under way end first: they marked nobody, as there was no row to mark."""
    memberships = Membership.objects.filter(user=user).select_related("organization").order_by("pk")
    exhaust(memberships.select_for_update(no_key=True, of=("self", "organization")))
    exhaust(Person.objects.filter(user=user).order_by("pk").select_for_update(no_key=True).values_list("pk"))


def exhaust(rows: QuerySet[Any, Any]) -> bool:
    """Run a locking query for its locks alone, whatever its length; whether it found any row."""
    count = 0
    for count, _ in enumerate(rows.iterator(CHUNK), start=1):  # noqa: B007
        pass
    return count > 0


@receiver(pre_delete, sender=User)
@receiver(pre_delete, sender=Organization)
def row_deleting(sender: type[models.Model], instance: models.Model, origin: Any, **kwargs: Any) -> None:
    """Before the cascade: afterwards nobody could tell whom it concerned. A queryset's rows are marked together."""
    if origin is instance:
        mark(concerned(sender, sender._base_manager.filter(pk=instance.pk)))


@receiver(post_delete, sender=Membership)
@receiver(post_delete, sender=Person)
def row_deleted(sender: type[models.Model], instance: Any, origin: Any, **kwargs: Any) -> None:
    if isinstance(origin, (Organization, User)):
        return
    if isinstance(origin, QuerySet) and origin.model in {Organization, User, sender}:
        return
    if instance.user_id and getattr(instance, "is_active", True):
        mark_users([instance.user_id])


# --- Many rows: update(), bulk_update(), bulk_create(), QuerySet.delete()


def concerned(model: type[models.Model], rows: Any) -> MetadataSyncQuerySet:
    """The syncs of everyone whose claims these rows feed, or may come to feed while they are being deleted."""
    rows = rows.order_by()
    if model is User:
        return MetadataSync.objects.filter(user__in=rows.values("pk"))
    if model is Organization:
        rows = Membership.objects.filter(organization__in=rows.values("pk"))
    return MetadataSync.objects.filter(user__in=rows.filter(user__isnull=False).values("user"))


@receiver(rows_updating)
def mark_before_update(sender: type[models.Model], rows: Any, values: Values, **kwargs: Any) -> None:
    if sender not in FEEDS or not (fields := fed(sender, values)):
        return
    changed: Any = sender._base_manager.filter(changing(sender, values, fields), pk__in=rows.order_by().values("pk"))
    if not exhaust(changed.order_by("pk").select_for_update(no_key=True).values_list("pk")):
        return
    if sender is Organization:
        mark_members(list(changed.values_list("pk", flat=True)))
    elif sender is Membership:
        mark_memberships(changed, fields)
    else:
        if "clerk_user_id" in fields:
            for user in changed:
                lock_feeds_of(user)
        mark(concerned(sender, changed))


def mark_memberships(rows: QuerySet[Membership], fields: frozenset[str]) -> None:
    if fields & {"is_active", "organization_id"}:
        lock_organizations(rows.order_by().values("organization"))
    mark(concerned(Membership, rows if "is_active" in fields else rows.filter(is_active=True)))


def changing(model: type[models.Model], values: Values, fields: Collection[str]) -> Q:
    """The rows that do not have these values yet; all of them for a computed value."""
    changes = Q()
    for name, value in values.items():
        if model._meta.get_field(name).attname in fields:  # type: ignore[union-attr]
            if hasattr(value, "resolve_expression"):
                return Q()
            changes |= ~Q(**{name: value})
    return changes


@receiver(rows_updated)
def mark_after_update(sender: type[models.Model], primary_keys: list[UUID], values: Values, **kwargs: Any) -> None:
    """Rows that moved concern whoever they moved to."""
    if sender not in FEEDS or not (fields := fed(sender, values)):
        return
    for chunk in chunked(primary_keys):
        rows: Any = sender._base_manager.filter(pk__in=chunk)
        if sender is User:
            link(rows)
        elif sender is Membership:
            mark_memberships(rows, fields)
        else:
            mark(concerned(sender, rows))


@receiver(rows_created)
def mark_created(sender: type[models.Model], objects: list[Any], **kwargs: Any) -> None:
    """An upsert may have changed rows that stood already, so new organizations are looked at too."""
    if sender is User:
        for chunk in chunked(user.pk for user in objects if user.clerk_user_id):
            link(User.objects.filter(pk__in=chunk))
    elif sender is Organization:
        for chunk in chunked(organization.pk for organization in objects):
            mark_members(chunk)
    elif sender is Membership:
        active = [membership for membership in objects if membership.is_active]
        if active:
            lock_organizations({membership.organization_id for membership in active})
        mark_users(membership.user_id for membership in active)
    elif sender is Person:
        mark_users(person.user_id for person in objects)


@receiver(rows_deleting)
def mark_before_delete(sender: type[models.Model], rows: Any, **kwargs: Any) -> None:
    if sender in FEEDS:
        mark(concerned(sender, rows))
