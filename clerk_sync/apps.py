from django.apps import AppConfig


class ClerkSyncConfig(AppConfig):
    name = "clerk_sync"
    verbose_name = "Clerk"

    def ready(self) -> None:
        # They register themselves, once the app registry is there.
        from clerk_sync import checks, invitation_queue, marking, schema  # noqa: F401
