"""The metadata sync in Django's admin: how it stands for each user, and what can be done about it."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from accounts.models import User
from clerk_sync import backend_api
from clerk_sync.backend_api import ClerkError
from clerk_sync.claims import CLAIMS
from clerk_sync.marking import link, mark
from clerk_sync.metadata import NO_METADATA, Metadata, desired_metadata, digest
from clerk_sync.models import DeliveryState, MetadataSync
from clerk_sync.models.metadata_sync import MetadataSyncQuerySet
from clerk_sync.reconcile import verify_chosen
from clerk_sync.sync import sync_user_data_to_clerk
from clerk_sync.tasks import wake

State = MetadataSync.State

# Users synced while the administrator waits. More go to the worker: a page must not hang on calls to Clerk.
AT_ONCE = 5
PREVIEWED = 100  # users shown in a preview
TIMEOUT = 4.0  # seconds that the page of one sync waits for Clerk


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("pending", "Pending"), ("paused", "Paused"), ("failed", "Failed"), ("synced", "Synced")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[MetadataSync]) -> QuerySet[MetadataSync]:
        match self.value():
            case "paused":
                paused = DeliveryState.objects.current().is_paused(timezone.now())
                return queryset.filter(state=State.PENDING) if paused else queryset.none()
            case None:
                return queryset
            case state:
                return queryset.filter(state=state)


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    """Kept by the worker: to be read, and changed by actions alone."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_sync_permission(self, request: HttpRequest) -> bool:
        return may_sync(request)


def may_sync(request: HttpRequest) -> bool:
    return request.user.has_perm("clerk_sync.change_metadatasync")


@admin.register(MetadataSync)
class MetadataSyncAdmin(ReadOnlyAdmin):
    list_display = [
        "clerk_user_id",
        "user",
        "state",
        "priority",
        "pending_since",
        "attempts",
        "delivered_at",
        "problem",
    ]
    list_filter = [StateFilter, "priority"]
    list_select_related = ["user"]
    search_fields = ["clerk_user_id", "user__email", "user__name"]
    ordering = ["clerk_user_id"]
    show_full_result_count = False
    list_per_page = 50
    change_form_template = "clerk_sync/admin/metadata_sync.html"
    actions = ["sync_now", "retry_failed", "preview", "verify"]

    @admin.display(description="error")
    def problem(self, row: MetadataSync) -> str:
        return row.error if len(row.error) <= 80 else row.error[:79] + "…"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        state = DeliveryState.objects.current()
        if state.is_paused(timezone.now()):
            messages.warning(request, f"{state.get_pause_display()}: {state.reason}")
        return super().changelist_view(request, extra_context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = MetadataSync.objects.filter(pk=unquote(object_id)).first()
        held = held_and_desired(row) if row else {}
        return super().change_view(request, object_id, form_url, (extra_context or {}) | held)

    @admin.action(description="Sync metadata to Clerk", permissions=["sync"])
    def sync_now(self, request: HttpRequest, rows: MetadataSyncQuerySet) -> None:
        sync(request, rows)

    @admin.action(description="Retry those that failed", permissions=["sync"])
    def retry_failed(self, request: HttpRequest, rows: MetadataSyncQuerySet) -> None:
        failed = MetadataSync.objects.filter(pk__in=rows.order_by().values("pk"), state=State.FAILED)
        count = failed.count()
        mark(failed)
        self.message_user(request, f"{count} queued again.", messages.SUCCESS if count else messages.INFO)

    @admin.action(description="Preview what would be sent", permissions=["view"])
    def preview(self, request: HttpRequest, rows: MetadataSyncQuerySet) -> HttpResponse:
        shown = list(rows.select_related("user")[: PREVIEWED + 1])
        desired = desired_metadata([row.user_id for row in shown if row.user_id])
        previews = [preview_of(row, desired.get(row.user_id, NO_METADATA)) for row in shown[:PREVIEWED]]  # type: ignore[arg-type]
        context = self.admin_site.each_context(request) | {
            "title": "What would be sent to Clerk",
            "opts": self.opts,
            "previews": previews,
            "claims": list(CLAIMS),
            "more": len(shown) > PREVIEWED,
        }
        return TemplateResponse(request, "clerk_sync/admin/preview.html", context)

    @admin.action(description="Verify against Clerk, and repair", permissions=["sync"])
    def verify(self, request: HttpRequest, rows: MetadataSyncQuerySet) -> None:
        """By the worker: it reads Clerk, which a request should not wait for."""
        chosen = list(rows.filter(user__isnull=False).values_list("pk", flat=True))
        for start in range(0, len(chosen), 1000):
            verify_chosen.enqueue(chosen[start : start + 1000])
        self.message_user(request, f"The worker compares {len(chosen)} users with what Clerk holds.")


def preview_of(row: MetadataSync, metadata: Metadata) -> dict[str, Any]:
    return {"row": row, "in_step": row.held_digest == digest(metadata), "values": list(metadata.values())}


def held_and_desired(row: MetadataSync) -> dict[str, Any]:
    """What Clerk holds beside what it should hold, claim by claim; Clerk is asked, and may not answer."""
    desired = desired_metadata([row.user_id]).get(row.user_id, NO_METADATA) if row.user_id else NO_METADATA
    held: dict[str, Any] = {}
    problem = ""
    try:
        held = backend_api.get_user(row.pk, timeout=TIMEOUT).get("public_metadata") or {}
    except ClerkError as error:
        problem = str(error)
    comparison = [(claim, desired[claim], held.get(claim), desired[claim] == held.get(claim)) for claim in CLAIMS]
    return {"comparison": comparison, "clerk_problem": problem}


@admin.register(DeliveryState)
class DeliveryStateAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "reason", "paused_since", "paused_until", "failures", "probes"]


def sync(request: HttpRequest, rows: MetadataSyncQuerySet) -> None:
    """Sync a few now, and say how it went; have the worker sync more."""
    few = list(rows.order_by("pk").values_list("pk", flat=True)[: AT_ONCE + 1])
    if len(few) > AT_ONCE:
        with transaction.atomic():
            chosen = MetadataSync.objects.filter(pk__in=rows.order_by().values("pk"))
            count = chosen.hurry() + chosen.exclude(state=State.PENDING).count()
            mark(chosen.exclude(state=State.PENDING))
            transaction.on_commit(wake, robust=True)
        messages.success(request, f"The worker syncs {count} users.")
        return
    for clerk_user_id in few:
        try:
            row = sync_user_data_to_clerk(clerk_user_id)
        except (ClerkError, ObjectDoesNotExist) as error:
            messages.error(request, f"Clerk user {clerk_user_id}: {error}")
        else:
            level = messages.SUCCESS if row.state == State.SYNCED else messages.WARNING
            messages.add_message(request, level, f"Clerk user {clerk_user_id}: {row.get_state_display().lower()}")


@admin.action(description="Sync metadata to Clerk")
def sync_metadata(model_admin: admin.ModelAdmin[User], request: HttpRequest, users: QuerySet[User]) -> None:
    if not may_sync(request):
        messages.error(request, "You may not change metadata syncs.")
        return
    chosen = User.objects.filter(pk__in=users.order_by().values("pk"))
    unlinked = chosen.filter(clerk_user_id__isnull=True).count()
    if unlinked:
        messages.warning(request, f"{unlinked} without a Clerk account were left out.")
    link(chosen)
    sync(request, MetadataSync.objects.filter(user__in=chosen.values("pk")))


# The accounts app may not know of Clerk, so its admin is given the action from here.
user_admin = admin.site.get_model_admin(User)
user_admin.actions = [*(user_admin.actions or []), sync_metadata]
