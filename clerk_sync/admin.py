"""Clerk's side of Django's admin: what it told us."""

import json
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from clerk_sync import (
    invitation_admin,  # noqa: F401  registers the emails that Clerk is asked to send
    picture,
    sync_admin,  # noqa: F401  registers the models of the metadata sync
)
from clerk_sync.backlog import backlog
from clerk_sync.clerk_user import MalformedPayloadError
from clerk_sync.inbox import replay
from clerk_sync.models import Activity, WebhookEvent


@admin.register(WebhookEvent)
class WebhookEventAdmin(admin.ModelAdmin[WebhookEvent]):
    """The inbox, to read and to replay: what arrived is evidence, and nobody's to edit."""

    list_display = ["type", "clerk_id", "outcome", "attempts", "occurred_at", "received_at", "processed_at"]
    list_filter = ["outcome", "received_at", "type"]
    search_fields = ["svix_id", "clerk_id", "payload"]
    search_help_text = "Svix id, Clerk id, or any text of the payload"
    show_full_result_count = False
    exclude = ["payload"]
    readonly_fields = ["formatted_payload"]
    actions = ["replay_events"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEvent]:
        match = request.resolver_match
        events = super().get_queryset(request)
        return events.defer("payload") if match and match.url_name == "clerk_sync_webhookevent_changelist" else events

    @admin.display(description="payload")
    def formatted_payload(self, event: WebhookEvent) -> SafeString:
        return format_html("<pre>{}</pre>", json.dumps(json.loads(event.payload), indent=2, ensure_ascii=True))

    @admin.action(description="Replay selected events", permissions=["replay"])
    def replay_events(self, request: HttpRequest, events: QuerySet[WebhookEvent]) -> None:
        for event in WebhookEvent.objects.filter(pk__in=events.values("pk")).in_order():
            try:
                outcome = replay(event)
            except MalformedPayloadError as error:
                self.message_user(request, f"{event}: {error}", messages.ERROR)
                continue
            failed = outcome == WebhookEvent.Outcome.FAILED
            self.message_user(request, f"{event}: {outcome.label}", messages.ERROR if failed else messages.SUCCESS)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("clerk_sync.change_webhookevent")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Activity)
class ActivityAdmin(admin.ModelAdmin[Activity]):
    """The last day as a picture; the rows behind it are of no interest one by one."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> TemplateResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = self.admin_site.each_context(request) | {
            "title": "The last day of the metadata sync",
            "opts": self.opts,
            "charts": picture.charts(timezone.now()),
            "sync": backlog(),
            "bar_width": picture.BAR - 1,
            "width": picture.WIDTH,
            "height": picture.HEIGHT,
            "view_width": picture.WIDTH + 50,
            "view_height": picture.HEIGHT + 24,
        }
        return TemplateResponse(request, "admin/clerk_sync/activity/change_list.html", context)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
