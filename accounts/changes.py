"""Tells of every change that the ORM makes to a row, inside the transaction that makes it.

Django's own signals leave two gaps: `update()` and `bulk_create()` send none, and `post_save` is sent after an
autocommitted save has already been committed. Models that derive from `ObservedModel` close both, so that whoever
listens can write its own rows in the same transaction: committed together or not at all. They set no savepoint in a
transaction of the caller's, as Django's own operations set none: a caller who goes on after an error sets one.
"""

from collections.abc import Collection, Iterator
from typing import Any, ClassVar, TypeVar

from django.db import models, transaction
from django.db.models import F
from django.dispatch import Signal

M = TypeVar("M", bound=models.Model)

# sender: the model; rows: the queryset about to be updated; values: field name -> new value or expression. An upsert by
# bulk_create() gives expressions alone, because each row gets a value of its own.
# Sent before the statement, while `rows` still selects what will change.
rows_updating = Signal()
# The same arguments and `primary_keys` of the rows, after the statement. Sent for updates of a relation, or of what
# the queryset's `moving_fields` name, because only then do the rows belong to someone else than before.
rows_updated = Signal()
# sender: the model; objects: the created instances.
rows_created = Signal()
# sender: the model; rows: the queryset about to be deleted. Each row's pre_delete and post_delete follow, with this
# queryset as their `origin`.
rows_deleting = Signal()


# Objects looked up in one statement: with three unique fields below the parameters that SQLite takes.
UPSERT_CHUNK = 1000


class ObservedQuerySet(models.QuerySet[M]):
    """A queryset whose bulk operations send the signals above. `bulk_update()` goes through `update()`."""

    moving_fields: ClassVar[frozenset[str]] = frozenset()

    def update(self, **values: Any) -> int:
        with transaction.atomic(using=self.db, savepoint=False):
            rows_updating.send(sender=self.model, rows=self, values=values, using=self.db)
            moves = any(name in self.moving_fields or self.model._meta.get_field(name).is_relation for name in values)
            primary_keys = list(self.values_list("pk", flat=True)) if moves else []
            count = super().update(**values)
            if moves:
                rows_updated.send(sender=self.model, primary_keys=primary_keys, values=values, using=self.db)
            return count

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(
        self,
        objs: Any,
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[M]:
        objs = list(objs)
        with transaction.atomic(using=self.db, savepoint=False):
            if update_conflicts and update_fields and unique_fields:
                computed = {name: F(name) for name in update_fields}
                for rows in self._in_conflict(objs, unique_fields):
                    rows_updating.send(sender=self.model, rows=rows, values=computed, using=self.db)
            created = super().bulk_create(
                objs, batch_size, ignore_conflicts, update_conflicts, update_fields, unique_fields
            )
            rows_created.send(sender=self.model, objects=created, using=self.db)
            return created

    def _in_conflict(self, objs: list[M], unique_fields: Collection[str]) -> Iterator[models.QuerySet[M]]:
        """The rows that an upsert of these will update, and perhaps a few more: each field is compared by itself.

        A row that another transaction inserts before the upsert's own statement is not among them.
        """
        columns = [self.model._meta.get_field(name).attname for name in unique_fields]  # type: ignore[union-attr]
        for start in range(0, len(objs), UPSERT_CHUNK):
            chunk = objs[start : start + UPSERT_CHUNK]
            values = {f"{name}__in": {getattr(obj, name) for obj in chunk} for name in columns}
            yield self.model._base_manager.using(self.db).filter(**values)

    def delete(self) -> tuple[int, dict[str, int]]:
        with transaction.atomic(using=self.db, savepoint=False):
            rows_deleting.send(sender=self.model, rows=self, using=self.db)
            return super().delete()

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]


class ObservedModel(models.Model):
    """A model whose save, raw ones by `loaddata` included, is one transaction with what its signals cause."""

    class Meta:
        abstract = True
        # Related managers (`organization.people.add(...)`) use the base manager: they must be observed too.
        base_manager_name = "objects"

    def save_base(self, *args: Any, **kwargs: Any) -> None:
        with transaction.atomic(using=kwargs.get("using"), savepoint=False):
            super().save_base(*args, **kwargs)
