from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from clerk_sync.models import InvitationEmail
from clerk_sync.tasks import wake_for_invitations


@admin.register(InvitationEmail)
class InvitationEmailAdmin(admin.ModelAdmin[InvitationEmail]):
    """What Clerk was asked to send, and why it did not."""

    list_display = ["invitation", "state", "due_at", "attempts", "sent_at", "error"]
    list_filter = ["state"]
    list_select_related = ["invitation__organization"]
    search_fields = ["invitation__email"]
    show_full_result_count = False
    actions = ["try_again"]

    @admin.action(description="Try again", permissions=["retry"])
    def try_again(self, request: HttpRequest, emails: QuerySet[InvitationEmail]) -> None:
        failed = emails.filter(state=InvitationEmail.State.FAILED)
        count = failed.update(state=InvitationEmail.State.PENDING, due_at=timezone.now(), attempts=0, error="")
        wake_for_invitations()
        self.message_user(request, f"{count} will be sent.", messages.SUCCESS)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("clerk_sync.change_invitationemail")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
