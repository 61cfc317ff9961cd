from django.apps import AppConfig


class ClerkSyncConfig(AppConfig):
    name = "clerk_sync"
    verbose_name = "Clerk"

    def ready(self) -> None:
        # Both register with Django what needs the app registry: the system checks, the signal receivers.
        from clerk_sync import checks, marking  # noqa: F401
