"""What the site remembers of Clerk: what it should be told, what it told us, which sessions and users it ended."""

from clerk_sync.models.activity import Activity
from clerk_sync.models.deleted_clerk_user import DeletedClerkUser
from clerk_sync.models.delivery_state import DeliveryState
from clerk_sync.models.ended_session import EndedSession
from clerk_sync.models.invitation_email import InvitationEmail
from clerk_sync.models.metadata_sync import MetadataSync, Priority, sync_marked
from clerk_sync.models.webhook_event import WebhookEvent

__all__ = [
    "Activity",
    "DeletedClerkUser",
    "DeliveryState",
    "EndedSession",
    "InvitationEmail",
    "MetadataSync",
    "Priority",
    "WebhookEvent",
    "sync_marked",
]
